"""Cells of tables: None, which a table shows as a dash, stays None."""


def number(value: float | None, form: str = ".4f") -> str | None:
    """A number in a format; four digits suit errors that are shares."""
    return None if value is None else format(value, form)


def scaled(value: float | None, unit: float, form: str) -> str | None:
    """A number in other units: ``value / unit``."""
    return None if value is None else format(value / unit, form)


def change(value: float | None, before: float | None) -> str | None:
    """How much larger a value is than before, with its sign."""
    return None if value is None or before is None else f"{value - before:+.4f}"


def percent_change(value: float | None, before: float | None) -> str | None:
    """The same in per cent of what was before."""
    return None if value is None or before is None else f"{100 * (value / before - 1):+.1f}"

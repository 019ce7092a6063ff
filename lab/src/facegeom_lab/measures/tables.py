"""Tables of measured numbers, each with its protocol, as Markdown and JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from facegeom.errors import OutputError

Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    """Numbers, and how they were measured.

    Attributes:
        title: quantity and data.
        protocol: how it was measured; enough to repeat it.
        columns: headings with units.
        rows: one cell per column; None for a missing value.
    """

    title: str
    protocol: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]

    def markdown(self) -> str:
        """Return heading, protocol and table as Markdown."""
        lines = [_line(self.columns), _line("---" for _ in self.columns)]
        lines += [_line(_text(cell) for cell in row) for row in self.rows]
        return "\n".join([f"## {self.title}", "", self.protocol, "", *lines, ""])


@dataclass(frozen=True)
class Report:
    """All tables of a run, and its machine and settings.

    Attributes:
        title: heading of the report.
        about: date, machine, versions and settings, by name.
        tables: in the order of printing.
    """

    title: str
    about: Mapping[str, str]
    tables: Sequence[Table]

    def markdown(self) -> str:
        """Return the whole report as Markdown."""
        about = [f"- {name}: {value}" for name, value in self.about.items()]
        return "\n".join([f"# {self.title}", "", *about, "", *(table.markdown() for table in self.tables)])

    def save(self, folder: Path, name: str) -> None:
        """Write ``folder/name.md`` and ``folder/name.json``.

        Raises:
            OutputError: they cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.md").write_text(self.markdown(), encoding="utf-8")
            (folder / f"{name}.json").write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write {name}.md and {name}.json to {folder}: {error}") from error


def percent(part: float, whole: float) -> float | None:
    """Return 100 · part / whole; None if whole is 0."""
    return 100 * part / whole if whole else None


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    return f"{cell:.2f}" if isinstance(cell, float) else str(cell)

"""Tables of measured numbers, each with its protocol, as Markdown and JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from facegeom.errors import InputError, OutputError

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

    def added_to(self, folder: Path, name: str) -> "Report":
        """Return the report in ``folder/name.json`` with this one's tables in place of those of equal titles.

        Its ``about`` stays; an entry under the title of each new table says when that was measured. Without
        such a file this report is returned.

        Raises:
            InputError: the file holds something else.
        """
        file = folder / f"{name}.json"
        if not file.is_file():
            return self
        try:
            saved = json.loads(file.read_text(encoding="utf-8"))
            tables = {each["title"]: _from_dict(each) for each in saved["tables"]}
            about = dict(saved["about"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"expected a saved report in {file}, got something else: {error}") from error
        measured = ", ".join(self.about[key] for key in ("date", "versions") if key in self.about)
        about |= {table.title: measured for table in self.tables}
        tables |= {table.title: table for table in self.tables}
        return Report(saved["title"], about, list(tables.values()))

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


def _from_dict(table: Mapping[str, Any]) -> Table:
    return Table(
        table["title"], table["protocol"], tuple(table["columns"]), [tuple(row) for row in table["rows"]]
    )


def percent(part: float, whole: float) -> float | None:
    """Return 100 · part / whole; None if whole is 0."""
    return 100 * part / whole if whole else None


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    return f"{cell:.2f}" if isinstance(cell, float) else str(cell)

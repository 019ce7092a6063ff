"""Tables of measured numbers, each with its protocol, as Markdown and JSON."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from facegeom.errors import InputError
from facegeom.export.files import write

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
        write(folder / f"{name}.md", self.markdown().encode())
        write(folder / f"{name}.json", json.dumps(asdict(self), indent=1).encode())


@dataclass(eq=False)
class RunningReport:
    """The report of a benchmark that runs, saved after each section: one that fails loses no earlier one.

    Attributes:
        title: heading of the report.
        about: date, machine, versions and settings, by name.
        folder: of the files.
        name: of the files, without suffix.
        show: called with each added table.
        tables: measured so far.

    Raises:
        InputError: the folder holds a file of this name that is no report.
    """

    title: str
    about: Mapping[str, str]
    folder: Path
    name: str
    show: Callable[[Table], object] = lambda table: None
    tables: list[Table] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._merged()  # refuse other files before hours of measuring

    def add(self, *tables: Table) -> None:
        """Show tables and save them beside those in the files."""
        for table in tables:
            self.show(table)
        self.save(*tables)

    def save(self, *tables: Table) -> None:
        """Save tables in place of those of equal titles, without showing them.

        Raises:
            OutputError: the files cannot be written.
        """
        by_title = {table.title: table for table in [*self.tables, *tables]}
        self.tables = list(by_title.values())
        self._merged().save(self.folder, self.name)

    def finish(self, keep: bool = False) -> Report:
        """Return the report of this run; without ``keep``, tables of former runs leave the files."""
        report = Report(self.title, self.about, self.tables)
        if not keep:
            report.save(self.folder, self.name)
        return report

    def _merged(self) -> Report:
        return Report(self.title, self.about, self.tables).added_to(self.folder, self.name)


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

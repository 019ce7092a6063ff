"""Make the table of docs/measured.md from saved reports, so that no figure in it is typed by hand."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facegeom.errors import InputError
from facegeom.export.files import write
from facegeom_lab.bench.rotation.errors import ALIGNED
from facegeom_lab.measures.tables import Cell

START, END = "<!-- figures: facegeom bench summary -->", "<!-- end of figures -->"
SYSTEMS = ("facegeom", "MediaPipe", "MTCNN (facenet-pytorch)", "dlib HOG")

Reports = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Figure:
    """One cell of a saved report.

    Attributes:
        report: name of the report's file without ``.json``.
        table: beginning of the table's title.
        row: first cells of the row.
        column: heading of the column.
        form: format string of the cell.
    """

    report: str
    table: str
    row: tuple[str, ...]
    column: str
    form: str = "{:.1f} %"

    def text(self, reports: Reports) -> str:
        """Format the figure, ``-`` where the report has no value.

        Raises:
            InputError: the report has no such table, row or column.
        """
        value = self._value(reports)
        return "-" if value is None else self.form.format(value)

    def _value(self, reports: Reports) -> Cell:
        for table in reports[self.report]["tables"]:
            if table["title"].startswith(self.table) and self.column in table["columns"]:
                index = table["columns"].index(self.column)
                for row in table["rows"]:
                    if tuple(row[: len(self.row)]) == self.row:
                        return row[index]
        raise InputError(
            f"expected {self.column!r} of {' / '.join(self.row)} in the table {self.table!r} of "
            f"{self.report}.json, found none; run `facegeom bench {self.report}` with all peers"
        )


@dataclass(frozen=True)
class Line:
    """A line of the table: the measured quantity, and the figures of each system."""

    quantity: str
    cells: tuple[tuple[Figure, ...], ...]

    def markdown(self, reports: Reports) -> str:
        """Format the line."""
        texts = [", ".join(figure.text(reports) for figure in cell) or "-" for cell in self.cells]
        return "| " + " | ".join([self.quantity, *texts]) + " |"


_RANGES = ("MediaPipe short range", "MediaPipe full range")
_MESH = "MediaPipe FaceMesh"
_MS = ("facegeom, ms", "peer, ms")


def _found(quantity: str, table: str, key: str, column: str) -> Line:
    """Return a line with the recall of each detector on a list."""
    ours, mtcnn, dlib = (
        (Figure("accuracy", table, (key, system), column),) for system in (SYSTEMS[0], *SYSTEMS[2:])
    )
    mediapipe = tuple(Figure("accuracy", table, (key, system), column) for system in _RANGES)
    return Line(quantity, (ours, mediapipe, mtcnn, dlib))


def _false_boxes() -> Line:
    def boxes(system: str) -> Figure:
        return Figure("accuracy", "Detection: false boxes", (system,), "boxes", "{}")

    cells = ((boxes("facegeom"),), tuple(map(boxes, _RANGES)), (boxes(SYSTEMS[2]),), (boxes(SYSTEMS[3]),))
    return Line("false boxes on 100 photos without a face", cells)


def _points(quantity: str, key: str) -> Line:
    cells = tuple(
        (Figure("accuracy", "End to end", (key, system), "NME, %", "{:.2f} %"),)
        for system in ("facegeom", _MESH)
    )
    return Line(quantity, (*cells, (), ()))


def _heads(quantity: str, key: str, columns: Sequence[str], form: str, ending: str = "") -> Line:
    table = "Rotation: rendered heads"
    cells = tuple(
        tuple(Figure("accuracy", table, (key, f"{system}{ending}"), column, form) for column in columns)
        for system in ("facegeom", _MESH)
    )
    return Line(quantity, (*cells, (), ()))


def _times(
    quantity: str, table: str, column: str, *more: str, systems: int = 3, ms: Sequence[str] = _MS
) -> Line:
    """Return a line with our milliseconds, and for each peer our time over its own, and its milliseconds."""
    titles = (_MESH, SYSTEMS[2], SYSTEMS[3])[:systems]
    ours = Figure("speed", table, (titles[0], *more), ms[0], "{:.1f} ms")
    cells = tuple(
        (
            Figure("speed", table, (title, *more), column, "{:.2f}"),
            Figure("speed", table, (title, *more), ms[1], "{:.1f} ms"),
        )
        for title in titles
    )
    return Line(quantity, ((ours,), *cells, *((),) * (3 - systems)))


LINES = (
    _found("faces found, validation scenes", "Detection: faces found", "val scenes", "found, %"),
    _found(
        "faces found, AFW's scenes with many small faces", "Detection: faces found", "AFW scenes", "found, %"
    ),
    *(
        _found(f"faces found where it is hard: {key}", "Detection: hard cases", key, "found, %")
        for key in (
            *("narrow, below 40 px", "rendered, beyond 45°", "profiled, beyond 45°"),
            *("masked", "half covered"),
        )
    ),
    _false_boxes(),
    _points("68 points, AFW's scenes: error of the found faces, inter-ocular", "AFW scenes"),
    _points("68 points, validation scenes", "val scenes"),
    Line(
        "mesh against MediaPipe's, validation faces",
        ((Figure("accuracy", "Mesh against", ("all",), "2D, %"),), (), (), ()),
    ),
    Line(
        "depth of validation faces against a fitted head model, means laid over each other: mesh, networks",
        (
            tuple(
                Figure("depth", "Depth of val", ("val, fitted model", method), "aligned, mm", "{:.1f} mm")
                for method in ("mesh", "network")
            ),
            *((), (), ()),
        ),
    ),
    _heads(
        "yaw, pitch, roll of rendered heads to 45°, 30°, 30°: mean error",
        "yaw within ±45°",
        ("yaw °", "pitch °", "roll °"),
        "{:.1f}°",
    ),
    _heads(
        "the same, the constant difference of each head model's frame taken off; as one turn",
        "yaw within ±45°",
        ("yaw °", "pitch °", "roll °", "geodesic °"),
        "{:.1f}°",
        ALIGNED,
    ),
    _heads("rendered heads found, to 45°", "yaw within ±45°", ("found, %",), "{:.0f} %"),
    _heads("rendered heads found, 60° to 90°", "yaw ±(60° to 90°)", ("found, %",), "{:.0f} %"),
    _times(
        "time for a photo of 640 px with one face: facegeom's over this one's, and milliseconds",
        "One photo",
        "ratio, median",
        "both find one face",
    ),
    _times(
        "the same for each face found in a crowd of 16; milliseconds for all",
        "16 faces",
        "ratio per face found",
    ),
    _times("the same for a file of 12 megapixels", "Files", "ratio, median"),
    _times(
        "the same for a crop through the face network alone, against a whole photo",
        "The face network",
        "ratio",
        systems=1,
        ms=("face network, ms per crop", "peer, ms per photo"),
    ),
    Line(
        "frames of a video with one face in a second, version 0.1.0: facegeom's over this one's",
        (
            (),
            (Figure("video", "One face", ("mediapipe",), "ratio, ours / this", "{:.2f}"),),
            (),
            (),
        ),
    ),
)


def markdown(folder: Path) -> str:
    """Return the table from the reports in a folder of results.

    Raises:
        InputError: a report is missing, or was made without one of the peers.
    """
    reports = {name: _report(folder / f"{name}.json") for name in ("accuracy", "depth", "speed", "video")}
    head = ["| | " + " | ".join(SYSTEMS) + " |", "|---" * (1 + len(SYSTEMS)) + "|"]
    return "\n".join([*head, *(line.markdown(reports) for line in LINES)])


def _report(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        raise InputError(f"expected {file}, found nothing; run `facegeom bench {file.stem}` first")
    report: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return report


def insert(readme: Path, table: str) -> None:
    """Replace the table between the marks of a file.

    Raises:
        InputError: the file has no such marks.
        OutputError: it cannot be written.
    """
    text = readme.read_text(encoding="utf-8")
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise InputError(f"expected the lines {START} and {END} in {readme}, found none")
    write(readme, f"{before}{START}\n\n{table}\n\n{END}{after}".encode())

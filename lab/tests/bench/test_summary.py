"""Summary: every figure comes from a saved report, and docs/measured.md shows the saved results."""

import json
from pathlib import Path
from typing import Any

import pytest

from facegeom.errors import InputError
from facegeom_lab.bench import summary
from facegeom_lab.bench.summary import END, LINES, START, Figure, insert, markdown

ROOT = Path(__file__).parents[3]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Save reports in which every cell of the table is 1.5, except MTCNN's, which are missing."""
    tables: dict[str, dict[str, dict[str, Any]]] = {}
    for figure in (figure for line in LINES for cell in line.cells for figure in cell):
        table = tables.setdefault(figure.report, {}).setdefault(
            figure.table, {"title": f"{figure.table} and more", "columns": ["key", "system"], "rows": {}}
        )
        if figure.column not in table["columns"]:
            table["columns"].append(figure.column)
        table["rows"][figure.row] = table["columns"].index(figure.column)
    for report, named in tables.items():
        for table in named.values():
            fill = len(table["columns"])
            table["rows"] = [
                [*row, *[None if "MTCNN (facenet-pytorch)" in row else 1.5] * fill] for row in table["rows"]
            ]
        (tmp_path / f"{report}.json").write_text(json.dumps({"tables": list(named.values())}))
    return tmp_path


def test_every_line_has_its_figures(results: Path) -> None:
    head, rule, *lines = markdown(results).splitlines()
    assert head == "| | facegeom | MediaPipe | MTCNN (facenet-pytorch) | dlib HOG |"
    assert rule.count("|") == head.count("|") and len(lines) == len(LINES)
    cells = [cell.strip() for cell in lines[0].split("|")[1:-1]]
    assert cells == ["faces found, validation scenes", "1.5 %", "1.5 %, 1.5 %", "-", "1.5 %"]


def test_what_is_missing_is_reported(results: Path) -> None:
    reports = {"accuracy": json.loads((results / "accuracy.json").read_text())}
    figure = Figure("accuracy", "Detection: faces found", ("val scenes", "another"), "found, %")
    with pytest.raises(InputError, match=r"'found, %' of val scenes / another .* with all peers"):
        figure.text(reports)
    (results / "video.json").unlink()
    with pytest.raises(InputError, match=r"video\.json, found nothing; run `facegeom bench video`"):
        markdown(results)


def test_only_what_is_between_the_marks_changes(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n\n{START}\n\nold\n\n{END}\n\nafter\n")
    for _ in range(2):
        insert(readme, "| new |")
        assert readme.read_text() == f"before\n\n{START}\n\n| new |\n\n{END}\n\nafter\n"
    readme.write_text("no marks")
    with pytest.raises(InputError, match="expected the lines"):
        insert(readme, "| new |")


def test_the_page_shows_the_saved_results() -> None:
    text = (ROOT / "docs" / "measured.md").read_text()
    assert summary.markdown(ROOT / "benchmarks" / "results") in text

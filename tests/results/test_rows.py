"""Faces as rows of plain numbers, and as a pandas table."""

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom.results import Faces

COLUMNS = [
    *("file", "face", "score", "box_left", "box_top", "box_right", "box_bottom"),
    *("yaw_deg", "pitch_deg", "roll_deg", "x_mm", "y_mm", "z_mm", "fov_deg", "fov_source"),
]


def test_a_row_for_each_face(faces: Faces) -> None:
    rows = faces.to_rows()
    assert [row["face"] for row in rows] == [0, 1, 2] and all(list(row) == COLUMNS for row in rows)
    for row, face in zip(rows, faces, strict=True):
        assert (row["file"], row["fov_deg"], row["fov_source"]) == ("group.jpg", 50, "assumed")
        np.testing.assert_array_equal([row[f"{axis}_mm"] for axis in "xyz"], face.translation_mm)
        edges = [row[f"box_{edge}"] for edge in ("left", "top", "right", "bottom")]
        np.testing.assert_array_equal(edges, face.box_xyxy)
        angles = [row[name] for name in ("yaw_deg", "pitch_deg", "roll_deg")]
        np.testing.assert_allclose(angles, (face.yaw_deg, face.pitch_deg, face.roll_deg), atol=1e-4)
        assert row["score"] == face.score


def test_points_are_columns_on_request(faces: Faces) -> None:
    for row, face in zip(faces.to_rows(points=True), faces, strict=True):
        assert list(row)[: len(COLUMNS)] == COLUMNS and len(row) == len(COLUMNS) + 2 * 68
        points = [[row[f"landmark_{index}_{axis}"] for axis in "xy"] for index in range(68)]
        np.testing.assert_array_equal(points, face.landmarks_px)


def test_values_are_plain(faces: Faces) -> None:
    rows = faces.to_rows(points=True)
    assert json.loads(json.dumps(rows)) == rows
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]))
    writer.writerows(rows)
    assert len(table.getvalue().splitlines()) == 3


def test_a_csv_file(faces: Faces, tmp_path: Path) -> None:
    (written,) = faces.save(tmp_path, ["csv"])
    lines = list(csv.DictReader(written.read_text(encoding="utf-8").splitlines()))
    assert written.name == "group.csv" and len(lines) == 3
    for line, row in zip(lines, faces.to_rows(points=True), strict=True):
        assert list(line) == list(row) and (line["file"], line["fov_source"]) == ("group.jpg", "assumed")
        numbers = {name: value for name, value in row.items() if not isinstance(value, str)}
        np.testing.assert_allclose([float(line[name]) for name in numbers], list(numbers.values()), atol=5e-4)
    (odd,) = replace(faces, file="bad\udcff.jpg").save(tmp_path, ["csv"], name="odd")  # no UTF-8
    assert odd.read_text(encoding="utf-8").splitlines()[1].startswith("bad?.jpg,0,")
    (empty,) = Faces.empty(10, 20).save(tmp_path, ["csv"], name="empty")
    assert empty.read_text(encoding="utf-8").splitlines() == [",".join(lines[0])]


@pytest.mark.parametrize("points", [False, True])
def test_table(faces: Faces, points: bool) -> None:
    table = faces.to_dataframe(points)
    assert table.to_dict("records") == faces.to_rows(points)
    empty = Faces.empty(10, 20).to_dataframe(points)
    assert len(empty) == 0 and list(empty.columns) == list(table.columns)


def test_without_pandas(faces: Faces, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match="pip install pandas"):
        faces.to_dataframe()
    assert Faces.empty(10, 20).to_rows() == []

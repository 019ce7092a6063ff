"""Rows of a photo, and records from a labelled folder."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from facegeom.errors import ImageError, InputError
from facegeom_lab.datasets.schemes import SCHEMES
from facegeom_lab.teachers import labels
from facegeom_lab.teachers.labels import PhotoLabels

SCHEME = SCHEMES["celeba5"]
POINTS = np.arange(20.0).reshape(2, 5, 2)


def teacher(dimensions: int = 2) -> SimpleNamespace:
    return SimpleNamespace(scheme=SCHEME, dimensions=dimensions, settings=lambda: {"teacher": "hand"})


def photo_labels(points: np.ndarray) -> PhotoLabels:
    flip_error, keep = np.array([0.01, np.nan]), np.array([True, False])
    return PhotoLabels(30, 20, points, flip_error, keep, np.array([0.9, 0.2]))


def test_rows_of_a_photo() -> None:
    first, second = labels.rows("a/b.jpg", SCHEME, photo_labels(POINTS))
    assert (first["file"], first["face"], second["face"]) == ("a/b.jpg", 0, 1)
    assert second["points"].tolist() == list(range(10, 20)) and second["confidence"] == 0.2
    assert first["flip_error"] == 0.01 and second["flip_error"] is None
    assert (first["keep"], second["keep"]) == (True, False)


def test_rows_without_a_face() -> None:
    nobody = labels.rows("b.jpg", SCHEME, PhotoLabels(30, 20, POINTS[:0], np.zeros(0), np.zeros(0, bool)))
    assert nobody == [{"file": "b.jpg", "scheme": "celeba5", "width": 30, "height": 20}]
    broken = labels.rows("b.jpg", SCHEME, ImageError("cut short"))
    assert broken == [{"file": "b.jpg", "scheme": "celeba5", "error": "cut short"}]


@pytest.mark.parametrize("dimensions", [2, 3])
def test_records_of_the_kept_faces(tmp_path: Path, dimensions: int) -> None:
    points = np.arange(10.0 * dimensions).reshape(2, 5, dimensions)
    Image.new("RGB", (30, 20)).save(tmp_path / "b.png")
    table = pa.Table.from_pylist(
        labels.rows("b.png", SCHEME, photo_labels(points)) + labels.rows("c.png", SCHEME, ImageError("bad")),
        labels.schema(teacher(dimensions)),
    )
    pq.write_table(table, tmp_path / "labels.parquet")
    (record,) = labels.records(tmp_path / "labels.parquet", tmp_path, "val")
    assert (record.name, record.split, record.source) == ("b.png#0", "val", "hand")
    assert record.read().shape == (20, 30, 3)
    found, other = (record.points, record.mesh) if dimensions == 2 else (record.mesh, record.points)
    np.testing.assert_array_equal(found, points[0])
    assert other is None and record.scheme == ("celeba5" if dimensions == 2 else "")


def test_files_that_hold_no_labels(tmp_path: Path) -> None:
    text, other = tmp_path / "text.parquet", tmp_path / "other.parquet"
    text.write_text("no table")
    pq.write_table(pa.table({"a": [1]}), other)
    for file in (text, other, tmp_path / "missing.parquet"):
        with pytest.raises(InputError, match="expected labels of `facegeom lab label-folder`"):
            labels.records(file, tmp_path)
    assert json.loads(labels.schema(teacher()).metadata[labels.METADATA_KEY])["scheme"] == "celeba5"

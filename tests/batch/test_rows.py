"""Rows: columns, nesting, and reading them back."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facegeom.batch.rows import (
    Counts,
    Row,
    encode,
    from_table,
    read_metadata,
    schema,
    to_table,
)
from facegeom.results import FACE_SHAPES, MOTION_SHAPES, Faces

from .conftest import read_counts


@pytest.fixture
def rows(faces: Faces, make_faces: Callable[..., Faces]) -> list[Row]:
    """Three faces, none, a bad photo, one face."""
    return [
        Row(
            "album/group.jpg",
            "group.jpg",
            replace(faces, fov_deg=71.25, fov_source="exif", turned_deg=90, min_face_px=20),
        ),
        Row("album/wall.jpg", "wall.jpg", Faces.empty(10, 20)),
        Row("t.parquet#7", None, None, "the picture is damaged"),
        Row("t.parquet#8", None, make_faces(angles_deg=(30, 20, 10))),
    ]


def test_plain_columns(rows: list[Row]) -> None:
    table = to_table(rows, mesh=True)
    assert table.schema == schema()
    plain = table.select(table.schema.names[: table.schema.get_field_index("faces") + 1]).to_pylist()
    assert list(plain[0]) == [
        *(
            "key",
            "name",
            "error",
            "width",
            "height",
            "fov_deg",
            "fov_source",
            "turned_deg",
            "min_face_px",
            "faces",
        )
    ]
    assert [tuple(row.values()) for row in plain] == [
        ("album/group.jpg", "group.jpg", None, 320, 240, 71.25, "exif", 90, 20, 3),
        ("album/wall.jpg", "wall.jpg", None, 10, 20, 50, "assumed", 0, 0, 0),
        ("t.parquet#7", None, "the picture is damaged", *[None] * 7),
        ("t.parquet#8", None, None, 320, 240, 50, "assumed", 0, 0, 1),
    ]
    assert [value and len(value) for value in table["score"].to_pylist()] == [3, [], None, 1]


def test_fields_of_faces_are_nested_lists(rows: list[Row]) -> None:
    table = to_table(rows, mesh=True)
    for index in (0, 3):
        for name in (*FACE_SHAPES, "camera_rotation"):
            stored = np.array(table[name][index].as_py(), np.float32)
            np.testing.assert_array_equal(stored, getattr(rows[index].faces, name))
    angles = [table[name][3].as_py() for name in ("yaw_deg", "pitch_deg", "roll_deg")]
    np.testing.assert_allclose(angles, [[30], [20], [10]], atol=1e-3)


def test_without_the_mesh(rows: list[Row]) -> None:
    table = to_table(rows, mesh=False)
    assert table.schema == schema(mesh=False)
    without = {"mesh_px", "mesh_confidence", "mesh_mm"}
    assert set(schema().names) - set(table.schema.names) == without
    assert set(FACE_SHAPES) - without < set(table.schema.names)


def test_back_to_faces(rows: list[Row]) -> None:
    for back, row in zip(from_table(to_table(rows, mesh=True)), rows, strict=True):
        assert (back.key, back.name, back.error) == (row.key, row.name, row.error)
        assert back.faces == (None if row.faces is None else replace(row.faces, file=row.name))


def test_file_is_read_back_and_the_same_every_time(rows: list[Row]) -> None:
    content = encode(rows, True, {"part": 3})
    assert content == encode(rows, True, {"part": 3}) != encode(rows, True, {"part": 4})
    table = pq.read_table(pa.BufferReader(content), page_checksum_verification=True)
    assert table.replace_schema_metadata() == to_table(rows, mesh=True)
    assert read_metadata(table.schema) == {"part": 3, "photos": 4, "faces": 4, "errors": 1}
    assert read_counts(content) == Counts(4, 4, 1)


@pytest.mark.parametrize("mesh", [True, False])
def test_no_rows_and_no_faces(mesh: bool) -> None:
    assert to_table([], mesh).num_rows == 0
    nothing = [Row("a", None, None, "bad"), Row("b", None, Faces.empty(1, 1))]
    assert to_table(nothing, mesh)["landmarks_px"].to_pylist() == [None, []]
    assert read_counts(encode(nothing, mesh, {})) == Counts(2, 0, 1)


def test_faces_of_older_files_have_no_expression(make_faces: Callable[..., Faces]) -> None:
    faces = replace(make_faces(), **dict.fromkeys(MOTION_SHAPES))
    for name, shape in (*MOTION_SHAPES.items(), ("gaze_yaw_deg", ())):
        values = faces.or_nan(name, shape)
        assert values.shape == (1, *shape) and np.isnan(values).all()
    assert faces.or_nan("score", ()) is faces.score
    (back,) = from_table(to_table([Row("a", "a.jpg", faces, None)], mesh=True))
    assert back.faces is not None and back.faces.expression is None and back.faces.gaze is None
    np.testing.assert_array_equal(back.faces.mesh_px, faces.mesh_px)


def test_counts_add_up() -> None:
    assert Counts(1, 2, 3) + Counts(10, 20, 30) == Counts(11, 22, 33)

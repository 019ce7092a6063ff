"""The Parquet file: its columns, its row groups, its reading."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facegeom.errors import InputError, OutputError
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.results import FACE_SHAPES, Faces
from facegeom.video.frames import Frame
from facegeom.video.table import ROW_GROUP, open_table, read_table
from facegeom.video.tracking import TrackedFaces

PIXELS = np.zeros((48, 64, 3), np.uint8)


def frame(index: int) -> Frame:
    return Frame(index, index / 25, PIXELS)


def test_rows_come_back_as_they_went_in(tmp_path: Path, faces: Faces) -> None:
    path, about = tmp_path / "t.parquet", {"source": "clip.mp4"}
    with open_table(path, about) as table:
        table.write(frame(0), TrackedFaces(np.arange(3), faces))
        table.write(frame(1), TrackedFaces(np.zeros(0, np.intp), faces[:0]))
        table.write(frame(2), TrackedFaces(np.array([2]), faces[1:2]))
        about["frames"] = "3"
    columns, stored = read_table(path)
    assert stored == about
    assert columns["frame"].tolist() == [0, 0, 0, 2] and columns["id"].tolist() == [0, 1, 2, 2]
    np.testing.assert_allclose(columns["time_s"], [0, 0, 0, 0.08])
    for name, shape in FACE_SHAPES.items():
        assert columns[name].shape == (4, *shape)
        np.testing.assert_array_equal(columns[name][:3], getattr(faces, name))
    np.testing.assert_allclose(columns["yaw_deg"][:3], [face.yaw_deg for face in faces], atol=1e-3)
    np.testing.assert_allclose(columns["roll_deg"][:3], [face.roll_deg for face in faces], atol=1e-3)


def test_angles_are_those_of_the_rotation(tmp_path: Path, faces: Faces) -> None:
    with open_table(tmp_path / "t.parquet", {}) as table:
        table.write(frame(0), TrackedFaces(np.arange(3), faces))
    columns, _ = read_table(tmp_path / "t.parquet")
    angles = [columns[name] for name in ("yaw_deg", "pitch_deg", "roll_deg")]
    np.testing.assert_allclose(rotation_from_angles(*angles), columns["rotation"], atol=1e-5)


def test_rows_are_written_in_groups(tmp_path: Path, faces: Faces) -> None:
    path, pair = tmp_path / "t.parquet", TrackedFaces(np.arange(2), faces[:2])
    with open_table(path, {}) as table:
        for index in range(ROW_GROUP):
            table.write(frame(index), pair)
    assert pq.ParquetFile(path).num_row_groups == 2
    assert len(read_table(path)[0]["frame"]) == 2 * ROW_GROUP


def test_a_video_without_faces_has_a_table_without_rows(tmp_path: Path) -> None:
    with open_table(tmp_path / "t.parquet", {}):
        pass
    columns, _ = read_table(tmp_path / "t.parquet")
    assert columns["mesh_px"].shape == (0, 478, 3) and columns["time_s"].shape == (0,)


def test_an_error_leaves_nothing_behind(tmp_path: Path, faces: Faces) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(b"as it was")
    with pytest.raises(RuntimeError), open_table(path, {}) as table:
        table.write(frame(0), TrackedFaces(np.arange(3), faces))
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"] and path.read_bytes() == b"as it was"


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with (
        pytest.raises(OutputError, match="cannot make the folder"),
        open_table(tmp_path / "out/t.parquet", {}),
    ):
        pass


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "words.parquet").write_text("words")
    pq.write_table(pa.table({"frame": [1]}), tmp_path / "other.parquet")
    for name, message in (("words", "Parquet file"), ("other", "missing: "), ("none", "Parquet file")):
        with pytest.raises(InputError, match=message):
            read_table(tmp_path / f"{name}.parquet")

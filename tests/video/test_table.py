"""The Parquet files: their columns, row groups, reading; the same in CSV."""

import csv
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facegeom.errors import InputError, OutputError
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.results import FACE_SHAPES, MOTION_SHAPES, Faces
from facegeom.video.frames import Frame
from facegeom.video.table import FACES, FRAMES, ROW_GROUP, open_table, read_table
from facegeom.video.tracking import TrackedFaces

PIXELS = np.zeros((48, 64, 3), np.uint8)


def frame(index: int) -> Frame:
    return Frame(index, index / 25, PIXELS)


def test_names_that_are_no_text(tmp_path: Path, faces: Faces) -> None:
    """Names of files are bytes on many systems."""
    name = "caf\udce9"  # b"caf\xe9"
    path = tmp_path / (f"{name}.parquet" if sys.platform == "linux" else "t.parquet")
    with open_table(path, FACES, {"source": f"{name}.mp4"}) as table:
        table.write(frame(0), TrackedFaces(np.arange(3), faces))
    assert read_table(path)[1] == read_table(str(path))[1] == {"source": "caf?.mp4"}


def test_rows_come_back_as_they_went_in(tmp_path: Path, faces: Faces) -> None:
    path, about = tmp_path / "t.parquet", {"source": "clip.mp4"}
    with open_table(path, FACES, about) as table:
        table.write(frame(0), TrackedFaces(np.arange(3), faces))
        table.write(frame(1), TrackedFaces(np.zeros(0, np.intp), faces[:0]))
        table.write(frame(2), TrackedFaces(np.array([2]), faces[1:2]))
        about["frames"] = "3"
    columns, stored = read_table(path)
    assert stored == about
    assert columns["frame"].tolist() == [0, 0, 0, 2] and columns["id"].tolist() == [0, 1, 2, 2]
    np.testing.assert_allclose(columns["time_s"], [0, 0, 0, 0.08])
    for name, shape in (FACE_SHAPES | MOTION_SHAPES).items():
        assert columns[name].shape == (4, *shape)
        np.testing.assert_array_equal(columns[name][:3], getattr(faces, name))
    np.testing.assert_allclose(columns["yaw_deg"][:3], [face.yaw_deg for face in faces], atol=1e-3)
    np.testing.assert_allclose(columns["roll_deg"][:3], [face.roll_deg for face in faces], atol=1e-3)


def test_angles_are_those_of_the_rotation(tmp_path: Path, faces: Faces) -> None:
    with open_table(tmp_path / "t.parquet", FACES, {}) as table:
        table.write(frame(0), TrackedFaces(np.arange(3), faces))
    columns, _ = read_table(tmp_path / "t.parquet")
    angles = [columns[name] for name in ("yaw_deg", "pitch_deg", "roll_deg")]
    np.testing.assert_allclose(rotation_from_angles(*angles), columns["rotation"], atol=1e-5)


def test_what_follows_from_the_points_is_there(tmp_path: Path, faces: Faces) -> None:
    with open_table(tmp_path / "t.parquet", FACES, {}) as table:
        table.write(frame(0), TrackedFaces(np.arange(3), faces))
    columns, _ = read_table(tmp_path / "t.parquet")
    np.testing.assert_array_equal(columns["camera_rotation"], faces.camera_rotation)
    np.testing.assert_array_equal(columns["rotation"], faces.rotation)
    eyes = np.stack([columns["eye_open_right"], columns["eye_open_left"]], axis=1)
    np.testing.assert_array_equal(eyes, faces.eye_open)
    np.testing.assert_array_equal(columns["mouth_open"], faces.mouth_open)


def test_each_frame_has_a_row_of_its_own(tmp_path: Path, faces: Faces) -> None:
    with open_table(tmp_path / "t.frames.parquet", FRAMES, {"rate": "25"}) as table:
        table.write(frame(0), TrackedFaces(np.arange(3), faces))
        table.write(Frame(1, 0.04, PIXELS, damaged=True), TrackedFaces(np.zeros(0, np.intp), faces[:0]))
        table.write(frame(2), TrackedFaces(np.array([7]), faces[:1], cut=True))
    columns, stored = read_table(tmp_path / "t.frames.parquet")
    assert stored == {"rate": "25"} and list(columns) == ["frame", "time_s", "faces", "damaged", "cut"]
    assert columns["frame"].tolist() == [0, 1, 2] and columns["faces"].tolist() == [3, 0, 1]
    assert columns["damaged"].tolist() == [False, True, False]
    assert columns["cut"].tolist() == [False, False, True]


def rows_of(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    return header, rows


def test_faces_as_csv(tmp_path: Path, faces: Faces) -> None:
    with open_table(tmp_path / "t.csv", FACES, {}) as table:
        table.write(frame(5), TrackedFaces(np.array([2, 4, 9]), faces))
        table.write(frame(6), TrackedFaces(np.zeros(0, np.intp), faces[:0]))
    header, rows = rows_of(tmp_path / "t.csv")
    assert header == FACES.header() and len(set(header)) == len(header) < 16_384
    assert {"expression_jawOpen", "gaze_1_z", "gaze_confidence_1", "gaze_yaw_deg"} <= set(header)
    assert len(rows) == 3 and all(len(row) == len(header) for row in rows)
    row = dict(zip(header, map(float, rows[1]), strict=True))
    face = faces[1]
    for name, value in {
        "frame": 5,
        "time_s": 0.2,
        "id": 4,
        "score": face.score,
        "box_left": face.box_xyxy[0],
        "box_bottom": face.box_xyxy[3],
        "landmarks_px_67_y": face.landmarks_px[67, 1],
        "landmarks_confidence_3": face.landmarks_confidence[3],
        "mesh_px_477_z": face.mesh_px[477, 2],
        "mesh_mm_0_x": face.mesh_mm[0, 0],
        "rotation_0_2": face.rotation[0, 2],
        "camera_rotation_2_0": face.camera_rotation[2, 0],
        "translation_mm_z": face.translation_mm[2],
        "yaw_deg": face.yaw_deg,
    }.items():
        assert row[name] == pytest.approx(value, abs=1e-3), name


def test_frames_as_csv(tmp_path: Path, faces: Faces) -> None:
    with open_table(tmp_path / "t.csv", FRAMES, {}) as table:
        table.write(frame(0), TrackedFaces(np.arange(3), faces))
        table.write(Frame(1, 0.04, PIXELS, damaged=True), TrackedFaces(np.zeros(0, np.intp), faces[:0]))
    header, rows = rows_of(tmp_path / "t.csv")
    assert header == ["frame", "time_s", "faces", "damaged", "cut"]
    assert rows == [["0", "0.000000", "3", "0", "0"], ["1", "0.040000", "0", "1", "0"]]


def test_rows_are_written_in_groups(tmp_path: Path, faces: Faces) -> None:
    path, pair = tmp_path / "t.parquet", TrackedFaces(np.arange(2), faces[:2])
    with open_table(path, FACES, {}) as table:
        for index in range(ROW_GROUP):
            table.write(frame(index), pair)
    assert pq.ParquetFile(path).num_row_groups == 2
    assert len(read_table(path)[0]["frame"]) == 2 * ROW_GROUP


def test_a_video_without_faces_has_a_table_without_rows(tmp_path: Path) -> None:
    with open_table(tmp_path / "t.parquet", FACES, {}):
        pass
    columns, _ = read_table(tmp_path / "t.parquet")
    assert columns["mesh_px"].shape == (0, 478, 3) and columns["time_s"].shape == (0,)


def test_an_error_leaves_nothing_behind(tmp_path: Path, faces: Faces) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(b"as it was")
    with pytest.raises(RuntimeError), open_table(path, FACES, {}) as table:
        table.write(frame(0), TrackedFaces(np.arange(3), faces))
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"] and path.read_bytes() == b"as it was"


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with (
        pytest.raises(OutputError, match="cannot make the folder"),
        open_table(tmp_path / "out/t.parquet", FACES, {}),
    ):
        pass


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "words.parquet").write_text("words")
    pq.write_table(pa.table({"frame": [1]}), tmp_path / "other.parquet")
    for name, message in (("words", "Parquet file"), ("other", "missing: "), ("none", "Parquet file")):
        with pytest.raises(InputError, match=message):
            read_table(tmp_path / f"{name}.parquet")

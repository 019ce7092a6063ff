"""The result types: shapes, slicing, empty results, equality, copies, files."""

import copy
import json
import pickle
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facegeom.depth.depth_map import DepthMap
from facegeom.errors import InputError, OutputError
from facegeom.geometry.camera import DEFAULT_FOV_DEG
from facegeom.geometry.topology import canonical_mm
from facegeom.results import FACE_SHAPES, MOTION_SHAPES, Face, Faces
from facegeom.results.saving import FORMATS


def assert_equal(first: Face | Faces, second: Face | Faces, atol: float = 0) -> None:
    for name in FACE_SHAPES | MOTION_SHAPES:
        np.testing.assert_allclose(
            getattr(first, name), getattr(second, name), rtol=0, atol=atol, err_msg=name
        )


def photo() -> np.ndarray:
    return np.full((240, 320, 3), 90, np.uint8)


def test_empty_is_a_normal_result() -> None:
    nothing = Faces.empty(640, 480, "street.jpg")
    assert len(nothing) == 0 and list(nothing) == []
    assert nothing.mesh_px.shape == (0, 478, 3) and nothing.score.shape == (0,)
    assert len(nothing[:]) == 0 and len(nothing[nothing.score > 0.5]) == 0 and len(nothing[[]]) == 0
    assert len(Faces.from_dict(nothing.to_dict())) == 0
    assert nothing.draw(np.zeros((480, 640, 3), np.uint8)).size == (640, 480)


def test_shapes_and_types(faces: Faces) -> None:
    for name, shape in (FACE_SHAPES | MOTION_SHAPES).items():
        assert getattr(faces, name).shape == (3, *shape)
        assert getattr(faces, name).dtype == np.float32
    assert isinstance(faces[0].score, float) and faces[0].mesh_mm.dtype == np.float32


def test_indexing(faces: Faces) -> None:
    assert [face.score for face in faces] == [faces[0].score, faces[1].score, faces[2].score]
    assert_equal(faces[-1], faces[2])
    assert_equal(faces[np.int64(1)], faces[1])
    np.testing.assert_array_equal(faces[1:].score, faces.score[1:])
    np.testing.assert_array_equal(faces[[2, 0]].score, faces.score[[2, 0]])
    np.testing.assert_array_equal(faces[faces.score > 0.8].mesh_px, faces.mesh_px[:2])
    assert (faces[1:].width, faces[1:].height, faces[1:].file) == (320, 240, "group.jpg")
    with pytest.raises(IndexError):
        faces[3]
    with pytest.raises(IndexError):
        faces[np.array([True, False])]


def test_records_cannot_be_changed(faces: Faces) -> None:
    with pytest.raises(FrozenInstanceError):
        faces.width = 3  # type: ignore[misc]
    for record in (faces, faces[0], pickle.loads(pickle.dumps(faces)), copy.deepcopy(faces[0])):
        with pytest.raises(ValueError, match="read-only"):
            record.mesh_px[0] = 0


def test_record_does_not_share_memory_with_its_source(faces: Faces) -> None:
    boxes = np.zeros((3, 4), np.float32)
    made = replace(faces, box_xyxy=boxes)
    boxes[:] = 7
    assert made.box_xyxy.max() == 0


@pytest.mark.parametrize("name", FACE_SHAPES | MOTION_SHAPES)
def test_wrong_shape_raises(faces: Faces, name: str) -> None:
    with pytest.raises(InputError, match="expected the shape"):
        replace(faces, **{name: np.zeros((3, 5, 5))})
    with pytest.raises(InputError, match="expected the shape"):
        replace(faces[0], **{name: np.zeros((5, 5))})


@pytest.mark.parametrize("name", FACE_SHAPES | MOTION_SHAPES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_wrong_values_raise(faces: Faces, name: str, value: float) -> None:
    array = getattr(faces, name).copy()
    array.flat[-1] = value
    with pytest.raises(InputError, match=f"{name}: expected finite numbers"):
        replace(faces, **{name: array})
    with pytest.raises(InputError, match=f"{name}: expected finite numbers"):
        replace(faces[2], **{name: array[2]})


@pytest.mark.parametrize("size_wh", [(0, 5), (5, 0), (-3, 5)])
def test_photo_without_a_size_raises(size_wh: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="at least 1 x 1 pixel, got {} x {}".format(*size_wh)):
        Faces.empty(*size_wh)


@pytest.mark.parametrize("value", [0, -60, 0.5, 180, np.nan, np.inf, -np.inf, "60", None])
def test_wrong_angle_of_view_raises(faces: Faces, value: object) -> None:
    with pytest.raises(InputError, match=f"fov_deg: expected a number from 1 to 179, got {value!r}"):
        replace(faces, fov_deg=value)


@pytest.mark.parametrize("value", [1, 179, np.float32(60), np.float64(60)])
def test_usable_angles_of_view(faces: Faces, value: float) -> None:
    assert replace(faces, fov_deg=value).fov_deg == value


@pytest.mark.parametrize("value", ["guessed", "", "Given", None, 3, ["given"]])
def test_wrong_source_of_the_angle_of_view_raises(faces: Faces, value: object) -> None:
    expected = f"fov_source: expected one of given, exif, assumed, got {value!r}"
    with pytest.raises(InputError, match=re.escape(expected)):
        replace(faces, fov_source=value)


def test_the_angle_of_view_goes_with_slices(faces: Faces) -> None:
    assert (Faces.empty(4, 3).fov_deg, Faces.empty(4, 3).fov_source) == (DEFAULT_FOV_DEG, "assumed")
    wide = replace(faces, fov_deg=80.0, fov_source="exif")
    for part in (wide[1:], wide[[]], wide[wide.score > 0.8]):
        assert (part.fov_deg, part.fov_source) == (80, "exif")


def test_angles_of_all_are_those_of_each(faces: Faces) -> None:
    for name in ("yaw_deg", "pitch_deg", "roll_deg"):
        angles = getattr(faces, name)
        assert angles.shape == (3,) and angles.dtype == np.float32
        np.testing.assert_allclose(angles, [getattr(face, name) for face in faces], atol=1e-4)
        assert getattr(faces[:0], name).shape == (0,)
    np.testing.assert_allclose(faces.yaw_deg, (0, 35, -60), atol=1e-4)
    np.testing.assert_allclose(faces.pitch_deg, (0, 10, -20), atol=1e-4)
    np.testing.assert_allclose(faces.roll_deg, (0, -15, 25), atol=1e-4)


@pytest.mark.parametrize(
    ("translation_mm", "expected"),
    [
        ((0, 0, 500), np.eye(3)),
        ((400, 0, 300), [[0.6, 0, 0.8], [0, 1, 0], [-0.8, 0, 0.6]]),  # 53° to the right
        ((0, 300, 400), [[1, 0, 0], [0, 0.8, 0.6], [0, -0.6, 0.8]]),  # 37° below
    ],
)
def test_rotation_in_the_camera_frame_by_hand(
    make_faces: Callable[..., Faces], translation_mm: tuple[float, ...], expected: list[list[float]]
) -> None:
    """A head that looks into the lens: its nose, -z, points from its place to the camera."""
    faces = make_faces(translation_mm=translation_mm)
    face = faces[0]
    np.testing.assert_allclose(face.camera_rotation, expected, atol=1e-6)
    np.testing.assert_array_equal(faces.camera_rotation, face.camera_rotation[None])
    np.testing.assert_array_equal(face.rotation, np.eye(3))
    nose = face.camera_rotation @ (0, 0, -1)
    np.testing.assert_allclose(nose, -face.translation_mm / np.linalg.norm(translation_mm), atol=1e-6)
    assert face.camera_rotation.dtype == np.float32 and (face.yaw_deg, face.pitch_deg, face.roll_deg) == (
        0,
        0,
        0,
    )


def test_a_turned_head_in_the_camera_frame_by_hand(make_face: Callable[..., Face]) -> None:
    """At 53.13° to the right a yaw of 53.13° as seen looks parallel to the camera's axis."""
    face = make_face(angles_deg=(np.rad2deg(np.arctan2(4, 3)), 0, 0), translation_mm=(400, 0, 300))
    np.testing.assert_allclose(face.camera_rotation, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(face.rotation, [[0.6, 0, -0.8], [0, 1, 0], [0.8, 0, 0.6]], atol=1e-6)


def test_the_rotation_in_the_camera_frame_carries_the_head_onto_its_mesh(faces: Faces) -> None:
    placed = canonical_mm() @ np.swapaxes(faces.camera_rotation, 1, 2) + faces.translation_mm[:, None]
    np.testing.assert_allclose(placed, faces.mesh_mm, atol=1e-3)
    assert Faces.empty(4, 3).camera_rotation.shape == (0, 3, 3)


@given(yaw=st.floats(-80, 80), pitch=st.floats(-80, 80), roll=st.floats(-170, 170))
def test_angles_are_those_of_the_rotation(yaw: float, pitch: float, roll: float) -> None:
    from facegeom.geometry.rotation import rotation_from_angles

    zeros = {name: np.zeros(shape) for name, shape in FACE_SHAPES.items()}
    face = Face(**(zeros | {"rotation": rotation_from_angles(yaw, pitch, roll)}))
    np.testing.assert_allclose((face.yaw_deg, face.pitch_deg, face.roll_deg), (yaw, pitch, roll), atol=1e-3)


COPIES: dict[str, Callable[[object], object]] = {
    "pickle": lambda record: pickle.loads(pickle.dumps(record)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "replace": replace,
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_equal(faces: Faces, name: str) -> None:
    wide = replace(faces, fov_deg=80.0, fov_source="given")
    maps = tuple(DepthMap(np.full((4, 4), 100.0 + number), np.eye(3)[:2]) for number in range(3))
    for record in (faces, wide, faces[1], faces[:0], replace(wide, depth=maps), maps[0]):
        twin = COPIES[name](record)
        assert (twin == record, twin != record) == (True, False) and twin is not record


def test_records_of_equal_values_are_equal(faces: Faces, make_face: Callable[..., Face]) -> None:
    assert make_face(angles_deg=(5, 6, 7)) == make_face(angles_deg=(5, 6, 7))
    assert faces[[0, 1, 2]] == faces == faces[:] and list(faces) == [faces[0], faces[1], faces[2]]
    assert faces[:2] != faces and faces[[1, 0, 2]] != faces and faces[0] != faces[1]
    assert faces[:1] != faces[0] and faces != "faces"
    assert faces[2] in faces and make_face(translation_mm=(1, 2, 300)) not in faces


@pytest.mark.parametrize("name", FACE_SHAPES | MOTION_SHAPES)
def test_every_array_takes_part_in_equality(faces: Faces, name: str) -> None:
    array = getattr(faces, name).copy()
    array[-1] += 0.25
    other = replace(faces, **{name: array})
    assert (other == faces, other != faces) == (False, True)
    assert other[-1] != faces[-1] and other[:-1] == faces[:-1] and other[0] == faces[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("width", 321),
        ("height", 241),
        ("file", None),
        ("fov_deg", 51.0),
        ("fov_source", "exif"),
        ("depth", tuple(DepthMap(np.ones((4, 4)), np.eye(3)[:2]) for _ in range(3))),
    ],
)
def test_what_is_known_of_the_photo_takes_part_in_equality(faces: Faces, name: str, value: object) -> None:
    other = replace(faces, **{name: value})
    assert (other == faces, other != faces) == (False, True)


def test_equality_of_depth_maps() -> None:
    one = DepthMap(np.ones((4, 4)), np.eye(3)[:2])
    assert one == DepthMap(np.ones((4, 4)), np.eye(3)[:2])
    assert one != DepthMap(np.ones((5, 5)), np.eye(3)[:2]) and one != DepthMap(
        np.ones((4, 4)), np.ones((2, 3))
    )
    assert one != "a map"


def test_records_are_not_hashable(faces: Faces) -> None:
    for record in (faces, faces[0], DepthMap(np.ones((4, 4)), np.eye(3)[:2])):
        with pytest.raises(TypeError, match="unhashable"):
            hash(record)


def test_repr_is_short(faces: Faces) -> None:
    assert repr(faces) == "Faces(3 faces, width=320, height=240, file='group.jpg')"
    assert repr(faces[0]).startswith("Face(score=0.990, box_xyxy=[")


def test_save_writes_each_format(faces: Faces, tmp_path: Path) -> None:
    written = faces[:2].save(tmp_path / "deep", ("json", "overlay", "obj", "ply", "glb"), image=photo())
    names = [
        "group.json",
        "group.overlay.jpg",
        *(f"group.{n}.{kind}" for kind in ("obj", "ply", "glb") for n in (0, 1)),
    ]
    assert [path.name for path in written] == names
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == sorted(names)
    assert all(path.stat().st_size > 100 for path in written)


def test_every_format_is_checked(faces: Faces, tmp_path: Path) -> None:
    assert FORMATS == ("json", "csv", "overlay", "obj", "ply", "glb", "depth", "surface", "aligned")
    for kind in FORMATS:
        faces[:0].save(tmp_path / kind, (kind,), image=photo())
    names = sorted(path.name for path in tmp_path.glob("*/*"))
    assert names == ["group.csv", "group.json", "group.overlay.jpg"]  # all others are files of one face


def test_save_takes_a_name(faces: Faces, tmp_path: Path) -> None:
    written = faces.save(tmp_path, ("json",), name="sub/a.b")
    assert written == [tmp_path / "sub" / "a.b.json"]
    assert_equal(Faces.from_dict(json.loads(written[0].read_bytes())), faces, atol=1e-3)
    assert replace(faces, file=None).save(tmp_path, ("json",)) == [tmp_path / "faces.json"]


def test_save_reads_the_photo_again(faces: Faces, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(photo()).save(tmp_path / "photo.png")
    named = replace(faces, file=str(tmp_path / "photo.png"))
    assert [path.name for path in named.save(tmp_path, ("overlay",))] == ["photo.overlay.jpg"]


def test_save_rejects_bad_arguments(faces: Faces, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gif"):
        faces.save(tmp_path, ("json", "gif"))
    with pytest.raises(InputError, match="formats"):
        faces.save(tmp_path, "json")
    with pytest.raises(InputError, match="image="):
        replace(faces, file=None).save(tmp_path)
    with pytest.raises(InputError, match="320 x 240"):
        faces.save(tmp_path, image=np.zeros((5, 5, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_save_into_an_impossible_place_raises(faces: Faces, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file"):
        faces.save(tmp_path / "file", ("json",))
    (tmp_path / "group.json").mkdir()
    with pytest.raises(OutputError, match=r"group\.json"):
        faces.save(tmp_path, ("json",))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "group.json"]


def test_save_replaces_older_files(faces: Faces, make_face: Callable[..., Face], tmp_path: Path) -> None:
    faces.save(tmp_path, ("json",))
    faces[:1].save(tmp_path, ("json",))
    assert len(json.loads((tmp_path / "group.json").read_bytes())["faces"]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["group.json"]


def test_depth_maps_go_with_their_faces(faces: Faces) -> None:
    maps = tuple(DepthMap(np.full((4, 4), 100.0 + number), np.eye(3)[:2]) for number in range(3))
    deep = replace(faces, depth=maps)
    assert deep[1].depth is maps[1]
    for chosen, expected in (
        ([2, 0], (2, 0)),
        (slice(1, None), (1, 2)),
        (deep.score > 0.8, (0, 1)),
        ([], ()),
    ):
        picked = deep[chosen]
        assert picked.depth is not None
        assert [found.z_mm[0, 0] for found in picked.depth] == [100 + number for number in expected]
    assert [face.depth for face in faces] == [None] * 3 and faces[1:].depth is None
    again = pickle.loads(pickle.dumps(deep)).depth
    assert [found.z_mm[0, 0] for found in again] == [100, 101, 102]
    with pytest.raises(InputError, match=r"depth: expected an entry for each of 3 faces, got 2"):
        replace(faces, depth=maps[:2])

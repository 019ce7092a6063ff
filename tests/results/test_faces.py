"""The result types: shapes, slicing, empty results, copies, dictionaries, files."""

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from importlib.resources import files
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facegeom.depth.depth_map import DepthMap
from facegeom.errors import InputError, OutputError
from facegeom.results import FACE_SHAPES, Face, Faces
from facegeom.results.saving import FORMATS

SCHEMA = json.loads((files("facegeom") / "data" / "faces.schema.json").read_text("utf-8"))


def assert_equal(first: Face | Faces, second: Face | Faces, atol: float = 0) -> None:
    for name in FACE_SHAPES:
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
    for name, shape in FACE_SHAPES.items():
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


@pytest.mark.parametrize("name", FACE_SHAPES)
def test_wrong_shape_raises(faces: Faces, name: str) -> None:
    with pytest.raises(InputError, match="expected the shape"):
        replace(faces, **{name: np.zeros((3, 5, 5))})
    with pytest.raises(InputError, match="expected the shape"):
        replace(faces[0], **{name: np.zeros((5, 5))})


def test_wrong_values_raise(faces: Faces) -> None:
    with pytest.raises(InputError, match="finite"):
        replace(faces, box_xyxy=np.full((3, 4), np.nan))
    with pytest.raises(InputError, match="0 x 5"):
        Faces.empty(0, 5)


@given(yaw=st.floats(-80, 80), pitch=st.floats(-80, 80), roll=st.floats(-170, 170))
def test_angles_are_those_of_the_rotation(yaw: float, pitch: float, roll: float) -> None:
    from facegeom.geometry.rotation import rotation_from_angles

    zeros = {name: np.zeros(shape) for name, shape in FACE_SHAPES.items()}
    face = Face(**(zeros | {"rotation": rotation_from_angles(yaw, pitch, roll)}))
    np.testing.assert_allclose((face.yaw_deg, face.pitch_deg, face.roll_deg), (yaw, pitch, roll), atol=1e-3)


def test_copies_are_equal(faces: Faces) -> None:
    for twin in (pickle.loads(pickle.dumps(faces)), copy.deepcopy(faces)):
        assert_equal(faces, twin)
        assert (twin.width, twin.height, twin.file) == (320, 240, "group.jpg")
    assert_equal(faces[1], pickle.loads(pickle.dumps(faces[1])))


def test_repr_is_short(faces: Faces) -> None:
    assert repr(faces) == "Faces(3 faces, width=320, height=240, file='group.jpg')"
    assert repr(faces[0]).startswith("Face(score=0.990, box_xyxy=[")


def test_dictionary_follows_the_schema(faces: Faces) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for record in (faces, faces[:1], Faces.empty(5, 6)):
        jsonschema.validate(json.loads(json.dumps(record.to_dict())), SCHEMA)
    face = faces.to_dict()["faces"][0]
    known = SCHEMA["$defs"]["face"]["properties"]
    assert set(face) == set(known) - {"depth"}  # only with its image: tests/export/test_depth.py
    assert set(face["pose"]) == set(known["pose"]["properties"])


def test_dictionary_there_and_back(faces: Faces) -> None:
    data = json.loads(json.dumps(faces.to_dict()))
    again = Faces.from_dict(data)
    assert_equal(faces, again, atol=1e-3)
    assert (again.width, again.height, again.file) == (320, 240, "group.jpg")
    assert again.to_dict()["faces"][0]["mesh_px"] == data["faces"][0]["mesh_px"]


def _without(data: dict, *path: str) -> dict:
    data = copy.deepcopy(data)
    group = data
    for key in path[:-1]:
        group = group["faces"][0] if key == "faces" else group[key]
    del group[path[-1]]
    return data


@pytest.mark.parametrize(
    "path",
    [
        ("schema",),
        ("image",),
        ("image", "width"),
        ("faces",),
        ("faces", "score"),
        ("faces", "pose", "rotation"),
    ],
)
def test_incomplete_dictionary_raises(faces: Faces, path: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=path[-1]):
        Faces.from_dict(_without(faces[:1].to_dict(), *path))


def test_wrong_dictionary_raises(faces: Faces) -> None:
    data = faces.to_dict()
    with pytest.raises(InputError, match="schema 1"):
        Faces.from_dict(data | {"schema": 2})
    with pytest.raises(InputError, match="nested"):
        Faces.from_dict(data | {"faces": 3})
    with pytest.raises(InputError, match="shape"):
        Faces.from_dict(data | {"faces": [data["faces"][0] | {"box_xyxy": [1, 2]}, data["faces"][1]]})


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
    assert FORMATS == ("json", "overlay", "obj", "ply", "glb", "depth", "surface")
    for kind in FORMATS:
        faces[:0].save(tmp_path / kind, (kind,), image=photo())
    names = sorted(path.name for path in tmp_path.glob("*/*"))
    assert names == ["group.json", "group.overlay.jpg"]  # all others are files of one face


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

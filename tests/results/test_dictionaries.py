"""Faces as dictionaries: the schema, there and back, files of the former schema, errors."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from typing import Any

import jsonschema
import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom.geometry.camera import DEFAULT_FOV_DEG, Camera
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.geometry.topology import canonical_mm
from facegeom.results import FACE_SHAPES, MOTION_SHAPES, Faces

SCHEMA = json.loads((files("facegeom") / "data" / "faces.schema.json").read_text("utf-8"))

FOV_SOURCES = SCHEMA["$defs"]["face"]["properties"]["pose"]["properties"]["camera"]["properties"][
    "fov_source"
]


def through_json(data: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(data, allow_nan=False))


def test_dictionary_follows_the_schema(faces: Faces) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for record in (faces, faces[:1], Faces.empty(5, 6)):
        jsonschema.validate(through_json(record.to_dict()), SCHEMA)
    face = faces.to_dict()["faces"][0]
    known = SCHEMA["$defs"]["face"]["properties"]
    assert set(face) == set(known) - {"depth", "aligned"}  # only with their pictures
    pose = known["pose"]["properties"]
    assert set(face["pose"]) == set(pose) and set(face["pose"]["camera"]) == set(pose["camera"]["properties"])


def test_an_empty_result_keeps_its_angle_of_view() -> None:
    empty = replace(Faces.empty(5, 6, "wall.jpg"), fov_deg=80.5, fov_source="exif", min_face_px=12.0)
    data = through_json(empty.to_dict())
    jsonschema.validate(data, SCHEMA)
    assert Faces.from_dict(data) == empty
    del data["image"]["fov_deg"], data["image"]["fov_source"]  # as older versions wrote it
    assert Faces.from_dict(data).fov_deg == DEFAULT_FOV_DEG


def test_the_schema_and_its_number() -> None:
    assert SCHEMA["properties"]["schema"]["const"] == Faces.empty(5, 6).to_dict()["schema"] == 2
    assert SCHEMA["$id"] == "urn:facegeom:faces:2"
    assert FOV_SOURCES["enum"] == ["given", "exif", "assumed"]


def test_dictionary_there_and_back(faces: Faces) -> None:
    data = through_json(faces.to_dict())
    again = Faces.from_dict(data)
    for name in FACE_SHAPES | MOTION_SHAPES:
        np.testing.assert_allclose(
            getattr(again, name), getattr(faces, name), rtol=0, atol=1e-3, err_msg=name
        )
    assert again.about == faces.about and (again.width, again.height, again.file) == (320, 240, "group.jpg")
    assert again.to_dict()["faces"][0]["mesh_px"] == data["faces"][0]["mesh_px"]


@pytest.mark.parametrize(
    ("fov_deg", "source"), [(50.0, "assumed"), (74.125, "exif"), (110, "given"), (1, "given"), (179, "given")]
)
def test_what_was_read_comes_back_equal(faces: Faces, fov_deg: float, source: str) -> None:
    """Rounding happens once: what was read is written and read again without a change."""
    wide = replace(faces, fov_deg=fov_deg, fov_source=source)
    jsonschema.validate(through_json(wide.to_dict()), SCHEMA)
    once = Faces.from_dict(through_json(wide.to_dict()))
    assert (once.fov_deg, once.fov_source) == (fov_deg, source)
    again = Faces.from_dict(through_json(once.to_dict()))
    for name in FACE_SHAPES | MOTION_SHAPES:
        np.testing.assert_array_equal(getattr(again, name), getattr(once, name), err_msg=name)
    assert again == once and again.to_dict() == once.to_dict()


def test_numbers_of_a_pose_by_hand(make_faces: Callable[..., Faces]) -> None:
    """A head that looks into the lens from 53° to the right."""
    faces = make_faces(translation_mm=(400, 0, 300))
    pose = replace(faces, fov_deg=120.5, fov_source="given").to_dict()["faces"][0]["pose"]
    assert pose == {
        "rotation": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        "yaw_deg": 0,
        "pitch_deg": 0,
        "roll_deg": 0,
        "camera": {
            "rotation": [[0.6, 0, 0.8], [0, 1, 0], [-0.8, 0, 0.6]],
            "translation_mm": [400, 0, 300],
            "fov_deg": 120.5,
            "fov_source": "given",
        },
    }


def test_a_photo_without_faces_comes_back() -> None:
    nobody = Faces.empty(5, 6, "a.jpg")
    assert Faces.from_dict(through_json(nobody.to_dict())) == nobody


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("pose", "camera", "fov_source"), "guessed"),
        (("pose", "camera", "fov_deg"), 180),
        (("pose", "camera", "fov_deg"), 0),
        (("pose", "camera", "rotation"), [[1, 0, 0], [0, 1, 0]]),
        (("pose", "camera", "translation_mm"), [1, 2]),
        (("pose", "camera"), None),
        (("pose", "rotation"), [1, 0, 0]),
    ],
)
def test_the_schema_refuses(faces: Faces, path: tuple[str, ...], value: object) -> None:
    data = through_json(faces.to_dict())
    group = data["faces"][1]
    for key in path[:-1]:
        group = group[key]
    group[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, SCHEMA)


def _without(data: dict[str, Any], *path: str) -> dict[str, Any]:
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
        ("faces", "pose", "camera"),
        ("faces", "pose", "camera", "translation_mm"),
        ("faces", "pose", "camera", "fov_deg"),
        ("faces", "pose", "camera", "fov_source"),
    ],
)
def test_incomplete_dictionary_raises(faces: Faces, path: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=path[-1]):
        Faces.from_dict(_without(faces[:1].to_dict(), *path))


@pytest.mark.parametrize("number", [0, 3, 99, "2", None])
def test_an_unknown_schema_is_refused_with_its_number(faces: Faces, number: object) -> None:
    with pytest.raises(InputError, match=f"expected schema 1 or 2, got {number!r}"):
        Faces.from_dict(faces.to_dict() | {"schema": number})


def test_wrong_dictionary_raises(faces: Faces) -> None:
    data = faces.to_dict()
    with pytest.raises(InputError, match="nested"):
        Faces.from_dict(data | {"faces": 3})
    with pytest.raises(InputError, match="shape"):
        Faces.from_dict(data | {"faces": [data["faces"][0] | {"box_xyxy": [1, 2]}, data["faces"][1]]})


@pytest.mark.parametrize(("key", "value"), [("fov_deg", 0), ("fov_deg", "60"), ("fov_source", "guessed")])
def test_a_wrong_camera_in_a_dictionary_raises(faces: Faces, key: str, value: object) -> None:
    data = through_json(faces.to_dict())
    data["faces"][0]["pose"]["camera"][key] = value
    with pytest.raises(InputError, match=f"{key}: expected .* got {value!r}"):
        Faces.from_dict(data)


# From here on: schema 1. Its rotation was that of the camera frame, and it had no angle of view.

Place = tuple[float, float, float]


def former_face(
    camera: Camera, rotation: list[list[float]] | np.ndarray, translation_mm: Place
) -> dict[str, Any]:
    """Return a face of schema 1: the canonical head, with its rotation in the camera frame."""
    mesh_mm = canonical_mm() @ np.asarray(rotation).T + translation_mm
    depth_px = (mesh_mm[:, 2:] - translation_mm[2]) * camera.focal_px / translation_mm[2]
    mesh_px = np.concatenate([camera.project(mesh_mm), depth_px], axis=1)
    return {
        "box_xyxy": [10.0, 20.0, 30.0, 40.0],
        "score": 0.9876,
        "landmarks": {"ibug68": mesh_px[:68, :2].round(3).tolist()},
        "confidence": {"ibug68": [0.5] * 68, "mesh478": [0.25] * 478},
        "mesh_px": mesh_px.round(3).tolist(),
        "mesh_mm": mesh_mm.round(3).tolist(),
        "pose": {
            "rotation": np.round(rotation, 6).tolist(),
            "yaw_deg": 0.0,  # angles are not read: the matrix is
            "pitch_deg": 0.0,
            "roll_deg": 0.0,
            "translation_mm": list(translation_mm),
        },
    }


def former(camera: Camera, *faces: dict[str, Any]) -> dict[str, Any]:
    image = {"file": "old.jpg", "width": camera.width, "height": camera.height}
    return {"schema": 1, "image": image, "faces": list(faces)}


@pytest.mark.parametrize(
    ("translation_mm", "rotation"),
    [
        ((0, 0, 500), [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        ((400, 0, 300), [[0.6, 0, 0.8], [0, 1, 0], [-0.8, 0, 0.6]]),
        ((0, -300, 400), [[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]]),
    ],
)
def test_a_former_head_that_looks_into_the_lens(translation_mm: Place, rotation: list[list[float]]) -> None:
    camera = Camera(320, 240, 120)
    faces = Faces.from_dict(former(camera, former_face(camera, rotation, translation_mm)))
    np.testing.assert_allclose(faces.rotation[0], np.eye(3), atol=1e-5)
    np.testing.assert_allclose(faces.camera_rotation[0], rotation, atol=1e-5)
    np.testing.assert_array_equal(faces.translation_mm[0], translation_mm)
    assert (faces.width, faces.height, faces.file, len(faces)) == (320, 240, "old.jpg", 1)


def test_a_former_head_that_looks_along_the_axis() -> None:
    """At 53.13° to the right it shows the lens its side: a yaw of 53.13° as seen."""
    camera = Camera(320, 240, 120)
    face = Faces.from_dict(former(camera, former_face(camera, np.eye(3), (400, 0, 300))))[0]
    assert (face.yaw_deg, face.pitch_deg, face.roll_deg) == pytest.approx((53.1301, 0, 0), abs=1e-3)


@pytest.mark.parametrize("size_wh", [(320, 240), (1080, 1920)])
@pytest.mark.parametrize("fov_deg", [25, 50, 74.5, 110])
def test_the_angle_of_view_of_a_former_file(size_wh: tuple[int, int], fov_deg: float) -> None:
    camera = Camera(*size_wh, fov_deg)
    heads = [
        former_face(camera, rotation_from_angles(*angles), place)
        for angles, place in (((25, 10, 5), (80, -30, 600)), ((0, 0, 0), (-50, 40, 900)))
    ]
    data = through_json(former(camera, *heads))
    faces = Faces.from_dict(data)
    assert faces.fov_deg == pytest.approx(fov_deg, abs=0.05) and faces.fov_source == "assumed"
    np.testing.assert_allclose(faces.camera_rotation, [head["pose"]["rotation"] for head in heads], atol=1e-5)
    jsonschema.validate(through_json(faces.to_dict()), SCHEMA)
    assert Faces.from_dict(faces.to_dict()).fov_deg == pytest.approx(faces.fov_deg, abs=1e-3)


def test_a_former_file_without_faces() -> None:
    faces = Faces.from_dict(former(Camera(320, 240)))
    assert faces == Faces.empty(320, 240, "old.jpg") and faces.fov_deg == DEFAULT_FOV_DEG


def test_an_incomplete_former_file_raises() -> None:
    camera = Camera(320, 240)
    data = former(camera, former_face(camera, np.eye(3), (0, 0, 500)))
    with pytest.raises(InputError, match="translation_mm"):
        Faces.from_dict(_without(data, "faces", "pose", "translation_mm"))

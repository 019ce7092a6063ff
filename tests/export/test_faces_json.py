"""The JSON of a photo: one line of ASCII, the arrays there and back, its errors."""

import json

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom.export import faces_json
from facegeom.results import FACE_SHAPES, MOTION_SHAPES, Faces


def arrays(faces: Faces) -> dict[str, np.ndarray]:
    return {name: getattr(faces, name) for name in FACE_SHAPES | MOTION_SHAPES}


def test_one_line_of_ascii(faces: Faces) -> None:
    about = faces.about | {"file": "Größe.jpg"}
    content = faces_json.encode(arrays(faces), about)
    assert content.isascii() and content.endswith(b"}\n") and content.count(b"\n") == 1
    assert json.loads(content) == faces_json.to_dict(arrays(faces), about)
    assert json.loads(content)["image"] == {"file": "Größe.jpg", "width": 320, "height": 240}


def test_the_angle_of_view_stands_with_each_face(faces: Faces) -> None:
    about = faces.about | {"fov_deg": 70.123456, "fov_source": "exif"}
    data = faces_json.to_dict(arrays(faces), about)
    cameras = [face["pose"]["camera"] for face in data["faces"]]
    assert [(each["fov_deg"], each["fov_source"]) for each in cameras] == [(70.123, "exif")] * 3
    rotations = [each["rotation"] for each in cameras]
    np.testing.assert_allclose(rotations, faces.camera_rotation, rtol=0, atol=1e-6)
    assert faces_json.from_dict(data)[1] == about | {"fov_deg": 70.123}


def test_arrays_there_and_back(faces: Faces) -> None:
    data = faces_json.to_dict(arrays(faces), faces.about)
    found, about = faces_json.from_dict(data)
    assert about == faces.about and set(found) == set(FACE_SHAPES | MOTION_SHAPES)
    for name, array in found.items():
        np.testing.assert_allclose(array, getattr(faces, name), rtol=0, atol=1e-3, err_msg=name)
    assert data == faces.to_dict()


def test_a_photo_without_faces() -> None:
    nobody = Faces.empty(32, 24, "a.jpg")
    data = faces_json.to_dict(arrays(nobody), nobody.about)
    assert data["faces"] == [] and faces_json.from_dict(data) == ({}, nobody.about)


def test_depth_entries_stand_with_their_faces(faces: Faces) -> None:
    entries = [{"file": f"{number}.png"} for number in range(len(faces))]
    data = faces_json.to_dict(arrays(faces), faces.about, {"depth": entries})
    assert [face["depth"] for face in data["faces"]] == entries
    assert all("depth" not in face for face in faces.to_dict()["faces"])


@pytest.mark.parametrize(
    ("error", "message"), [(KeyError("pose"), "expected the key 'pose'"), (TypeError("no list"), "no list")]
)
def test_errors_of_incomplete_data(error: Exception, message: str) -> None:
    with pytest.raises(InputError, match=message), faces_json.explained_errors():
        raise error

"""Arguments of wrong types and absurd sizes: each gives an error of facegeom, and none runs for long."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facegeom import FaceAnalyzer, FacegeomError, Faces, HeadPoseDetector
from facegeom.errors import InputError, shown
from facegeom.results import Poses

PHOTO = Path(str(files("facegeom") / "data" / "astronaut.jpg"))
BOX = [[100, 50, 300, 250]]
SEVERAL = np.array(["int8", "float32"])


@cache
def analyzer() -> FaceAnalyzer:
    return FaceAnalyzer(threads=1)


@pytest.mark.parametrize(
    "boxes",
    [
        [["a"] * 4],
        [[1, 2], [3, 4, 5]],
        [[object()] * 4],
        [[1j, 2, 3, 4]],
        [[0, 0, 10**400, 10**400]],
        [[-1e30, -1e30, 1e30, 1e30]],
        [[1e12, 1e12, 2e12, 2e12]],
        [[0, 0, 1e300, 1e300]],
        [[0, 0, 1e-30, 1e-30]],
        [[1, 1, 1.0000001, 1.0000001]],
        [[math.nan, 0, 1, 1]],
        None,
    ],
)
def test_boxes_that_are_no_places(boxes: Any) -> None:
    with pytest.raises(InputError, match=r"^boxes_xyxy: expected"):
        analyzer().at(PHOTO, boxes)


@pytest.mark.parametrize("roll", [["x"], [1j], [1e300], [None], [1, 2], "x", [10**400]])
def test_rolls_that_are_no_angles(roll: Any) -> None:
    with pytest.raises(InputError, match=r"^roll_deg: expected"):
        analyzer().at(PHOTO, BOX, roll)


@pytest.mark.parametrize("name", ["min_face", "max_faces", "min_score", "fov_deg", "orientation"])
def test_options_of_a_call_that_are_several_numbers(name: str) -> None:
    with pytest.raises(InputError, match=f"^{name}: expected"):
        analyzer()(PHOTO, **{name: np.array([20, 30])})


@pytest.mark.parametrize("kind", [FaceAnalyzer, HeadPoseDetector])
@pytest.mark.parametrize("threads", [0, -1, 1025, 2**31, 10**5000, 1.0, "2", math.nan, True], ids=shown)
def test_threads_that_no_machine_has(kind: Any, threads: Any) -> None:
    with pytest.raises(InputError, match=r"^threads: expected a whole number from 1 to 1024, got"):
        kind(threads=threads)


@pytest.mark.parametrize("name", ["min_face", "max_faces", "min_score", "fov_deg"])
def test_a_bool_is_no_number(name: str) -> None:
    for kind in (FaceAnalyzer, HeadPoseDetector):
        with pytest.raises(InputError, match=f"^{name}: expected .* got True$"):
            kind(**{name: True})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["weights", "detector", "pose_net", "orientation", "depth", "device"])
@pytest.mark.parametrize("value", [3, [], {}, SEVERAL, b"int8"])
def test_names_that_are_no_names(name: str, value: Any) -> None:
    if name == "device" and value is SEVERAL:
        value = ("cpu",)  # the default of the weights compares the device before it is checked
    with pytest.raises(InputError, match=rf"^{name}: expected"):
        FaceAnalyzer(**{name: value})


def test_names_of_a_call_that_are_no_names() -> None:
    with pytest.raises(InputError, match=r"^on_error: expected"):
        analyzer().batch([PHOTO], on_error=SEVERAL)  # type: ignore[call-overload]
    with pytest.raises(InputError, match=r"^orientation: expected"):
        analyzer()(PHOTO, orientation=["exif"])  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_a_matrix_is_an_array() -> None:
    pixels = np.full((40, 30), 128, np.uint8)
    assert analyzer()(np.matrix(pixels)) == analyzer()(pixels)
    assert analyzer().at(PHOTO, np.matrix(BOX)) == analyzer().at(PHOTO, BOX)


def test_a_message_is_short_and_shows_anything() -> None:
    class Unprintable:
        def __repr__(self) -> str:
            raise OSError

    assert shown("a") == "'a'" and shown(10**5000) == "a value of type int"
    assert len(shown([1] * 1000)) <= 120 and shown(Unprintable()) == "a value of type Unprintable"


def changed(data: dict[str, Any], path: tuple[Any, ...], value: object) -> dict[str, Any]:
    data = copy.deepcopy(data)
    place: Any = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return data


PLACES: tuple[tuple[Any, ...], ...] = (
    ("schema",),
    ("image",),
    ("image", "width"),
    ("image", "file"),
    ("image", "turned_deg"),
    ("faces",),
    ("faces", 0),
    ("faces", 0, "box_xyxy"),
    ("faces", 0, "box_xyxy", 0),
    ("faces", 0, "score"),
    ("faces", 0, "landmarks", "ibug68"),
    ("faces", 0, "confidence", "mesh478", 5),
    ("faces", 0, "mesh_px", 0, 0),
    ("faces", 0, "mesh_mm", 7, 2),
    ("faces", 0, "pose", "rotation"),
    ("faces", 0, "pose", "camera", "translation_mm"),
    ("faces", 0, "pose", "camera", "fov_deg"),
    ("faces", 0, "pose", "camera", "fov_source"),
)
VALUES = (10**400, 10**5000, math.nan, math.inf, 1e39, 1e30, "x", None, [], {}, True, -5, [1, 2], "\ud800")


def uses(faces: Faces, out: Path) -> Iterator[Callable[[], object]]:
    yield lambda: faces.to_rows(True)
    yield lambda: (repr(faces), faces.camera_rotation, faces.yaw_deg, faces.to_dict())
    yield lambda: faces.draw(np.zeros((240, 320, 3), np.uint8))
    yield lambda: faces.save(out, ["json", "obj", "ply", "glb"])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("path", PLACES, ids=shown)
def test_any_value_at_any_place_of_a_dictionary(faces: Faces, path: tuple[Any, ...], tmp_path: Path) -> None:
    """It is refused, or every use of the faces gives a result or an error of facegeom."""
    whole = faces.to_dict()
    for value in VALUES:
        try:
            found = Faces.from_dict(changed(whole, path, value))
        except InputError:
            continue
        for use in uses(found, tmp_path):
            try:
                use()
            except FacegeomError as error:
                assert str(error)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("box_xyxy",), [200, 200, 100, 100], "box_xyxy: expected left <= right and top <= bottom"),
        (("pose", "rotation"), [[0] * 3] * 3, "pose.rotation: expected a rotation"),
        (("pose", "rotation"), [[-1, 0, 0], [0, 1, 0], [0, 0, 1]], "expected a rotation, det R = 1"),
        (
            ("pose", "camera", "translation_mm"),
            [0, 0, 0],
            "translation_mm: expected a head before the camera",
        ),
        (("score",), 2, "expected numbers from 0 to 1"),
        (("confidence", "ibug68", 0), -1, "expected numbers from 0 to 1"),
    ],
)
def test_values_that_no_face_has(faces: Faces, path: tuple[Any, ...], value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Faces.from_dict(changed(faces.to_dict(), ("faces", 0, *path), value))


@pytest.mark.parametrize(
    "fields",
    [
        {"width": math.nan},
        {"width": "3"},
        {"height": 1.5},
        {"height": 10**400},
        {"file": 3},
        {"turned_deg": "90"},
        {"turned_deg": np.zeros(2)},
        {"score": "x"},
        {"landmarks_px": [[1], [1, 2]]},
        {"mesh_mm": 10**400},
        {"mesh_mm": np.full((3, 478, 3), 1e300)},
        {"depth": 3},
        {"fov_source": ["exif"]},
        {"fov_deg": 10**5000},
    ],
    ids=shown,
)
def test_fields_of_wrong_types(faces: Faces, fields: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected"):
        replace(faces, **fields)


@pytest.mark.parametrize("name", ["box_xyxy", "landmarks_px", "mesh_px", "rotation"])
@pytest.mark.parametrize("value", [3e38, -3e38, 1e30, 1e9, -1e6])
def test_drawing_of_absurd_places(faces: Faces, name: str, value: float) -> None:
    """Also of all points at once, and of one alone."""
    pixels = np.zeros((240, 320, 3), np.uint8)
    array = np.array(getattr(faces, name))
    array.reshape(len(faces), -1)[:, 0] = value
    for each in (array, np.full_like(array, value)):
        assert replace(faces, **{name: each}).draw(pixels).size == (320, 240)
        if name in ("box_xyxy", "rotation"):
            fields = {"box_xyxy": faces.box_xyxy, "rotation": faces.rotation, name: each}
            rotation = fields["rotation"]
            poses = Poses(fields["box_xyxy"], faces.score, rotation, faces.rotation, 320, 240)
            assert poses.draw(pixels).size == (320, 240)


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "..", ".", "", "a\0b", "\ud800", 3, b"x"])
def test_names_that_lead_out_of_the_folder(faces: Faces, name: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^name: expected a name of files inside the folder"):
        faces.save(tmp_path / "out", ["json"], name=name)
    assert list(tmp_path.rglob("*")) == []
    if isinstance(name, str) and name not in ("", "/x", "../x", "a/../../x"):  # the name of the photo's file
        with pytest.raises(InputError, match=r"^name: expected"):
            replace(faces, file=name).save(tmp_path / "out", ["json"])


@pytest.mark.parametrize("directory", [3, None, b"x", "a\0b", "\ud800"])
def test_folders_that_are_no_paths(faces: Faces, directory: Any) -> None:
    with pytest.raises(InputError, match=r"^directory: expected the path of a folder"):
        faces.save(directory, ["json"])


@pytest.mark.parametrize("formats", [3, None, [3], [["json"]], "json", [None]])
def test_formats_that_are_no_names(faces: Faces, formats: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^expected formats from"):
        faces.save(tmp_path, formats)


def test_formats_may_be_any_collection(faces: Faces, tmp_path: Path) -> None:
    for formats in (("json",), {"json"}, iter(["json"])):
        assert [path.name for path in faces.save(tmp_path, formats)] == ["group.json"]  # type: ignore[arg-type]

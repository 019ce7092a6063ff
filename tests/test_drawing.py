"""Drawing: places and colours of each layer, pixels that stay as they were."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegeom.errors import InputError
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.results import Faces, Poses

LAYERS = ("box", "landmarks", "mesh", "axes")
GREY = 90


def photo(width: int = 320, height: int = 240) -> np.ndarray:
    return np.full((height, width, 3), GREY, np.uint8)


def only(*layers: str) -> dict[str, bool]:
    return {layer: layer in layers for layer in LAYERS}


def drawn(faces: Faces, *layers: str) -> np.ndarray:
    """Return the drawn image (H, W, 3) less the photo's grey."""
    return np.asarray(faces.draw(photo(faces.width, faces.height), **only(*layers))).astype(int) - GREY


def test_photo_is_not_changed(faces: Faces) -> None:
    image = photo()
    drawing = faces.draw(image)
    assert drawing.mode == "RGB" and drawing.size == (320, 240)
    assert (image == GREY).all() and (np.asarray(drawing) != GREY).any()


def test_nothing_to_draw_leaves_the_photo(faces: Faces) -> None:
    assert not drawn(Faces.empty(320, 240), *LAYERS).any()
    assert not drawn(faces).any()


@pytest.mark.parametrize("layer", LAYERS)
def test_each_layer_draws_near_its_face_only(faces: Faces, layer: str) -> None:
    drawing = drawn(faces[:1], layer)
    rows, columns = np.nonzero(drawing.any(axis=2))
    left, top, right, bottom = faces.box_xyxy[0]
    reach = 0.6 * (bottom - top)
    assert len(rows) > 20
    assert columns.min() > left - reach and columns.max() < right + reach
    assert rows.min() > top - reach and rows.max() < bottom + reach


def test_box_is_where_it_should_be(faces: Faces) -> None:
    left, top, right, bottom = np.rint(faces.box_xyxy[0]).astype(int)
    drawing = drawn(faces[:1], "box")
    middle_y, middle_x = (top + bottom) // 2, (left + right) // 2
    for y, x in ((middle_y, left), (middle_y, right), (top, middle_x), (bottom, middle_x)):
        assert np.abs(drawing[y - 1 : y + 2, x - 1 : x + 2]).max() > 40
    assert not drawing[middle_y, middle_x].any()


def test_landmarks_show_confidence(faces: Faces) -> None:
    drawing = drawn(faces[:1], "landmarks")
    points = np.rint(faces[0].landmarks_px).astype(int)
    doubtful, sure = drawing[tuple(points[2][::-1])], drawing[tuple(points[54][::-1])]
    assert doubtful[0] > doubtful[1] and sure[1] > sure[0]


@pytest.mark.parametrize(
    ("angles_deg", "towards"),
    [((40, 0, 0), (1, 0)), ((-40, 0, 0), (-1, 0)), ((0, 40, 0), (0, -1)), ((0, -40, 0), (0, 1))],
)
def test_blue_axis_points_along_the_nose(
    make_faces: Callable[..., Faces], angles_deg: tuple[float, ...], towards: tuple[int, int]
) -> None:
    faces = make_faces(angles_deg=angles_deg)
    drawing = drawn(faces, "axes")
    blue = drawing[..., 2] - drawing[..., :2].max(axis=2) > 60
    rows, columns = np.nonzero(blue)
    eyes = faces[0].landmarks_px[36:48].mean(axis=0)
    offset = np.array([columns.mean(), rows.mean()]) - eyes
    assert offset @ towards > 0.9 * np.linalg.norm(offset) > 5


def axis_lengths(drawing: np.ndarray) -> dict[str, np.ndarray]:
    """Return lengths of the red, green and blue axis along x and y, pixels."""
    lengths = {}
    for channel, name in enumerate(("x", "y", "z")):
        others = np.delete(drawing, channel, axis=2).max(axis=2)
        rows, columns = np.nonzero(drawing[..., channel] - others > 60)
        lengths[name] = np.array([np.ptp(columns), np.ptp(rows)])
    return lengths


def test_axes_follow_the_rotation_as_seen(make_faces: Callable[..., Faces]) -> None:
    """A head that looks into the lens shows its x to the right and its y down, at the side, too."""
    middle, side = make_faces(), make_faces(translation_mm=(-200, 0, 500))
    assert side[0].camera_rotation[0, 2] < -0.3  # in the camera frame it is turned
    for faces in (middle, side):
        size = float(np.ptp(faces.mesh_px[0, :, :2], axis=0).max())
        lengths = axis_lengths(drawn(faces, "axes"))
        np.testing.assert_allclose(lengths["x"], (0.5 * size, 0), atol=0.12 * size)
        np.testing.assert_allclose(lengths["y"], (0, 0.5 * size), atol=0.12 * size)
        assert lengths["z"].max() < 0.12 * size  # the nose points at the viewer


def test_axes_of_poses_follow_the_rotation_as_seen() -> None:
    boxes, score = np.array([[100, 60, 200, 160]]), np.array([0.9])
    seen, turned = np.eye(3)[None], rotation_from_angles(50, 20, 10)[None]
    first, second, other = (
        np.asarray(Poses(boxes, score, *rotations, 320, 240).draw(photo()))
        for rotations in ((seen, seen), (seen, turned), (turned, seen))
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


@pytest.mark.parametrize("roll", [0, 90])
def test_lines_of_gaze_lead_from_the_irises(make_faces: Callable[..., Faces], roll: float) -> None:
    looks = np.array([[[-0.6, 0, -0.8], [0.6, 0, -0.8]]])
    faces = replace(make_faces(angles_deg=(0, 0, roll)), gaze=looks, gaze_confidence=np.array([[1.0, 0.5]]))
    drawing = np.asarray(faces.draw(photo(), gaze=True, **only())).astype(int) - GREY
    size = float(np.ptp(faces.mesh_px[0, :, :2], axis=0).max())
    for iris, aside, colour in zip((468, 473), (-1, 1), (165, 82), strict=True):
        towards = np.array([np.cos(np.radians(roll)), np.sin(np.radians(roll))]) * aside
        for share in (0.25, 0.6, 0.95):
            x, y = np.rint(faces.mesh_px[0, iris, :2] + towards * 0.4 * 0.6 * share * size).astype(int)
            pixel = drawing[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3)
            red, green, _ = pixel[pixel[:, 0].argmax()]
            assert abs(red - colour) < 25 and green < 15
    bare = {"gaze": None, "gaze_confidence": None}
    assert (np.asarray(replace(faces, **bare).draw(photo(), gaze=True, **only())) == GREY).all()


def test_mesh_hides_its_far_side(make_faces: Callable[..., Faces]) -> None:
    front, side = (np.abs(drawn(make_faces(angles_deg=(yaw, 0, 0)), "mesh")).sum() for yaw in (0, 90))
    assert side < 0.75 * front


@pytest.mark.parametrize("z_mm", [150, 5_000, 100_000])
def test_any_size_of_face(make_faces: Callable[..., Faces], z_mm: float) -> None:
    assert drawn(make_faces(translation_mm=(0, 0, z_mm)), *LAYERS).any()


@pytest.mark.parametrize("place", [(5_000, 0, 500), (-200, 0, 500), (0, 160, 500), (-5_000, -5_000, 500)])
def test_face_at_or_beyond_the_edge(make_faces: Callable[..., Faces], place: tuple[float, ...]) -> None:
    drawing = drawn(make_faces(translation_mm=place), *LAYERS)
    assert drawing.any() == (abs(place[0]) < 5_000)


def test_photo_of_another_size_raises(faces: Faces) -> None:
    with pytest.raises(InputError, match="320 x 240 pixels, got 5 x 7"):
        faces.draw(photo(5, 7))


@pytest.mark.parametrize("roll", [0, 90, 180])
def test_axes_of_poses_start_at_the_middle_of_the_box(roll: float) -> None:
    rotation = rotation_from_angles(0, 0, roll)[None]
    boxes = np.array([[100, 60, 200, 160]])
    poses = Poses(boxes, np.array([0.9]), rotation, np.eye(3)[None], 320, 240)
    lines = np.asarray(poses.draw(photo(), box=False)).astype(int) - GREY
    reach = np.argwhere(np.abs(lines).max(axis=2) > 40)[:, ::-1]
    towards = {0: (1, 1), 90: (-1, 1), 180: (-1, -1)}[roll]  # x to the right and y down, rotated clockwise
    far = np.array([150, 110]) + 50 * np.array(towards)
    low, high = np.minimum(far, (150, 110)), np.maximum(far, (150, 110))
    np.testing.assert_allclose(reach.min(axis=0), low, atol=5)
    np.testing.assert_allclose(reach.max(axis=0), high, atol=5)
    assert (np.asarray(poses.draw(photo(), box=False, axes=False)) == GREY).all()
    assert np.asarray(poses.draw(photo(), axes=False))[60, 110:190].min() > GREY + 20


def test_without_an_image_the_file_is_read_again(faces: Faces, tmp_path: Path) -> None:
    image = photo(faces.width, faces.height)
    path = tmp_path / "grey.png"
    Image.fromarray(image).save(path)
    poses = Poses(faces.box_xyxy, faces.score, faces.rotation, faces.rotation, faces.width, faces.height)
    for found in (faces, poses):
        again = replace(found, file=str(path)).draw()
        np.testing.assert_array_equal(np.asarray(again), np.asarray(found.draw(image)))
        with pytest.raises(InputError, match="expected the photo of the faces as image"):
            replace(found, file=None).draw()


def test_poses_of_another_photo() -> None:
    with pytest.raises(InputError, match="320 x 240 pixels, got 32 x 24"):
        Poses.empty(320, 240).draw(photo(32, 24))

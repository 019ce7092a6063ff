"""Results of turned photos: the same place, rotation and depth in the photo as given."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from facegeom.depth.depth_map import DepthMap
from facegeom.errors import InputError
from facegeom.geometry.camera import Camera
from facegeom.image.photo import Photo
from facegeom.image.pyramid import Pyramid
from facegeom.results import Faces, Poses
from facegeom.results.turning import best_turn, turn_back

WIDTH, HEIGHT = 320, 240


def turned_faces(faces: Faces, turned_deg: int) -> Faces:
    """Turn the faces of a photo of WIDTH x HEIGHT clockwise with it, quarter by quarter."""
    for _ in range(turned_deg // 90):
        height, pixels, quarter = faces.height, faces, np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
        mesh = np.stack(
            [height - 1 - pixels.mesh_px[..., 1], pixels.mesh_px[..., 0], pixels.mesh_px[..., 2]], axis=-1
        )
        left, top, right, bottom = pixels.box_xyxy.T
        faces = replace(
            faces,
            width=faces.height,
            height=faces.width,
            box_xyxy=np.stack([height - 1 - bottom, left, height - 1 - top, right], axis=-1),
            landmarks_px=np.stack(
                [height - 1 - pixels.landmarks_px[..., 1], pixels.landmarks_px[..., 0]], axis=-1
            ),
            mesh_px=mesh,
            mesh_mm=pixels.mesh_mm @ quarter.T,
            translation_mm=pixels.translation_mm @ quarter.T,
            rotation=quarter @ pixels.rotation,
        )
    return faces


@pytest.mark.parametrize("turned_deg", [0, 90, 180, 270])
def test_faces_come_back_to_their_places(faces: Faces, turned_deg: int) -> None:
    back = turn_back(turned_faces(faces, turned_deg), turned_deg)
    assert (back.width, back.height, back.turned_deg) == (WIDTH, HEIGHT, turned_deg)
    for name in ("box_xyxy", "landmarks_px", "mesh_px", "mesh_mm", "translation_mm", "rotation", "score"):
        np.testing.assert_allclose(getattr(back, name), getattr(faces, name), atol=2e-3, err_msg=name)
    np.testing.assert_allclose(back.camera_rotation, faces.camera_rotation, atol=1e-4)


@pytest.mark.parametrize("turned_deg", [90, 180, 270])
def test_meshes_in_millimetres_still_project_to_the_pixels(faces: Faces, turned_deg: int) -> None:
    back = turn_back(turned_faces(faces, turned_deg), turned_deg)
    camera = Camera(back.width, back.height, back.fov_deg)
    np.testing.assert_allclose(camera.project(back.mesh_mm), back.mesh_px[..., :2], atol=0.05)


@pytest.mark.parametrize(("turned_deg", "place"), [(90, (20, 229)), (180, (309, 219)), (270, (299, 10))])
def test_depth_maps_lie_where_their_faces_lie(faces: Faces, turned_deg: int, place: tuple[int, int]) -> None:
    depth = DepthMap(np.full((8, 8), 600, np.float32), np.array([[2.0, 0, 10], [0, 2, 20]]))
    turned = replace(turned_faces(faces, turned_deg)[:1], depth=(depth,))
    back = turn_back(turned, turned_deg)
    assert back.depth is not None
    np.testing.assert_allclose(back.depth[0].pixels_xy()[0, 0], place)
    np.testing.assert_array_equal(back.depth[0].z_mm, depth.z_mm)


def test_head_poses_come_back() -> None:
    rotation = np.array([[[0, -1, 0], [1, 0, 0], [0, 0, 1.0]]])  # an upright head in a photo turned by 90
    poses = Poses(np.array([[0, 0, 10, 20]]), np.array([0.9]), rotation, rotation, HEIGHT, WIDTH)
    back = turn_back(poses, 90)
    np.testing.assert_allclose(back.rotation[0], np.eye(3), atol=1e-6)
    np.testing.assert_allclose(back.camera_rotation[0], np.eye(3), atol=1e-6)
    np.testing.assert_allclose(back.box_xyxy, [[0, HEIGHT - 1 - 10, 20, HEIGHT - 1]])
    assert (back.width, back.height, back.turned_deg) == (WIDTH, HEIGHT, 90)


def photo() -> Photo:
    return Photo(Pyramid(np.zeros((HEIGHT, WIDTH, 3), np.uint8)), Camera(WIDTH, HEIGHT), "assumed")


def finder(results: dict[tuple[int, int], Faces]) -> Callable[[Photo], Faces]:
    """Answer by the corner of the photo that is white: top left as given."""

    def find(turned: Photo) -> Faces:
        rows, columns = np.nonzero(turned.pyramid.pixels[..., 0])
        corner = (int(columns[0] > 0), int(rows[0] > 0))
        empty = Faces.empty(turned.camera.width, turned.camera.height)
        return results.get(corner, empty)

    return find


@pytest.mark.parametrize(("corner", "turned_deg"), [((1, 0), 90), ((1, 1), 180), ((0, 1), 270)])
def test_the_turn_that_shows_a_face_wins(faces: Faces, corner: tuple[int, int], turned_deg: int) -> None:
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[0, 0] = 255
    given = replace(photo(), pyramid=Pyramid(pixels))
    size = (WIDTH, HEIGHT) if turned_deg == 180 else (HEIGHT, WIDTH)
    found = replace(faces, width=size[0], height=size[1])
    answer = best_turn(given, Faces.empty(WIDTH, HEIGHT), finder({corner: found}))
    assert answer == turn_back(found, turned_deg)


def test_a_sure_face_ends_the_search(faces: Faces) -> None:
    def find(_: Photo) -> Faces:
        raise AssertionError("a photo with a sure face was turned")

    sure = replace(faces, landmarks_confidence=np.full((3, 68), 0.9))
    assert best_turn(photo(), sure, find) is sure


def test_nothing_in_any_direction() -> None:
    nothing = Faces.empty(WIDTH, HEIGHT)
    tried: list[tuple[int, int]] = []

    def find(turned: Photo) -> Faces:
        size = (turned.camera.width, turned.camera.height)
        tried.append(size)
        return Faces.empty(*size)

    assert best_turn(photo(), nothing, find) is nothing
    assert tried == [(HEIGHT, WIDTH), (WIDTH, HEIGHT), (HEIGHT, WIDTH)]


@pytest.mark.parametrize("turned_deg", [45, -90, 360])
def test_other_turns_are_refused(faces: Faces, turned_deg: int) -> None:
    with pytest.raises(InputError, match="turned_deg"):
        replace(faces, turned_deg=turned_deg)


def test_json_tells_the_turn_only_if_there_was_one(faces: Faces) -> None:
    assert "turned_deg" not in faces.to_dict()["image"]
    turned = replace(faces, turned_deg=90)
    assert turned.to_dict()["image"]["turned_deg"] == 90
    assert Faces.from_dict(turned.to_dict()).turned_deg == 90


def test_the_smallest_face_is_in_the_json_if_faces_were_searched(faces: Faces) -> None:
    assert "min_face_px" not in faces.to_dict()["image"]
    searched = replace(faces, min_face_px=22.4)
    assert searched.to_dict()["image"]["min_face_px"] == 22.4
    assert Faces.from_dict(searched.to_dict()).min_face_px == 22.4
    for wrong in (-1, float("nan"), "20"):
        with pytest.raises(InputError, match="min_face_px: expected a number from 0 to 100000000"):
            replace(faces, min_face_px=wrong)

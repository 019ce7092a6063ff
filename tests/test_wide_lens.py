"""Heads away from the axis of known and unknown lenses: by exact predictions, by the networks that ship."""

from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegeom import Face, FaceAnalyzer
from facegeom.geometry.boxes import square
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import (
    geodesic_deg,
    procrustes,
    rotation_from_angles,
    rotation_to_6d,
    rotation_to_line_of_sight,
)
from facegeom.geometry.topology import canonical_mm
from facegeom.image.photo import open_photo
from facegeom.image.pyramid import Pyramid
from facegeom.models.engine import Engine
from facegeom.models.face import CROP_PX, CROP_SCALE, FaceNet, FacePredictions
from facegeom.models.regions import FEATURES
from facegeom.models.virtual_views import virtual_views

HeadSeenBy = Callable[..., tuple[np.ndarray, np.ndarray]]
PLACES = [(x, y) for x in (-0.85, 0, 0.85) for y in (-0.8, 0, 0.8)]
"""Nine places in half widths and half heights from the middle."""


def _no_closer_look(
    images: Sequence[Pyramid], predictions: Sequence[FacePredictions]
) -> tuple[list[FacePredictions], list[np.ndarray]]:
    return list(predictions), [np.zeros((len(each.score), FEATURES), np.float32) for each in predictions]


@pytest.fixture(scope="module")
def analyzer() -> FaceAnalyzer:
    return FaceAnalyzer(threads=2)


def angle_deg(first: np.ndarray, second: np.ndarray) -> float:
    return float(geodesic_deg(first.astype(np.float64), second.astype(np.float64)))


# Exact predictions: what a perfect network would see in the crop of a known head.


class TrueEngine:
    """Predicts a known head as the crop shows it.

    Args:
        head: (478, 3) mesh, pixels of the photo; z on the same scale.
        rotation: (3, 3) as seen.
        box_xyxy: (1, 4) of the face.
        lens: as the analyzer knows it; None where it does not.
    """

    def __init__(
        self, head: np.ndarray, rotation: np.ndarray, box_xyxy: np.ndarray, lens: Camera | None
    ) -> None:
        crop = square(square(box_xyxy), CROP_SCALE)
        side = crop[0, 2] - crop[0, 0]
        view = virtual_views(crop, lens)
        centre = (crop[0, :2] + crop[0, 2:]) / 2
        image_from_unit = np.array([[side, 0, centre[0]], [0, side, centre[1]], [0, 0, 1]])
        if view is not None:
            image_from_unit = view.image_from_unit[0]
        x, y, w = np.linalg.inv(image_from_unit) @ np.column_stack([head[:, :2], np.ones(478)]).T
        self.mesh = np.stack([x / w, y / w, head[:, 2] / side], axis=-1)  # views keep the scale of z
        self.rotation = rotation

    def __call__(self, crops: np.ndarray) -> list[np.ndarray]:
        assert crops.shape == (1, CROP_PX, CROP_PX, 3)
        box = np.array([[-0.4, -0.4, 0.4, 0.4]])
        landmarks = self.mesh[:68, :2].copy()  # outputs are changed in place
        scales = np.full((1, 68), 0.01), np.full((1, 478), 0.01)
        return [
            np.ones(1),
            box,
            rotation_to_6d(self.rotation)[None],
            landmarks[None],
            self.mesh[None],
            *scales,
        ]

    batched = Engine.batched
    threads, device = 1, "cpu"


@pytest.mark.parametrize("fov_deg", [25, 50, 75, 90, 110])
@pytest.mark.parametrize("angles", [(0, 0, 0), (20, -10, 15)])
@pytest.mark.parametrize("place", PLACES)
def test_a_head_is_the_same_anywhere(
    analyzer: FaceAnalyzer,
    head_seen_by: HeadSeenBy,
    monkeypatch: pytest.MonkeyPatch,
    fov_deg: float,
    angles: tuple[float, ...],
    place: tuple[float, float],
) -> None:
    """Turned as seen, it has this rotation, its place, its distance and its size, whatever the lens."""
    camera, rotation = Camera(640, 480, fov_deg), rotation_from_angles(*angles)
    line = camera.back_project(camera.centre_px + np.array(place) * (320, 240), np.array(1.0))
    translation_mm = 1200 * line / np.linalg.norm(line)
    _, mesh_px = head_seen_by(camera, rotation, translation_mm)
    middle = mesh_px[:, :2].mean(axis=0)
    box = np.concatenate([middle - 40, middle + 40])[None]
    monkeypatch.setattr(analyzer, "face_net", FaceNet(TrueEngine(mesh_px, rotation, box, camera)))
    monkeypatch.setattr(analyzer, "region_nets", _no_closer_look)
    photo = open_photo(np.full((480, 640, 3), 90, np.uint8), fov_deg)
    face = analyzer.at(photo, box)[0]
    np.testing.assert_allclose(face.mesh_px, mesh_px, atol=0.01)
    np.testing.assert_allclose(face.rotation, rotation, atol=1e-6)
    np.testing.assert_allclose((face.yaw_deg, face.pitch_deg, face.roll_deg), angles, atol=1e-4)
    assert angle_deg(face.camera_rotation, rotation_to_line_of_sight(translation_mm) @ rotation) < 0.1
    assert np.linalg.norm(face.translation_mm) == pytest.approx(1200, rel=0.01)
    np.testing.assert_allclose(face.translation_mm, translation_mm, atol=0.01 * 1200)
    np.testing.assert_allclose(camera.project(face.mesh_mm), mesh_px[:, :2], atol=0.05)
    fit = procrustes(canonical_mm().astype(np.float64), face.mesh_mm.astype(np.float64))
    assert fit.scale == pytest.approx(1, abs=0.01)
    assert angle_deg(fit.rotation, face.camera_rotation) < 0.15


# From here on: the networks that ship, on the portrait as a wide lens shows it at its side.

DEMO = Path(str(files("facegeom") / "data" / "astronaut.jpg"))
PORTRAIT = Camera(512, 512, 50)
WIDE = Camera(1400, 1050, 100)


def from_edges(camera: Camera) -> np.ndarray:
    """Return the map from directions to pixels, counted from the image's edge as Pillow does."""
    return np.array(
        [[camera.focal_px, 0, camera.width / 2], [0, camera.focal_px, camera.height / 2], [0, 0, 1]]
    )


def turned(image: Image.Image, turn: np.ndarray, camera: Camera) -> Image.Image:
    """Return what a camera turned about its own centre sees of the portrait, antialiased."""
    fine = Camera(camera.width * 2, camera.height * 2, camera.fov_deg)
    matrix = from_edges(PORTRAIT) @ turn.T @ np.linalg.inv(from_edges(fine))
    data = (matrix / matrix[2, 2]).ravel()[:8].tolist()
    size = (fine.width, fine.height)
    return image.transform(size, Image.Transform.PERSPECTIVE, data, Image.Resampling.BICUBIC).reduce(2)


@pytest.fixture(scope="module")
def portrait() -> Image.Image:
    with Image.open(DEMO) as image:
        return image.convert("RGB")


@pytest.fixture(scope="module")
def known(analyzer: FaceAnalyzer, portrait: Image.Image) -> Face:
    """Return the face of the portrait, straight ahead enough for an upright crop."""
    return analyzer(portrait, fov_deg=PORTRAIT.fov_deg)[0]


def turn_to(known: Face, place: tuple[float, float], camera: Camera = WIDE) -> np.ndarray:
    """Return the rotation (3, 3) that brings the portrait's head to a place in half widths and heights."""
    target = np.array([place[0] * camera.width / 2, place[1] * camera.height / 2, camera.focal_px])
    return rotation_to_line_of_sight(target) @ rotation_to_line_of_sight(known.translation_mm.astype(float)).T


def only(faces: list[Face]) -> Face:
    (face,) = faces
    return face


def assert_turned(face: Face, known: Face, turn: np.ndarray) -> None:
    """Check against bounds with room: measured were 2.8° at most, 1.1 % of distance, 0.4 % of size."""
    assert angle_deg(face.camera_rotation, turn @ known.camera_rotation) < 4
    assert angle_deg(face.rotation, known.rotation) < 4
    expected = np.linalg.norm(known.translation_mm)
    assert np.linalg.norm(face.translation_mm) == pytest.approx(expected, rel=0.04)
    np.testing.assert_allclose(face.translation_mm, turn @ known.translation_mm, atol=0.04 * expected)
    fit = procrustes(canonical_mm().astype(np.float64), face.mesh_mm.astype(np.float64))
    assert fit.scale == pytest.approx(1, abs=0.03)
    assert angle_deg(fit.rotation, face.camera_rotation) < 8  # the mesh's own direction


SIDES = [(0.8, 0), (-0.8, 0), (0, 0.7), (0.7, -0.6), (-0.7, 0.6)]


@pytest.mark.parametrize("place", SIDES)
def test_at_the_side_of_a_wide_photo(
    analyzer: FaceAnalyzer, portrait: Image.Image, known: Face, place: tuple[float, float]
) -> None:
    turn = turn_to(known, place)
    faces = analyzer(turned(portrait, turn, WIDE), fov_deg=WIDE.fov_deg)
    assert (faces.fov_deg, faces.fov_source) == (100, "given")
    assert_turned(only(list(faces)), known, turn)


@pytest.mark.parametrize("fov_deg", [75, 110])
def test_at_the_side_of_other_lenses(
    analyzer: FaceAnalyzer, portrait: Image.Image, known: Face, fov_deg: float
) -> None:
    camera = Camera(round(1000 * fov_deg / 75), round(750 * fov_deg / 75), fov_deg)
    turn = turn_to(known, (-0.8, 0.1), camera)
    photo = turned(portrait, turn, camera)
    assert_turned(only(list(analyzer(photo, fov_deg=fov_deg))), known, turn)


def test_the_networks_of_full_precision(portrait: Image.Image) -> None:
    analyzer = FaceAnalyzer(threads=2, weights="float32")
    known = analyzer(portrait, fov_deg=PORTRAIT.fov_deg)[0]
    turn = turn_to(known, (0.8, 0))
    assert_turned(only(list(analyzer(turned(portrait, turn, WIDE), fov_deg=100))), known, turn)


def test_the_angle_of_exif_is_as_good_as_a_given_one(
    analyzer: FaceAnalyzer, portrait: Image.Image, known: Face, tmp_path: Path
) -> None:
    """15 mm of film are 98.2° across a photo of 4:3."""
    camera = Camera(1400, 1050, 98.17)
    turn = turn_to(known, (0.8, 0), camera)
    photo, tags = turned(portrait, turn, camera), Image.Exif()
    tags[0x010F] = "a camera"  # Pillow writes no EXIF without a tag of the image
    tags.get_ifd(0x8769)[0xA405] = 15
    photo.save(tmp_path / "wide.png", exif=tags)
    faces = analyzer(tmp_path / "wide.png")
    assert faces.fov_source == "exif" and faces.fov_deg == pytest.approx(98.17, abs=0.01)
    assert_turned(only(list(faces)), known, turn)
    given = analyzer(photo, fov_deg=faces.fov_deg)
    assert given[0] == faces[0] and given.fov_source == "given"


@pytest.mark.parametrize("place", [(0.4, 0), (-0.4, 0), (0, 0.4), (0, -0.4)])
def test_without_the_angle_the_head_is_as_seen(
    analyzer: FaceAnalyzer, portrait: Image.Image, known: Face, place: tuple[float, float]
) -> None:
    """26° off the axis of a lens of 100° that nobody names: measured 3.9° at most.

    Farther out the face is stretched too much to be seen right; distances need the lens anywhere.
    """
    faces = analyzer(turned(portrait, turn_to(known, place), WIDE))
    assert faces.fov_source == "assumed"
    assert angle_deg(only(list(faces)).rotation, known.rotation) < 6


def test_places_that_are_known_are_seen_through_the_lens_too(
    analyzer: FaceAnalyzer, portrait: Image.Image, known: Face
) -> None:
    turn = turn_to(known, (0.8, 0))
    photo = open_photo(turned(portrait, turn, WIDE), WIDE.fov_deg)
    boxes = analyzer(photo).box_xyxy
    assert_turned(analyzer.at(photo, boxes)[0], known, turn)


def test_batches_give_the_same(analyzer: FaceAnalyzer, portrait: Image.Image, known: Face) -> None:
    """Photos with and without a lens share the networks' calls."""
    wide = open_photo(turned(portrait, turn_to(known, (0.8, 0)), WIDE), WIDE.fov_deg)
    found = analyzer.batch([portrait, wide, portrait])
    for faces, alone in zip(found, (analyzer(portrait), analyzer(wide), analyzer(portrait)), strict=True):
        assert faces.fov_source == alone.fov_source
        np.testing.assert_allclose(faces.mesh_px, alone.mesh_px, atol=0.01)
        np.testing.assert_allclose(faces.rotation, alone.rotation, atol=1e-3)

"""Heads at chosen places before chosen lenses: the sets, virtual cameras, and what is made of the angles."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import geodesic_deg, rotation_from_angles, rotation_to_line_of_sight
from facegeom.geometry.topology import canonical_mm
from facegeom.image import reading
from facegeom.results import Faces
from facegeom_lab.bench.rotation import frontal, wide
from facegeom_lab.bench.rotation.rendered import PlacedHeads, RenderedHeads
from facegeom_lab.bench.rotation.wide import KnownHead, Seen, place_summary, see, view
from facegeom_lab.datasets.published.pack import LabelledPhoto

SEEN = rotation_from_angles(20, -10, 5)


def one_face(camera: Camera, middle_px: np.ndarray, seen: np.ndarray, half_px: float = 6) -> Faces:
    """Return a face of average size, 700 mm away, whose box is around a pixel."""
    line = camera.back_project(middle_px, np.ones(()))
    translation = 700 * line / np.linalg.norm(line)
    mesh_mm = canonical_mm() @ (rotation_to_line_of_sight(line) @ seen).T + translation
    return Faces(
        box_xyxy=np.concatenate([middle_px - half_px, middle_px + half_px])[None],
        score=np.ones(1),
        landmarks_px=np.tile(middle_px, (1, 68, 1)),
        landmarks_confidence=np.ones((1, 68)),
        mesh_px=np.zeros((1, 478, 3)),
        mesh_confidence=np.ones((1, 478)),
        mesh_mm=mesh_mm[None],
        rotation=seen[None],
        translation_mm=translation[None],
        width=camera.width,
        height=camera.height,
    )


class SpotAnalyzer:
    """Finds a white spot on black: a head that is seen turned by ``SEEN``."""

    def __init__(self, seen: np.ndarray = SEEN) -> None:
        self.seen = seen

    def __call__(self, source: Any, fov_deg: float | None = None) -> Faces:
        image = reading.read(source)
        light = image.astype(float).sum(axis=2)
        height, width = light.shape
        camera = Camera(width, height, fov_deg or 50)
        light[light < 200] = 0
        if not light.any():
            return Faces.empty(width, height)
        y, x = np.mgrid[:height, :width]
        middle = np.array([(x * light).sum(), (y * light).sum()]) / light.sum()
        return one_face(camera, middle, self.seen)


@pytest.fixture
def spot(tmp_path: Path) -> KnownHead:
    """Return a head at (90, 40) of a photo of 50°."""
    image = np.zeros((96, 128, 3), np.uint8)
    image[39:42, 89:92] = 255
    Image.fromarray(image).save(tmp_path / "spot.png")
    camera = Camera(128, 96)
    centre = camera.back_project(np.array([90.0, 40]), np.ones(()))
    return KnownHead(tmp_path / "spot.png", camera, centre, rotation_to_line_of_sight(centre) @ SEEN)


def test_every_person_stands_everywhere() -> None:
    wanted = PlacedHeads(3, 2, (640, 480), (50.0, 90.0), ((0.0, 0.0), (0.5, -0.5)), (80, 80))
    rngs, scenes = zip(*wanted.scenes(), strict=True)
    assert [scene["camera"].fov_deg for scene in scenes] == [50, 50, 90, 90] * 2
    assert [scene["target_px"].tolist() for scene in scenes] == [[319.5, 239.5], [479.5, 119.5]] * 4
    assert all(np.array_equal(scene["seen"], np.eye(3)) for scene in scenes)
    people = [rng.uniform() for rng in rngs]
    assert people == [people[0]] * 4 + [people[4]] * 4 and people[0] != people[4]


def test_angles_are_uniform_over_their_ranges() -> None:
    wanted = PlacedHeads(3, 2, (640, 480), (50.0,), ((0.0, 0.0),), (80, 90), (10, 20), (-5, 5), (0, 0))
    scenes = [scene for _, scene in wanted.scenes()]
    assert geodesic_deg(scenes[0]["seen"], scenes[1]["seen"]) > 0.01
    assert all(9 < geodesic_deg(scene["seen"], np.eye(3)) < 22 for scene in scenes)
    assert all(80 <= scene["face_px"] <= 90 for scene in scenes)


def test_angle_summary_by_hand() -> None:
    """Two people at three places; one is not found, one place has nobody."""
    angles = np.array([[[1, 4], [-3, 0], [np.nan] * 2], [[1, -2], [np.nan] * 2, [np.nan] * 2]])
    found = frontal.angle_summary(angles)
    assert found == pytest.approx((-1 / 3, 2 / 3, 5 / 3, 2, -3, 1, 50, 6))
    assert frontal.angle_summary(np.full((1, 2, 2), np.nan)) == (*[None] * 6, 0.0, 2)


def test_the_table_of_frontal_heads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An analyzer whose yaw is a hundredth of the angle of view that it is given."""
    Image.new("RGB", (20, 20)).save(tmp_path / "one.png")
    box = np.array([[4.0, 4, 16, 16]])
    photo = LabelledPhoto(tmp_path / "one.png", "", 1, box, np.full((1, 4), np.nan), np.zeros((1, 68, 2)))
    eye = np.tile(np.eye(3), (90, 1, 1))
    heads = RenderedHeads([photo] * 90, eye, eye, np.ones((90, 3)))
    monkeypatch.setattr(frontal, "render_heads", lambda data, wanted, cache: heads)

    def analyzer(source: Path, fov_deg: float | None) -> Faces:
        seen = rotation_from_angles((fov_deg or 0) / 100, 0, 0)
        return one_face(Camera(20, 20), np.array([10.0, 10]), seen)

    table = frontal.frontal_table(tmp_path, tmp_path, analyzer, 2)  # type: ignore[arg-type]
    assert [row[:2] for row in table.rows[:3]] == [("25", "given"), ("25", "assumed"), ("50", "given")]
    assert [row[2] for row in table.rows] == pytest.approx(
        [0.25, 0, 0.5, 0, 0.75, 0, 0.9, 0, 1.1, 0], abs=1e-4
    )
    assert all(row[-2:] == (100, 18) for row in table.rows)


@pytest.mark.parametrize("place", [(0.0, 0.0), (0.8, 0.0), (0.7, 0.65)])
def test_a_virtual_camera_puts_the_head_in_its_place(spot: KnownHead, place: tuple[float, float]) -> None:
    camera = Camera(320, 240, 110)
    target = camera.centre_px + np.array(place) * (160, 120)
    turn = rotation_to_line_of_sight(camera.back_project(target, np.ones(())))
    turn = turn @ rotation_to_line_of_sight(spot.centre).T
    seen = view(reading.read(spot.path), spot.camera, camera, turn).astype(float).sum(axis=2)
    seen[seen < 60] = 0
    y, x = np.mgrid[:240, :320]
    middle = np.array([(x * seen).sum(), (y * seen).sum()]) / seen.sum()
    np.testing.assert_allclose(middle, target, atol=0.4)


def test_nothing_is_seen_behind_the_photo() -> None:
    """A camera of 150° turned by 60° looks 135° away from the photo's axis, where it would come again."""
    photo = np.full((60, 80, 3), 200, np.uint8)
    photo[:, 40:] = 100
    source, camera = Camera(80, 60, 120), Camera(160, 120, 150)
    turn = rotation_to_line_of_sight(np.array([np.sin(np.pi / 3), 0, 0.5]))
    seen = view(photo, source, camera, turn)
    y, x = np.mgrid[:120, :160]
    rays = camera.back_project(np.stack([x, y], axis=-1), np.ones((120, 160))) @ turn
    behind = rays[..., 2] < 0
    assert behind.any() and (seen[behind] == 150).all()


def test_a_right_analyzer_has_no_error_anywhere(spot: KnownHead) -> None:
    heads = [spot] * 4  # the four corners
    camera = Camera(640, 480, 90)
    middle = see(SpotAnalyzer(), heads, camera, (0.0, 0.0))  # type: ignore[arg-type]
    corner = see(SpotAnalyzer(), heads, camera, (0.7, 0.65))  # type: ignore[arg-type]
    error, more, between, distance, off, size, found, count = place_summary(corner, middle)
    assert (error, more, between) == pytest.approx((0, 0, 0), abs=0.2)
    assert (distance, off, size) == pytest.approx((1, 0, 1), abs=0.01) and (found, count) == (100, 4)


def test_an_error_is_measured_beside_the_middle(spot: KnownHead) -> None:
    camera = Camera(640, 480, 90)
    middle = see(SpotAnalyzer(), [spot], camera, (0.0, 0.0))  # type: ignore[arg-type]
    off = SEEN @ rotation_from_angles(7, 0, 0)
    side = see(SpotAnalyzer(off), [spot], camera, (0.8, 0.0))  # type: ignore[arg-type]
    assert place_summary(side, middle)[:3] == pytest.approx((7, 7, 7), abs=0.2)


def test_heads_that_are_missed_do_not_count() -> None:
    nan = np.nan
    eye = np.tile(np.eye(3), (3, 1, 1))
    middle = Seen(eye, np.array([1, 2, nan]), np.array([100, 200, nan]), np.array([1, 1, nan]))
    side = Seen(eye, np.array([3, nan, 5]), np.array([102, nan, 300]), np.array([1.02, nan, 1]))
    assert place_summary(side, middle) == pytest.approx((4, 2, 0, 1.02, 2, 1.01, 200 / 3, 3))
    nothing = Seen(eye * nan, *(np.full(3, nan) for _ in range(3)))
    assert place_summary(nothing, middle) == (*[None] * 6, 0.0, 3)


def test_a_face_that_is_not_there_is_missed(spot: KnownHead, tmp_path: Path) -> None:
    Image.new("RGB", (128, 96)).save(tmp_path / "black.png")
    dark = KnownHead(tmp_path / "black.png", spot.camera, spot.centre, spot.rotation)
    seen = see(SpotAnalyzer(), [dark], Camera(320, 240, 90), (0.0, 0.0))  # type: ignore[arg-type]
    assert np.isnan(seen.error_deg).all()


def test_heads_of_the_labelled_scenes(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pack's first scene of val shows one labelled face, the second one more."""
    monkeypatch.setattr(wide, "MIN_FACE_PX", 10)
    (head,) = wide.labelled_heads(pack, 5)
    assert head.path.name == "scene_0.png"
    assert geodesic_deg(head.rotation, np.eye(3)) > 0
    monkeypatch.setattr(wide, "MIN_FACE_PX", 30)
    assert wide.labelled_heads(pack, 5) == []

"""PoseDetector: first with stages of known answers, then P-Net and R-Net on the demo picture."""

import pickle
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegeom import FaceAnalyzer, ImageError, InputError, Pose, PoseDetector, Poses
from facegeom.geometry.boxes import iou, square
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import (
    angles_from_rotation,
    geodesic_deg,
    rotation_from_angles,
    rotation_to_line_of_sight,
)
from facegeom.models import weights

DEMO = Path(str(files("facegeom") / "data" / "astronaut.jpg"))
NAN = float("nan")


class Squares:
    """Proposes the same squares in every photo."""

    def __init__(self, *squares: tuple[float, float, float, float]) -> None:
        self.squares = np.array(squares, np.float64).reshape(-1, 4)
        self.smallest: list[float] = []

    def __call__(self, pictures: list[Image.Image], min_face_px: list[float]) -> list[tuple[np.ndarray, ...]]:
        self.smallest += min_face_px
        return [(self.squares, np.ones(len(self.squares))) for _ in pictures]


@pytest.fixture
def staged(fpnet_file: Path):
    """Builds a detector whose squares are given."""

    def build(*squares: tuple[float, float, float, float], **options: float) -> PoseDetector:
        detector = PoseDetector(face_pose_net=fpnet_file, threads=1, **options)
        detector.detector = Squares(*squares)
        return detector

    return build


def ship(fpnet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make an FPNet the one that comes with the package."""
    known = weights.path

    def path(name: str, *variant: str) -> Path:
        return fpnet if name == "fpnet" else known(name, *variant)

    monkeypatch.setattr(weights, "path", path)


def photo(*reds: tuple[int, int, int]) -> np.ndarray:
    """(240, 320, 3) black, with red of a level from a column to another."""
    pixels = np.zeros((240, 320, 3), np.uint8)
    for left, right, level in reds:
        pixels[:, left:right, 0] = level
    return pixels


def test_scores_order_and_threshold(staged) -> None:
    detector = staged((0, 0, 40, 40), (100, 0, 140, 40), (200, 0, 240, 40))
    pixels = photo((0, 50, 200), (90, 150, 250), (190, 250, 100))
    poses = detector(pixels)
    np.testing.assert_allclose(poses.score, [250 / 255, 200 / 255], atol=1e-3)
    assert (poses.width, poses.height, poses.file) == (320, 240, None)
    np.testing.assert_allclose(poses.box_xyxy[0], [104, 8, 136, 40], atol=1e-3)
    detector.min_score = 0.0
    assert len(detector(pixels)) == 3
    detector.max_faces = 1
    assert detector(pixels).score.tolist() == poses.score[:1].tolist()


def test_nested_boxes_are_one_face(staged) -> None:
    """As in MTCNN's last stage overlap is counted of the smaller box."""
    nested = staged((0, 0, 100, 100), (20, 20, 60, 60), (60, 0, 160, 100))
    poses = nested(photo((0, 70, 255), (70, 320, 200)))
    assert len(poses) == 2 and poses.box_xyxy[0].tolist() == pytest.approx([24, 28, 56, 60], abs=1e-3)


@pytest.mark.parametrize(("fov_deg", "expected"), [(None, 50), (20, 20), (100, 100)])
def test_line_of_sight(staged, fpnet_rotation: np.ndarray, fov_deg: float, expected: float) -> None:
    """What the window shows straight ahead is turned to where the window lies; the offsets move its box."""
    pose = staged((280, 0, 320, 40), fov_deg=fov_deg)(photo((0, 320, 255)))[0]
    x, y = Camera(320, 240, expected).back_project(np.array([300.0, 24.0]), np.array(1.0))[:2]
    wanted = rotation_to_line_of_sight(np.array([x, y, 1.0])) @ fpnet_rotation
    assert geodesic_deg(pose.rotation.astype(np.float64), wanted) < 0.05
    middle = staged((140, 95.5, 180, 135.5))(photo((0, 320, 255)))[0]
    angles = (middle.yaw_deg, middle.pitch_deg, middle.roll_deg)
    assert angles == pytest.approx((20, -10, 5), abs=0.2)
    assert angles == pytest.approx(angles_from_rotation(middle.rotation))


def test_the_angle_of_view_of_exif(staged, tmp_path: Path) -> None:
    tags = Image.Exif()
    tags.get_ifd(0x8769)[0xA405] = 18  # a diagonal of 43.27 mm at 18 mm, of which a 4:3 photo is 0.8 wide
    Image.fromarray(photo((0, 320, 255))).save(tmp_path / "wide.jpg", exif=tags, quality=95)
    detector = staged((280, 0, 320, 40))
    by_exif, by_hand = detector(tmp_path / "wide.jpg"), detector(photo((0, 320, 255)), fov_deg=87.74)
    np.testing.assert_allclose(by_exif.rotation, by_hand.rotation, atol=1e-3)
    assert by_exif.file == str(tmp_path / "wide.jpg")


def test_smallest_face(staged) -> None:
    detector, given = staged(), staged(min_face=40)
    for size in ((200, 100), (1000, 500)):
        detector(Image.new("RGB", size)), given(Image.new("RGB", size))
    assert detector.detector.smallest == [12, pytest.approx(55)] and given.detector.smallest == [40, 40]


def test_batch_equals_single_calls(staged) -> None:
    detector = staged((0, 0, 40, 40), (100, 0, 140, 40))
    photos = [photo((0, 320, 255)), photo(), photo((90, 320, 220))] * 7
    answers = detector.batch(photos)
    assert [len(poses) for poses in answers] == [2, 0, 1] * 7
    for pixels, poses in zip(photos, answers, strict=True):
        np.testing.assert_allclose(poses.rotation, detector(pixels).rotation, atol=1e-6)
    assert detector.batch([]) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_face", 0),
        ("max_faces", 0),
        ("min_score", NAN),
        ("threads", 0.5),
        ("fov_deg", 180),
        ("device", "gpu"),
    ],
)
def test_bad_arguments(fpnet_file: Path, name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{name}: expected "):
        PoseDetector(face_pose_net=fpnet_file, **{name: value})


def test_unusable_photo(staged) -> None:
    with pytest.raises(ImageError):
        staged()("no/such/photo.jpg")


def test_without_a_path_the_shipped_network_is_loaded(
    fpnet_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(fpnet_file, monkeypatch)
    assert PoseDetector().predictor.engine.path == fpnet_file
    assert FaceAnalyzer(pose_net="fpnet").pose.engine.path == fpnet_file
    assert FaceAnalyzer().pose is None


def test_poses() -> None:
    turns = rotation_from_angles(np.array([10.0, -50]), np.array([0.0, 5]), np.array([0.0, -20]))
    poses = Poses(np.array([[0, 0, 10, 10], [5, 5, 25, 25]]), np.array([0.9, 0.8]), turns, 40, 30, "a.jpg")
    pose = poses[1]
    assert isinstance(pose, Pose) and (pose.yaw_deg, pose.pitch_deg) == pytest.approx((-50, 5), abs=1e-3)
    assert repr(poses) == "Poses(2 faces, width=40, height=30, file='a.jpg')"
    assert repr(pose).startswith("Pose(score=0.800, box_xyxy=[5.0, 5.0, 25.0, 25.0], yaw_deg=-50.0")
    again = pickle.loads(pickle.dumps(poses[poses.score < 0.85]))
    assert len(again) == 1 and not again.rotation.flags.writeable
    assert len(Poses.empty(4, 3)) == 0 and Poses.empty(4, 3).rotation.shape == (0, 3, 3)
    with pytest.raises(InputError, match="rotation: expected the shape"):
        Poses(poses.box_xyxy, poses.score, turns[0], 40, 30)


# From here on: P-Net and R-Net as they ship.


def test_demo(fpnet_file: Path) -> None:
    """The face's window is among those that FPNet is shown, and copies answer alike."""
    detector = PoseDetector(min_score=0, face_pose_net=fpnet_file, threads=2)
    detector.predictor = Wider(detector.predictor)
    poses, box = detector(DEMO), FaceAnalyzer()(DEMO).box_xyxy
    assert iou(detector.predictor.squares, square(box)).max() > 0.6
    copied = pickle.loads(pickle.dumps(PoseDetector(min_score=0, face_pose_net=fpnet_file)))
    np.testing.assert_allclose(copied(DEMO).box_xyxy, poses.box_xyxy, atol=0.01)


class Wider:
    """A predictor that notes the squares it was given."""

    def __init__(self, predictor) -> None:
        self.predictor = predictor

    def __call__(self, pictures, squares):
        self.squares = squares[0]
        return self.predictor(pictures, squares)


def test_the_fpnet_that_ships() -> None:
    """It finds the portrait, and its direction is the face network's but for a few degrees."""
    poses, faces = PoseDetector()(DEMO), FaceAnalyzer()(DEMO)
    assert len(poses) == 1 and iou(poses.box_xyxy, square(faces.box_xyxy))[0, 0] > 0.5
    assert geodesic_deg(poses.rotation[0].astype(np.float64), faces.rotation[0].astype(np.float64)) < 15


def test_fpnet_as_the_analyzers_pose(
    fpnet_file: Path, fpnet_rotation: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything but the rotation is the face network's."""
    ship(fpnet_file, monkeypatch)
    own, other = FaceAnalyzer(), FaceAnalyzer(pose_net="fpnet")
    plain, turned = own(DEMO), other(DEMO)
    np.testing.assert_allclose(turned.mesh_px, plain.mesh_px, atol=0.01)
    wanted = rotation_to_line_of_sight(turned.translation_mm[0].astype(np.float64)) @ fpnet_rotation
    for faces in (turned, other.at(DEMO, plain.box_xyxy), other.batch([DEMO])[0]):
        assert geodesic_deg(faces.rotation[0].astype(np.float64), wanted) < 0.3
    assert len(other(np.zeros((50, 60, 3), np.uint8))) == 0


def test_unknown_pose_net() -> None:
    with pytest.raises(InputError, match="pose_net: expected face or fpnet, got 'dlib'"):
        FaceAnalyzer(pose_net="dlib")

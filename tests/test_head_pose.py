"""PoseDetector: first with stages of known outputs, then P-Net and R-Net on the demo photo."""

import pickle
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegeom import FaceAnalyzer, HeadPoseDetector, ImageError, InputError, PoseDetector, Poses
from facegeom.geometry.boxes import iou, square
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import angles_from_rotation, geodesic_deg, rotation_to_line_of_sight
from facegeom.image.photo import open_photo
from facegeom.image.pyramid import Pyramid
from facegeom.image.reading import FaceSize
from facegeom.models import weights
from facegeom.models.detector import Candidates
from facegeom.models.fpnet import FPNet, HeadPredictions
from facegeom.results.turning import turn_back

DEMO = Path(str(files("facegeom") / "data" / "astronaut.jpg"))
NAN = float("nan")


class Squares:
    """Proposes the same squares in every photo and records the smallest faces asked for."""

    def __init__(self, *squares: tuple[float, float, float, float]) -> None:
        self.squares = np.array(squares, np.float64).reshape(-1, 4)
        self.smallest: list[float] = []

    def __call__(self, images: list[Pyramid], min_face_px: list[float]) -> list[Candidates]:
        self.smallest += min_face_px
        return [Candidates(self.squares, np.ones(len(self.squares))) for _ in images]


@pytest.fixture
def staged(fpnet_file: Path):
    """Build a detector with given squares."""

    def build(*squares: tuple[float, float, float, float], **options: float) -> PoseDetector:
        detector = PoseDetector(face_pose_net=fpnet_file, threads=1, **options)
        detector.detector = Squares(*squares)
        return detector

    return build


def ship(fpnet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put an FPNet in the place of the one that ships."""
    known = weights.path

    def path(name: str, *variant: str) -> Path:
        return fpnet if name == "fpnet" else known(name, *variant)

    monkeypatch.setattr(weights, "path", path)


def photo(*reds: tuple[int, int, int]) -> np.ndarray:
    """Return black pixels (240, 320, 3) with columns ``left`` to ``right`` of a level of red."""
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
    detector.options = detector.options.changed(min_score=0.0)
    assert len(detector(pixels)) == 3
    detector.options = detector.options.changed(max_faces=1)
    assert detector(pixels).score.tolist() == poses.score[:1].tolist()


def test_nested_boxes_are_one_face(staged) -> None:
    """Overlap is over the smaller box, as in MTCNN's last stage."""
    nested = staged((0, 0, 100, 100), (20, 20, 60, 60), (60, 0, 160, 100))
    poses = nested(photo((0, 70, 255), (70, 320, 200)))
    assert len(poses) == 2 and poses.box_xyxy[0].tolist() == pytest.approx([24, 28, 56, 60], abs=1e-3)


@pytest.mark.parametrize(("fov_deg", "expected"), [(None, 50), (20, 20), (100, 100)])
def test_line_of_sight(staged, fpnet_rotation: np.ndarray, fov_deg: float, expected: float) -> None:
    """The window's rotation is relative to the line of sight to its box, which the offsets move.

    As seen it is the same anywhere; in the camera frame it depends on the place and on the angle of view.
    """
    pose = staged((280, 0, 320, 40), fov_deg=fov_deg)(photo((0, 320, 255)))[0]
    sight = Camera(320, 240, expected).back_project(np.array([300.0, 24.0]), np.array(1.0))
    wanted = rotation_to_line_of_sight(sight) @ fpnet_rotation
    assert geodesic_deg(pose.camera_rotation.astype(np.float64), wanted) < 0.05
    middle = staged((139.5, 95.5, 179.5, 135.5))(photo((0, 320, 255)))[0]
    np.testing.assert_allclose(middle.camera_rotation, middle.rotation, atol=1e-6)
    for each in (pose, middle):
        np.testing.assert_allclose(each.rotation, fpnet_rotation, atol=1e-6)
        angles = (each.yaw_deg, each.pitch_deg, each.roll_deg)
        assert angles == pytest.approx((20, -10, 5), abs=1e-3)
        assert angles == pytest.approx(angles_from_rotation(each.rotation))


def test_the_angle_of_view_of_exif(staged, tmp_path: Path) -> None:
    tags = Image.Exif()
    tags.get_ifd(0x8769)[0xA405] = 18  # a diagonal of 43.27 mm at 18 mm, of which a 4:3 photo is 0.8 wide
    Image.fromarray(photo((0, 320, 255))).save(tmp_path / "wide.jpg", exif=tags, quality=95)
    detector = staged((280, 0, 320, 40))
    by_exif, by_hand = detector(tmp_path / "wide.jpg"), detector(photo((0, 320, 255)), fov_deg=87.74)
    np.testing.assert_allclose(by_exif.camera_rotation, by_hand.camera_rotation, atol=1e-3)
    np.testing.assert_array_equal(by_exif.rotation, by_hand.rotation)
    by_default = detector(photo((0, 320, 255)))
    assert geodesic_deg(by_default.camera_rotation.astype(float), by_hand.camera_rotation.astype(float)) > 10
    assert by_exif.file == str(tmp_path / "wide.jpg")


def test_smallest_face(staged) -> None:
    detector, given = staged(), staged(min_face=40)
    for size in ((200, 100), (1000, 500)):
        detector(Image.new("RGB", size)), given(Image.new("RGB", size))
    assert detector.detector.smallest == [12, pytest.approx(55)] and given.detector.smallest == [40, 40]


def test_batch_equals_single_calls(staged) -> None:
    detector = staged((0, 0, 40, 40), (100, 0, 140, 40))
    photos = [photo((0, 320, 255)), photo(), photo((90, 320, 220))] * 7
    found = detector.batch(photos)
    assert [len(poses) for poses in found] == [2, 0, 1] * 7
    for pixels, poses in zip(photos, found, strict=True):
        assert poses == detector(pixels)
    assert detector.batch([]) == []


def test_options_of_a_call_replace_those_of_the_detector(staged) -> None:
    detector = staged((0, 0, 40, 40), (100, 0, 140, 40), (200, 0, 240, 40))
    pixels = photo((0, 50, 200), (90, 150, 250), (190, 250, 100))
    for options, count in (({}, 2), ({"min_score": 0.0}, 3), ({"max_faces": 1}, 1)):
        assert len(detector(pixels, **options)) == count
        assert [len(poses) for poses in detector.batch([pixels] * 2, **options)] == [count] * 2
    detector(pixels, min_face=40)
    assert detector.detector.smallest[-1] == 40
    by_call, by_batch = detector(pixels, 90), detector.batch([pixels], fov_deg=90)[0]
    assert by_call == by_batch != detector(pixels)
    with pytest.raises(InputError, match="orientation: expected"):
        detector.batch([pixels], orientation="up")


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


def test_an_open_photo_is_a_source_and_a_file_is_opened_once(
    staged, tmp_path: Path, opened: list[str]
) -> None:
    file = tmp_path / "photo.png"
    Image.fromarray(photo((0, 320, 255))).save(file)
    detector = staged((280, 0, 320, 40))
    opened.clear()
    by_path = detector(file)
    assert opened == [str(file)]
    by_photo = detector(open_photo(file))
    assert by_photo == by_path and by_photo.file == str(file)


def test_a_photo_that_was_decoded_at_a_fraction(tmp_path: Path) -> None:
    portrait = Image.open(DEMO).convert("RGB")
    large = portrait.resize((portrait.width * 4, portrait.height * 4), Image.Resampling.BICUBIC)
    large.save(tmp_path / "large.jpg", quality=95)
    reduced = open_photo(tmp_path / "large.jpg", None, FaceSize(400), 48)
    assert reduced.factor_xy[0] > 3
    detector = HeadPoseDetector(min_face=400)
    whole, part = detector(tmp_path / "large.jpg"), detector(reduced)
    assert len(whole) == len(part) == 1 and (part.width, part.height) == large.size
    assert iou(whole.box_xyxy, part.box_xyxy)[0, 0] > 0.8
    assert geodesic_deg(whole.camera_rotation, part.camera_rotation)[0] < 5


def test_unusable_photo(staged) -> None:
    with pytest.raises(ImageError):
        staged()("no/such/photo.jpg")


def test_without_a_path_the_shipped_network_is_loaded(
    fpnet_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(fpnet_file, monkeypatch)
    assert PoseDetector().fpnet.engine.path == fpnet_file
    assert FaceAnalyzer(pose_net="fpnet").fpnet.engine.path == fpnet_file
    assert FaceAnalyzer().fpnet is None


# From here on: P-Net and R-Net as they ship.


def test_demo(fpnet_file: Path) -> None:
    """The face's square is among those of FPNet, and a pickled copy gives the same."""
    detector = PoseDetector(min_score=0, face_pose_net=fpnet_file, threads=2)
    detector.fpnet = Recorder(detector.fpnet)
    poses, box = detector(DEMO), FaceAnalyzer()(DEMO).box_xyxy
    assert iou(detector.fpnet.squares, square(box)).max() > 0.6
    copied = pickle.loads(pickle.dumps(PoseDetector(min_score=0, face_pose_net=fpnet_file)))
    np.testing.assert_allclose(copied(DEMO).box_xyxy, poses.box_xyxy, atol=0.01)


class Recorder:
    """Records the squares that FPNet is given."""

    def __init__(self, fpnet: FPNet) -> None:
        self.fpnet = fpnet

    def __call__(self, images: list[Pyramid], squares: list[np.ndarray]) -> list[HeadPredictions]:
        self.squares = squares[0]
        return self.fpnet(images, squares)


def test_the_fpnet_that_ships() -> None:
    """It finds the portrait, and its direction differs from the face network's by a few degrees."""
    poses, faces = PoseDetector()(DEMO), FaceAnalyzer()(DEMO)
    assert len(poses) == 1 and iou(poses.box_xyxy, square(faces.box_xyxy))[0, 0] > 0.5
    assert geodesic_deg(poses.rotation[0].astype(np.float64), faces.rotation[0].astype(np.float64)) < 15


def test_fpnet_as_the_analyzers_pose(
    fpnet_file: Path, fpnet_rotation: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything but the rotation is the face network's."""
    ship(fpnet_file, monkeypatch)
    own, other = FaceAnalyzer(), FaceAnalyzer(pose_net="fpnet")
    plain, rotated = own(DEMO), other(DEMO)
    np.testing.assert_allclose(rotated.mesh_px, plain.mesh_px, atol=0.01)
    for faces in (rotated, other.at(DEMO, plain.box_xyxy), other.batch([DEMO])[0]):
        np.testing.assert_allclose(faces.rotation[0], fpnet_rotation, atol=1e-6)
        sight = rotation_to_line_of_sight(faces.translation_mm[0].astype(np.float64))
        np.testing.assert_allclose(faces.camera_rotation[0], sight @ fpnet_rotation, atol=1e-6)
    assert len(other(np.zeros((50, 60, 3), np.uint8))) == 0


def test_gaze_as_seen_does_not_depend_on_where_the_rotation_comes_from(
    fpnet_file: Path, fpnet_rotation: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FPNet knows upright heads only: a rolled one keeps the face network's rotation."""
    ship(fpnet_file, monkeypatch)
    own, other = FaceAnalyzer(), FaceAnalyzer(pose_net="fpnet")
    boxes = np.tile(own(DEMO).box_xyxy, (2, 1))
    plain, turned = (analyzer.at(DEMO, boxes, [0, 10]) for analyzer in (own, other))
    np.testing.assert_allclose(turned.rotation, [fpnet_rotation, plain.rotation[1]], atol=1e-6)
    np.testing.assert_allclose(turned.gaze_yaw_deg, plain.gaze_yaw_deg, atol=0.01)
    np.testing.assert_allclose(turned.gaze_pitch_deg, plain.gaze_pitch_deg, atol=0.01)


def test_unknown_pose_net() -> None:
    with pytest.raises(InputError, match="pose_net: expected one of face, fpnet, got 'dlib'"):
        FaceAnalyzer(pose_net="dlib")


@pytest.mark.parametrize("turned_deg", [90, 180, 270])
def test_orientation_auto_finds_the_head_of_a_turned_photo(turned_deg: int) -> None:
    photo = open_photo(DEMO)
    upright = HeadPoseDetector()(photo)
    found = HeadPoseDetector(orientation="auto")(photo.turned(turned_deg))
    assert found.turned_deg == 360 - turned_deg
    back = turn_back(found, turned_deg)
    np.testing.assert_allclose(back.box_xyxy, upright.box_xyxy, atol=0.01)
    np.testing.assert_allclose(back.rotation, upright.rotation, atol=1e-3)


def test_errors_kept_in_the_place_of_bad_photos() -> None:
    detector = HeadPoseDetector()
    found = detector.batch([DEMO, b"no photo", np.zeros((50, 60, 3), np.uint8)], on_error="keep")
    assert [type(each) for each in found] == [Poses, ImageError, Poses]
    with pytest.raises(ImageError):
        detector.batch([DEMO, b"no photo"])
    with pytest.raises(InputError, match="on_error"):
        detector.batch([DEMO], on_error="skip")  # type: ignore[call-overload]

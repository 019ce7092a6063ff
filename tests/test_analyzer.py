"""FaceAnalyzer: first with stages of known answers, then with the weights that ship on the demo picture."""

import io
import multiprocessing
import pickle
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import facegeom
from facegeom import FaceAnalyzer, Faces, ImageError, InputError
from facegeom.analyzer import CHUNK
from facegeom.geometry.boxes import iou
from facegeom.geometry.rotation import angles_from_rotation, rotation_to_6d, towards
from facegeom.geometry.schemes import IBUG68_EYE_CORNERS, IBUG68_MIRROR, IBUG68_REGIONS
from facegeom.image import reading
from facegeom.image.pyramid import Levels
from facegeom.models.face import Answers
from facegeom.models.score_fusion import Evidence

DEMO = Path(str(files("facegeom") / "data" / "astronaut.jpg"))
NAN = float("nan")


def assert_same(found: Faces, expected: Faces, tolerance_px: float = 0.01) -> None:
    assert (found.width, found.height, len(found)) == (expected.width, expected.height, len(expected))
    for name in ("box_xyxy", "landmarks_px", "mesh_px"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=tolerance_px)
    np.testing.assert_allclose(found.score, expected.score, atol=1e-4)
    np.testing.assert_allclose(found.rotation, expected.rotation, atol=1e-3)


class FakeDetector:
    """Two candidates in every photo that is not black; notes what it was asked."""

    evidence = Evidence()

    def __init__(self) -> None:
        self.smallest: list[list[float]] = []

    def __call__(self, pictures: list[Levels], min_face_px: list[float]) -> list[tuple[np.ndarray, ...]]:
        self.smallest.append(list(min_face_px))
        counts = [2 * (picture.whole.getbbox() is not None) for picture in pictures]
        return [(FakePredictor.BOXES[1 : 1 + count], np.zeros(count)) for count in counts]


class FakePredictor:
    """Gives each photo with candidates the same faces: two of one person, one aside, one doubtful."""

    BOXES = np.array([[12.0, 10, 52, 50], [10, 10, 50, 50], [80, 20, 120, 60], [20, 70, 60, 110]])
    SCORES = np.array([0.92, 0.98, 0.95, 0.3])

    def __call__(self, pictures: list[Levels], squares: list[np.ndarray]) -> list[Answers]:
        return [self.answers(4 * bool(len(part))) for part in squares]

    @staticmethod
    def look_again(pictures: list[Levels], answers: list[Answers]) -> list[Answers]:
        return answers

    def answers(self, count: int) -> Answers:
        rng = np.random.default_rng(4)
        mesh = np.tile(rng.uniform(0, 40, (478, 3)), (count, 1, 1))
        points, straight = np.zeros((count, 68, 2)), np.tile(rotation_to_6d(np.eye(3)), (count, 1))
        scales = np.ones((count, 68)), np.ones((count, 478))
        pixels = np.tile((-0.5, -0.5, 0.5, 0.5), (count, 1))  # a crop whose units are pixels
        return Answers(self.SCORES[:count], self.BOXES[:count], straight, points, mesh, *scales, pixels)


class NestedCandidates(FakeDetector):
    """A candidate around a face, best, another one within it, and a third aside."""

    SQUARES = np.array([[0.0, 0, 60, 60], [20, 20, 40, 40], [90, 90, 110, 110]])

    def __call__(self, pictures: list[Levels], min_face_px: list[float]) -> list[tuple[np.ndarray, ...]]:
        return [(self.SQUARES, np.array([0.9, 0.8, 0.7])) for _ in pictures]


class Judge(FakePredictor):
    """Takes each square for a face of that box with one score; notes the squares that it saw."""

    def __init__(self, score: float) -> None:
        self.score = score
        self.seen: list[list[list[float]]] = []

    def __call__(self, pictures: list[Levels], squares: list[np.ndarray]) -> list[Answers]:
        self.seen += [part.tolist() for part in squares]
        blank = [self.answers(len(part)) for part in squares]
        return [
            replace(answer, box=part, score=np.full(len(part), self.score))
            for answer, part in zip(blank, squares, strict=True)
        ]


@pytest.mark.parametrize(("score", "looks"), [(0.99, [[0, 2]]), (0.1, [[0, 2], [1]])])
def test_nested_candidates_are_judged_when_the_better_one_fails(score: float, looks: list[list[int]]) -> None:
    analyzer = staged()
    analyzer.detector, analyzer.predictor = NestedCandidates(), Judge(score)
    analyzer(GREY)
    squares = NestedCandidates.SQUARES
    assert analyzer.predictor.seen == [squares[rows].tolist() for rows in looks]


GREY = np.full((150, 200, 3), 90, np.uint8)
BLACK = np.zeros((30, 40, 3), np.uint8)


def staged(**options: float) -> FaceAnalyzer:
    """An analyzer whose networks are replaced."""
    analyzer = FaceAnalyzer(**options)
    analyzer.detector, analyzer.predictor = FakeDetector(), FakePredictor()
    return analyzer


@pytest.mark.parametrize(
    ("options", "scores"),
    [
        ({}, [0.98, 0.95]),
        ({"min_score": 0.96}, [0.98]),
        ({"min_score": 0.99}, []),
        ({"min_score": 0}, [0.98, 0.95, 0.3]),
        ({"min_score": 0, "max_faces": 2}, [0.98, 0.95]),
        ({"max_faces": 1}, [0.98]),
        ({"max_faces": 50}, [0.98, 0.95]),
    ],
)
def test_which_faces_are_kept(options: dict[str, float], scores: list[float]) -> None:
    faces = staged(**options)(GREY)
    np.testing.assert_allclose(faces.score, scores, rtol=1e-6)
    assert (faces.width, faces.height) == (200, 150)


@pytest.mark.parametrize(
    ("min_face", "size_wh", "expected"),
    [
        (None, (200, 150), 12),
        (None, (1000, 500), 55),
        (None, (300, 2000), 110),
        (20, (1000, 500), 20),
        (7.5, (9, 9), 7.5),
    ],
)
def test_smallest_face(min_face: float | None, size_wh: tuple[int, int], expected: float) -> None:
    analyzer = staged(min_face=min_face)
    analyzer(Image.new("RGB", size_wh))
    assert analyzer.detector.smallest == [[pytest.approx(expected)]]


def test_batch_goes_through_the_networks_in_chunks() -> None:
    analyzer = staged()
    photos: Iterable[np.ndarray] = (BLACK if index % 3 else GREY for index in range(CHUNK + 3))
    answers = analyzer.batch(photos)
    assert [len(part) for part in analyzer.detector.smallest] == [CHUNK, 3]
    assert [len(faces) for faces in answers] == [0 if index % 3 else 2 for index in range(CHUNK + 3)]
    assert [faces.width for faces in answers[:2]] == [200, 40]
    assert analyzer.batch([]) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("min_face", bad) for bad in (0, -3, NAN, float("inf"), "40", [40])],
        *[("max_faces", bad) for bad in (0, -1, 1.5, NAN, "2")],
        *[("min_score", bad) for bad in (-0.01, 1.01, NAN, None, "0.5")],
        *[("threads", bad) for bad in (0, -1, 0.5, NAN, "1")],
        *[("fov_deg", bad) for bad in (0, 180, NAN, "60")],
        *[("device", bad) for bad in ("gpu", "", None)],
    ],
)
def test_bad_arguments(name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{name}: expected "):
        FaceAnalyzer(**{name: value})


def distance_mm(faces: Faces) -> float:
    return float(faces.translation_mm[0, 2])


def test_the_angle_of_view_comes_from_the_photo_unless_it_is_given(tmp_path: Path) -> None:
    """Distances scale with the focal length: 1 for 90°, 3.73 for 30°, 2.14 for the default of 50°."""
    tags = Image.Exif()
    tags.get_ifd(0x8769)[0xA405] = 18  # a film's 36 mm at 18 mm: 90°
    path = tmp_path / "wide.jpg"
    Image.new("RGB", (300, 200), (90, 90, 90)).save(path, exif=tags)
    analyzer, narrow = staged(), staged(fov_deg=30)
    wide_mm = distance_mm(analyzer(path))
    others = {
        "default": distance_mm(analyzer(reading.read(path))),
        "of all": distance_mm(narrow(path)),
        "of this one": distance_mm(narrow(path, fov_deg=50)),
        "bytes": distance_mm(analyzer(path.read_bytes())),
        "batch": distance_mm(analyzer.batch([path])[0]),
        "at": distance_mm(analyzer.at(path, [[10, 10, 50, 50]])),
    }
    expected = {"default": 2.1445, "of all": 3.7321, "of this one": 2.1445, "bytes": 1, "batch": 1, "at": 1}
    assert {name: value / wide_mm for name, value in others.items()} == pytest.approx(expected, rel=1e-3)


def test_a_bad_angle_of_a_photo() -> None:
    with pytest.raises(InputError, match="fov_deg: expected a number from 1 to 179, got 0"):
        staged()(GREY, fov_deg=0)


@pytest.mark.parametrize("source", [b"", b"words", "no/such/photo.jpg", np.zeros((0, 4, 3), np.uint8)])
def test_unusable_photo(source: object) -> None:
    analyzer = staged()
    with pytest.raises(ImageError):
        analyzer(source)
    with pytest.raises(ImageError):
        analyzer.batch([GREY, source])


# From here on: the weights that ship.


@pytest.fixture(scope="module")
def analyzer() -> FaceAnalyzer:
    return FaceAnalyzer(threads=2)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.array(Image.open(DEMO).convert("RGB"))


@pytest.fixture(scope="module")
def demo(analyzer: FaceAnalyzer, picture: np.ndarray) -> Faces:
    return analyzer(picture)


def only(faces: Faces) -> facegeom.Face:
    assert len(faces) == 1
    return faces[0]


def eye_distance(face: facegeom.Face) -> float:
    first, second = IBUG68_EYE_CORNERS
    return float(np.linalg.norm(face.landmarks_px[first] - face.landmarks_px[second]))


def centre(face: facegeom.Face, region: str) -> np.ndarray:
    return face.landmarks_px[list(IBUG68_REGIONS[region])].mean(axis=0)


def test_demo_has_one_face(demo: Faces) -> None:
    face = only(demo)
    assert face.score > 0.9
    margin = 0.1 * (face.box_xyxy[2:] - face.box_xyxy[:2])
    for points in (face.landmarks_px, face.mesh_px[:, :2]):
        assert (points >= face.box_xyxy[:2] - margin).all() and (points <= face.box_xyxy[2:] + margin).all()


def test_demo_is_the_right_way_up(demo: Faces) -> None:
    face = only(demo)
    right, left, mouth = (centre(face, name) for name in ("eye_right", "eye_left", "lips_outer"))
    nose = face.landmarks_px[30]
    assert right[0] < nose[0] < left[0]
    assert max(right[1], left[1]) < nose[1] < mouth[1]
    as_seen = towards(face.translation_mm[None])[0].T @ face.rotation
    yaw_deg, pitch_deg, roll_deg = angles_from_rotation(as_seen)
    assert abs(yaw_deg) < 30 and abs(pitch_deg) < 25 and abs(roll_deg) < 20


def test_mesh_agrees_with_the_landmarks(demo: Faces) -> None:
    face = only(demo)
    for landmark, vertex in ((36, 33), (45, 263), (48, 61), (54, 291), (30, 4)):
        apart = np.linalg.norm(face.landmarks_px[landmark] - face.mesh_px[vertex, :2])
        assert apart < 0.15 * eye_distance(face)


def test_every_kind_of_source(analyzer: FaceAnalyzer, demo: Faces, picture: np.ndarray) -> None:
    for source in (
        DEMO,
        str(DEMO),
        DEMO.read_bytes(),
        Image.open(DEMO),
        Image.fromarray(picture),
        picture / 255,
    ):
        assert_same(analyzer(source), demo)
    assert analyzer(DEMO).file == str(DEMO) and demo.file is None
    assert_same(facegeom.analyze(DEMO), demo)


def test_grey_photo(analyzer: FaceAnalyzer, demo: Faces) -> None:
    grey = Image.open(DEMO).convert("L")
    found = analyzer(np.array(grey))
    assert_same(analyzer(grey), found)
    apart = np.linalg.norm(only(found).landmarks_px - demo[0].landmarks_px, axis=1).mean()
    assert apart < 0.08 * eye_distance(demo[0])


def test_exif_orientation(analyzer: FaceAnalyzer, demo: Faces, picture: np.ndarray) -> None:
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    Image.fromarray(np.rot90(picture)).save(stream, "PNG", exif=exif)
    assert_same(analyzer(stream.getvalue()), demo)


def test_large_files_are_read_reduced_and_answered_in_their_own_pixels(
    picture: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = Image.fromarray(picture).resize((1025, 1023), Image.Resampling.BICUBIC)
    large.save(tmp_path / "large.jpg", quality=95)
    analyzer = FaceAnalyzer(min_face=200, threads=2)
    sizes: list[tuple[int, int]] = []
    detector = analyzer.detector

    def spy(pictures: list[Levels], smallest: list[float]) -> object:
        sizes.extend(each.size for each in pictures)
        return detector(pictures, smallest)

    spy.evidence = detector.evidence  # type: ignore[attr-defined]
    monkeypatch.setattr(analyzer, "detector", spy)
    reduced = only(analyzer(tmp_path / "large.jpg"))
    whole = only(analyzer(np.asarray(large)))
    assert sizes == [(513, 512), (1025, 1023)]
    np.testing.assert_allclose(reduced.mesh_px, whole.mesh_px, atol=0.03 * eye_distance(whole))
    np.testing.assert_allclose(reduced.translation_mm, whole.translation_mm, rtol=0.03)
    analyzer.depth = lambda pictures, faces: [()]  # type: ignore[assignment]
    assert analyzer._open(tmp_path / "large.jpg").picture.size == (1025, 1023)


def test_batch_of_mixed_sizes_equals_single_calls(
    analyzer: FaceAnalyzer, demo: Faces, picture: np.ndarray
) -> None:
    photos = [picture, GREY, picture[:300, 60:400], np.concatenate([picture, picture], axis=1), BLACK]
    answers = analyzer.batch(photos)
    assert [len(faces) for faces in answers] == [1, 0, 1, 2, 0]
    for photo, faces in zip(photos, answers, strict=True):
        assert_same(faces, analyzer(photo))
    assert_same(answers[0], demo)


def test_cropped_photo_moves_the_points(analyzer: FaceAnalyzer, demo: Faces, picture: np.ndarray) -> None:
    face = only(analyzer(picture[20:340, 50:430]))
    moved = face.landmarks_px + np.array([50, 20])
    assert np.linalg.norm(moved - demo[0].landmarks_px, axis=1).mean() < 0.06 * eye_distance(demo[0])


def noise(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(8).integers(0, 256, (height, width, 3), dtype=np.uint8)


def gradient(width: int, height: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([255 * x // width, 255 * y // height, 255 * (x + y) // (width + height)], 2).astype(
        np.uint8
    )


@pytest.mark.parametrize("paint", [noise, gradient])
@pytest.mark.parametrize("size_wh", [(640, 480), (1, 1), (13, 7), (20000, 10), (10, 20000)])
def test_photo_without_a_face(analyzer: FaceAnalyzer, paint: object, size_wh: tuple[int, int]) -> None:
    faces = analyzer(paint(*size_wh))
    assert isinstance(faces, Faces) and len(faces) == 0
    assert (faces.width, faces.height) == size_wh
    assert faces.mesh_px.shape == (0, 478, 3)


def test_max_faces(picture: np.ndarray) -> None:
    pair = np.concatenate([picture, picture[::2, ::2].repeat(2, axis=0).repeat(2, axis=1)], axis=1)
    every, best = FaceAnalyzer()(pair), FaceAnalyzer(max_faces=1)(pair)
    assert len(every) == 2 and every.score[0] >= every.score[1]
    assert_same(best, every[:1])


def test_faces_below_the_smallest_are_left_out(picture: np.ndarray) -> None:
    assert len(FaceAnalyzer(min_face=420)(picture)) == 0
    assert len(FaceAnalyzer(min_face=60)(picture)) == 1


def test_known_places_give_the_same_geometry(
    analyzer: FaceAnalyzer, demo: Faces, picture: np.ndarray
) -> None:
    for source in (picture, Image.fromarray(picture), DEMO):
        faces = analyzer.at(source, demo.box_xyxy)
        assert (faces.width, faces.height, len(faces)) == (512, 512, 1) and faces.score[0] > 0.9
        np.testing.assert_allclose(faces.landmarks_px, demo.landmarks_px, atol=0.02 * eye_distance(demo[0]))
        np.testing.assert_allclose(faces.mesh_mm, demo.mesh_mm, atol=8)
    assert analyzer.at(DEMO, demo.box_xyxy).file == str(DEMO)


def test_known_places_keep_their_order_and_number(analyzer: FaceAnalyzer, picture: np.ndarray) -> None:
    pair = np.concatenate([picture, np.zeros_like(picture), picture], axis=1)
    box = analyzer(picture).box_xyxy[0]
    places = box + np.array([[1024, 0, 1024, 0], [512, 0, 512, 0], [0, 0, 0, 0]])
    faces = analyzer.at(pair, places)
    assert (faces.score > 0.9).tolist() == [True, False, True]
    moved = faces.landmarks_px[0] - (1024, 0)  # rounded elsewhere, which eight bits make visible
    np.testing.assert_allclose(moved, faces.landmarks_px[2], atol=0.01 * eye_distance(faces[0]))
    assert len(analyzer.at(pair, np.zeros((0, 4)))) == 0


def test_a_known_place_beyond_the_edge(analyzer: FaceAnalyzer, demo: Faces, picture: np.ndarray) -> None:
    left, _, right, _ = demo.box_xyxy[0]
    middle = int((left + right) / 2)
    half = analyzer.at(picture[:, middle:], demo.box_xyxy - (middle, 0, middle, 0))
    assert half.box_xyxy[0, 0] < 0 and half.width == picture.shape[1] - middle


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([1, 2, 3, 4], r"\(N, 4\), got \(4,\)"),
        (np.zeros((2, 5)), r"got \(2, 5\)"),
        ([[10, 10, 10, 20]], "left < right"),
        ([[0, 20, 10, 10]], "top < bottom"),
        ([[0, 0, NAN, 10]], "finite"),
    ],
)
def test_unusable_places(analyzer: FaceAnalyzer, boxes: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        analyzer.at(GREY, boxes)


def test_threads(analyzer: FaceAnalyzer, demo: Faces, picture: np.ndarray) -> None:
    with ThreadPoolExecutor(8) as pool:
        for faces in pool.map(analyzer, [picture] * 16):
            assert_same(faces, demo)


def test_pickling(analyzer: FaceAnalyzer, demo: Faces, picture: np.ndarray) -> None:
    copy = pickle.loads(pickle.dumps(analyzer))
    assert vars(copy).keys() == vars(analyzer).keys()
    assert_same(copy(picture), demo)


def _analyze_inherited(_: int) -> Faces:
    return _inherited[0](DEMO)


_inherited: list[FaceAnalyzer] = []


def test_forked_children(analyzer: FaceAnalyzer, demo: Faces) -> None:
    _inherited.append(analyzer)
    try:
        with multiprocessing.get_context("fork").Pool(2) as pool:
            for faces in pool.map_async(_analyze_inherited, range(4)).get(timeout=120):
                assert_same(faces, demo)
    finally:
        _inherited.clear()


@pytest.mark.parametrize("turn_deg", [-30, 30])
def test_turned_photo_changes_the_roll(
    analyzer: FaceAnalyzer, demo: Faces, picture: np.ndarray, turn_deg: float
) -> None:
    middle = tuple(demo[0].landmarks_px.mean(axis=0).tolist())
    turned = Image.fromarray(picture).rotate(-turn_deg, Image.Resampling.BICUBIC, center=middle)  # clockwise
    face = only(analyzer(turned))
    assert face.roll_deg - demo[0].roll_deg == pytest.approx(turn_deg, abs=8)
    assert face.yaw_deg == pytest.approx(demo[0].yaw_deg, abs=10)


def test_mirrored_photo_mirrors_the_answer(analyzer: FaceAnalyzer, demo: Faces, picture: np.ndarray) -> None:
    face, mirrored = demo[0], only(analyzer(picture[:, ::-1]))
    expected = face.landmarks_px[IBUG68_MIRROR] * (-1, 1) + (picture.shape[1] - 1, 0)
    assert np.linalg.norm(mirrored.landmarks_px - expected, axis=1).mean() < 0.08 * eye_distance(face)
    assert mirrored.yaw_deg == pytest.approx(-face.yaw_deg, abs=6)
    assert mirrored.roll_deg == pytest.approx(-face.roll_deg, abs=6)
    assert mirrored.pitch_deg == pytest.approx(face.pitch_deg, abs=6)


def test_scores_are_those_of_both_networks(analyzer: FaceAnalyzer) -> None:
    squares, scores = analyzer.detector([Image.open(DEMO)], [40.0])[0]
    face = analyzer.predictor([Image.open(DEMO)], [squares])[0]
    expected = analyzer.detector.evidence.joined(face.score, scores).max()
    assert analyzer(DEMO).score[0] == pytest.approx(expected, abs=1e-3)


def test_the_cascade_can_be_asked_for() -> None:
    found, other = FaceAnalyzer()(DEMO), FaceAnalyzer(detector="cascade")(DEMO)
    assert len(found) == len(other) == 1
    assert iou(found.box_xyxy, other.box_xyxy)[0, 0] > 0.8
    with pytest.raises(InputError, match="detector: expected one of onepass, cascade, got 'hog'"):
        FaceAnalyzer(detector="hog")

"""FaceAnalyzer with stages of known outputs: which faces are kept, options, cameras, bad input."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegeom import FaceAnalyzer, Faces, ImageError, InputError, parallel
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import rotation_to_6d
from facegeom.image import reading
from facegeom.image.photo import CHUNK, CHUNK_OF_MANY, open_photo
from facegeom.image.pyramid import Pyramid
from facegeom.models.detector import Candidates
from facegeom.models.face import FacePredictions
from facegeom.models.score_fusion import ScoreFusion
from facegeom.results import FACE_SHAPES, MOTION_SHAPES

NAN = float("nan")
GREY = np.full((150, 200, 3), 90, np.uint8)
BLACK = np.zeros((30, 40, 3), np.uint8)


class FakeDetector:
    """Proposes two candidates in every photo that is not black; records the sizes of faces asked for."""

    fusion, looks_closer = ScoreFusion(), True

    def __init__(self) -> None:
        self.smallest: list[list[float]] = []
        self.closest: list[list[float]] = []

    def __call__(
        self, images: list[Pyramid], min_face_px: list[float], closest_px: list[float]
    ) -> list[Candidates]:
        self.smallest.append(list(min_face_px))
        self.closest.append(list(closest_px))
        counts = [2 * bool(image.pixels.any()) for image in images]
        return [Candidates(FakeFaceNet.BOXES[1 : 1 + count], np.zeros(count)) for count in counts]


class FakeFaceNet:
    """Predicts the same faces in each photo with candidates: two of one person, one aside, one doubtful.

    It records the lenses.
    """

    BOXES = np.array([[12.0, 10, 52, 50], [10, 10, 50, 50], [80, 20, 120, 60], [20, 70, 60, 110]])
    SCORES = np.array([0.92, 0.98, 0.95, 0.3])

    def __init__(self) -> None:
        self.lenses: list[list[Camera | None]] = []

    def __call__(
        self, images: list[Pyramid], squares: list[np.ndarray], lenses: list[Camera | None], *_: object
    ) -> list[FacePredictions]:
        self.lenses.append(lenses)
        sizes = [image.size_wh for image in images]
        return [
            self.predictions(4 * bool(len(part)), size) for part, size in zip(squares, sizes, strict=True)
        ]

    def refine(
        self, images: list[Pyramid], predictions: list[FacePredictions], lenses: list[Camera | None]
    ) -> list[FacePredictions]:
        self.lenses.append(lenses)
        return predictions

    confirm = refine

    def predictions(self, count: int, size_wh: tuple[int, int] = (200, 150)) -> FacePredictions:
        """Return the first faces; their meshes lie in the middle of the photo."""
        mesh = np.random.default_rng(4).uniform(0, 40, (478, 3))
        mesh[:, :2] += (np.array(size_wh) - 1) / 2 - mesh[:, :2].mean(axis=0)
        boxes = self.BOXES[:count]
        return FacePredictions(
            score=self.SCORES[:count],
            box=boxes,
            rotation6d=np.tile(rotation_to_6d(np.eye(3)), (count, 1)),
            landmarks=np.zeros((count, 68, 2)),
            mesh=np.tile(mesh, (count, 1, 1)),
            landmarks_scale=np.ones((count, 68)),
            mesh_scale=np.ones((count, 478)),
            crop_xyxy=np.tile((-0.5, -0.5, 0.5, 0.5), (count, 1)),  # a crop whose units are pixels
            box_xyxy=boxes,
        )


class NestedCandidates(FakeDetector):
    """Proposes a candidate around a face, best, another one within it, and a third aside."""

    SQUARES = np.array([[0.0, 0, 60, 60], [20, 20, 40, 40], [90, 90, 110, 110]])

    def __call__(self, images: list[Pyramid], *sizes: list[float]) -> list[Candidates]:
        return [Candidates(self.SQUARES, np.array([0.9, 0.8, 0.7])) for _ in images]


class UniformFaceNet(FakeFaceNet):
    """Predicts a face of one score in each square; records the squares."""

    def __init__(self, score: float) -> None:
        super().__init__()
        self.score = score
        self.seen: list[list[list[float]]] = []

    def __call__(
        self, images: list[Pyramid], squares: list[np.ndarray], lenses: list[Camera | None], *_: object
    ) -> list[FacePredictions]:
        self.seen += [part.tolist() for part in squares]
        blank = [self.predictions(len(part)) for part in squares]
        return [
            replace(each, box=part, box_xyxy=part, score=np.full(len(part), self.score))
            for each, part in zip(blank, squares, strict=True)
        ]


def staged(**options: float | None) -> FaceAnalyzer:
    """Return an analyzer with fake networks."""
    analyzer = FaceAnalyzer(**options)
    analyzer.detector, analyzer.face_net = FakeDetector(), FakeFaceNet()
    return analyzer


def test_faces_that_come_to_lie_on_each_other_are_one() -> None:
    """A second look moves the box of the worst face onto that of the best."""

    class Moving(FakeFaceNet):
        def refine(
            self, images: list[Pyramid], predictions: list[FacePredictions], lenses: list[Camera | None]
        ) -> list[FacePredictions]:
            return [
                replace(each, box_xyxy=np.tile(self.BOXES[1], (len(each.score), 1))) for each in predictions
            ]

    analyzer = staged()
    assert len(analyzer(GREY)) == 2
    analyzer.face_net = Moving()
    assert analyzer(GREY).score.tolist() == pytest.approx([0.98])


@pytest.mark.parametrize(("score", "verified"), [(0.99, [[0, 2]]), (0.1, [[0, 2], [1]])])
def test_nested_candidates_are_verified_if_the_better_one_is_no_face(
    score: float, verified: list[list[int]]
) -> None:
    analyzer = staged()
    analyzer.detector, analyzer.face_net = NestedCandidates(), UniformFaceNet(score)
    analyzer(GREY)
    squares = NestedCandidates.SQUARES
    assert analyzer.face_net.seen == [squares[rows].tolist() for rows in verified]


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
    for faces in (
        staged(**options)(GREY),
        staged()(GREY, **options),
        staged().batch([GREY], **options)[0],
        staged().batch([BLACK, GREY], **options)[1],
    ):
        np.testing.assert_allclose(faces.score, scores, rtol=1e-6)
        assert (faces.width, faces.height) == (200, 150)


@pytest.mark.parametrize(
    ("min_face", "size_wh", "expected", "closest"),
    [
        (None, (200, 150), 12, 20),
        (None, (1000, 500), 55, 20),
        (None, (300, 2000), 110, 30),
        (20, (1000, 500), 20, 20),
        (7.5, (9, 9), 7.5, 7.5),
    ],
)
def test_smallest_face(
    min_face: float | None, size_wh: tuple[int, int], expected: float, closest: float
) -> None:
    analyzer, other = staged(min_face=min_face), staged()
    analyzer(Image.new("RGB", size_wh))
    (
        other(Image.new("RGB", size_wh), min_face=min_face),
        other.batch([Image.new("RGB", size_wh)], min_face=min_face),
    )
    assert analyzer.detector.smallest == [[pytest.approx(expected)]]
    assert analyzer.detector.closest == [[pytest.approx(closest)]]
    assert analyzer(Image.new("RGB", size_wh)).min_face_px == pytest.approx(min(expected, closest))
    assert staged().at(GREY, [[20, 20, 60, 60]]).min_face_px == 0
    assert other.detector.smallest == [[pytest.approx(expected)]] * 2


def test_the_cascade_takes_no_closer_looks() -> None:
    faces = FaceAnalyzer(detector="cascade", threads=1)(Image.new("RGB", (1000, 500)))
    assert faces.min_face_px == pytest.approx(55)


def test_options_of_a_call_hold_for_this_call_alone() -> None:
    analyzer = staged(max_faces=1, min_score=0.5)
    assert len(analyzer(GREY, max_faces=3, min_score=0)) == 3
    assert len(analyzer.batch([GREY], max_faces=2)[0]) == 2
    assert len(analyzer(GREY)) == len(analyzer.batch([GREY])[0]) == 1
    assert analyzer.max_faces == 1 and analyzer.fov_deg is None


@pytest.mark.parametrize(("threads", "sizes"), [(1, [CHUNK, 3]), (None, [CHUNK_OF_MANY] * 4 + [3])])
def test_batch_goes_through_the_networks_in_chunks(
    threads: int | None, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "available_cores", lambda: 3)
    analyzer = staged(threads=threads)
    photos: Iterable[np.ndarray] = (BLACK if index % 3 else GREY for index in range(CHUNK + 3))
    found = analyzer.batch(photos)
    assert sorted(len(part) for part in analyzer.detector.smallest) == sorted(sizes)
    assert [len(faces) for faces in found] == [0 if index % 3 else 2 for index in range(CHUNK + 3)]
    assert [faces.width for faces in found[:2]] == [200, 40]
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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("min_face", bad) for bad in (0, NAN, "40")],
        *[("max_faces", bad) for bad in (0, 1.5)],
        *[("min_score", bad) for bad in (-0.01, 1.01)],
        *[("fov_deg", bad) for bad in (0, 180)],
    ],
)
def test_bad_options_of_a_call(name: str, value: object) -> None:
    for call in (lambda option: staged()(GREY, **option), lambda option: staged().batch([GREY], **option)):
        with pytest.raises(InputError, match=f"{name}: expected "):
            call({name: value})


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """Return a file with an angle of view of 90° in its EXIF: 36 mm of film at 18 mm."""
    tags = Image.Exif()
    tags.get_ifd(0x8769)[0xA405] = 18
    Image.new("RGB", (300, 200), (90, 90, 90)).save(tmp_path / "wide.jpg", exif=tags)
    return tmp_path / "wide.jpg"


def distance_mm(faces: Faces) -> float:
    return float(faces.translation_mm[0, 2])


def test_the_angle_of_view_comes_from_the_photo_unless_it_is_given(wide: Path) -> None:
    """Distances scale with the focal length: 1 for 90°, 3.73 for 30°, 2.14 for the default of 50°."""
    analyzer, narrow = staged(), staged(fov_deg=30)
    wide_mm = distance_mm(analyzer(wide))
    others = {
        "default": distance_mm(analyzer(reading.read(wide))),
        "of all": distance_mm(narrow(wide)),
        "of this one": distance_mm(narrow(wide, fov_deg=50)),
        "bytes": distance_mm(analyzer(wide.read_bytes())),
        "batch": distance_mm(analyzer.batch([wide])[0]),
        "batch of 50": distance_mm(analyzer.batch([wide], fov_deg=50)[0]),
        "opened": distance_mm(narrow(open_photo(wide, 50.0))),
        "at": distance_mm(analyzer.at(wide, [[10, 10, 50, 50]])),
    }
    expected = {"default": 2.1445, "of all": 3.7321, "of this one": 2.1445, "bytes": 1, "batch": 1, "at": 1}
    expected |= {"batch of 50": 2.1445, "opened": 3.7321}  # an option replaces the camera of an opened photo
    assert {name: value / wide_mm for name, value in others.items()} == pytest.approx(expected, rel=1e-3)


CALLS: dict[str, Callable[[FaceAnalyzer, object], Faces]] = {
    "call": lambda analyzer, source: analyzer(source),
    "batch": lambda analyzer, source: analyzer.batch([source])[0],
    "at": lambda analyzer, source: analyzer.at(source, [[10, 10, 50, 50]]),
}


def lens_of(analyzer: FaceAnalyzer) -> tuple[int, int, float] | None:
    """Return size and angle of view of the one lens that all calls of the face network had."""
    net = analyzer.face_net
    lenses = {None if lens is None else (lens.width, lens.height, lens.fov_deg) for (lens,) in net.lenses}
    (found,) = lenses
    return found


@pytest.mark.parametrize("name", CALLS)
def test_the_networks_know_the_lens_where_it_is_not_assumed(wide: Path, name: str) -> None:
    pixels, call = reading.read(wide), CALLS[name]
    for source, expected, fov_source in (
        (wide, pytest.approx(90, abs=0.2), "exif"),
        (open_photo(wide), pytest.approx(90, abs=0.2), "exif"),
        (open_photo(wide, 70), 70, "given"),
        (open_photo(pixels, 70), 70, "given"),
        (pixels, 50, "assumed"),
    ):
        analyzer = staged()
        faces = call(analyzer, source)
        assert (faces.fov_deg, faces.fov_source) == (expected, fov_source)
        assert lens_of(analyzer) == (None if fov_source == "assumed" else (300, 200, faces.fov_deg))


def test_a_given_angle_of_view_is_the_networks(wide: Path) -> None:
    for analyzer, call in (
        (staged(), lambda analyzer: analyzer(wide, fov_deg=70)),
        (staged(), lambda analyzer: analyzer.batch([wide], fov_deg=70)[0]),
        (staged(fov_deg=70), lambda analyzer: analyzer(wide)),
        (staged(fov_deg=70), lambda analyzer: analyzer.at(wide, [[10, 10, 50, 50]])),
    ):
        faces = call(analyzer)
        assert (faces.fov_deg, faces.fov_source) == (70, "given")
        assert lens_of(analyzer) == (300, 200, 70)


def test_the_lens_is_that_of_the_decoded_pixels(tmp_path: Path) -> None:
    Image.new("RGB", (1201, 800), (90, 90, 90)).save(tmp_path / "large.jpg")
    analyzer = staged(min_face=400, fov_deg=80)  # such a face has pixels enough at a quarter of the size
    faces = analyzer(tmp_path / "large.jpg")
    assert (faces.width, faces.height, faces.fov_deg) == (1201, 800, 80)
    assert lens_of(analyzer) == (301, 200, 80)


def test_a_bad_angle_is_named_with_its_range() -> None:
    with pytest.raises(InputError, match="fov_deg: expected a number from 1 to 160, got 0"):
        staged()(GREY, fov_deg=0)


@pytest.mark.parametrize("source", [b"", b"words", "no/such/photo.jpg", np.zeros((0, 4, 3), np.uint8)])
def test_unusable_photo(source: object) -> None:
    analyzer = staged()
    with pytest.raises(ImageError):
        analyzer(source)
    with pytest.raises(ImageError):
        analyzer.batch([GREY, source])


@pytest.mark.parametrize("name", CALLS)
def test_a_file_is_opened_once(wide: Path, opened: list[str], name: str) -> None:
    analyzer, call = staged(), CALLS[name]
    opened.clear()
    call(analyzer, wide)
    assert opened.count(str(wide)) == 1


@pytest.mark.parametrize("name", CALLS)
def test_an_opened_photo_gives_the_same_as_its_path(wide: Path, name: str) -> None:
    by_path, by_photo = (CALLS[name](staged(), source) for source in (wide, open_photo(wide)))
    assert len(by_path) > 0
    for field in FACE_SHAPES | MOTION_SHAPES:
        np.testing.assert_array_equal(getattr(by_photo, field), getattr(by_path, field))
    assert (by_photo.file, by_photo.width, by_photo.height) == (str(wide), 300, 200)

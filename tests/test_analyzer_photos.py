"""FaceAnalyzer with the weights that ship, on the demo photo."""

import io
import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import facegeom
from facegeom import FaceAnalyzer, Faces, ImageError, InputError
from facegeom.geometry.boxes import iou
from facegeom.geometry.schemes import IBUG68_EYE_CORNERS, IBUG68_MIRROR, IBUG68_REGIONS
from facegeom.image.photo import open_photo
from facegeom.image.pyramid import Pyramid
from facegeom.models.detector import Candidates
from facegeom.results import FACE_SHAPES, MOTION_SHAPES

DEMO = Path(str(files("facegeom") / "data" / "astronaut.jpg"))
NAN = float("nan")
GREY = np.full((150, 200, 3), 90, np.uint8)
BLACK = np.zeros((30, 40, 3), np.uint8)


def assert_same(found: Faces, expected: Faces, tolerance_px: float = 0.01) -> None:
    assert (found.width, found.height, len(found)) == (expected.width, expected.height, len(expected))
    for name in ("box_xyxy", "landmarks_px", "mesh_px"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=tolerance_px)
    np.testing.assert_allclose(found.score, expected.score, atol=1e-4)
    np.testing.assert_allclose(found.rotation, expected.rotation, atol=1e-3)


def assert_equal(found: Faces, expected: Faces) -> None:
    assert (found.width, found.height, len(found)) == (expected.width, expected.height, len(expected))
    for name in FACE_SHAPES | MOTION_SHAPES:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)


@pytest.fixture(scope="module")
def analyzer() -> FaceAnalyzer:
    return FaceAnalyzer(threads=2)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.array(Image.open(DEMO).convert("RGB"))


@pytest.fixture(scope="module")
def demo(analyzer: FaceAnalyzer, image: np.ndarray) -> Faces:
    return analyzer(image)


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
    assert abs(face.yaw_deg) < 15 and abs(face.pitch_deg) < 25 and abs(face.roll_deg) < 15


def test_mesh_agrees_with_the_landmarks(demo: Faces) -> None:
    face = only(demo)
    for landmark, vertex in ((36, 33), (45, 263), (48, 61), (54, 291), (30, 4)):
        apart = np.linalg.norm(face.landmarks_px[landmark] - face.mesh_px[vertex, :2])
        assert apart < 0.15 * eye_distance(face)


def test_every_kind_of_source(analyzer: FaceAnalyzer, demo: Faces, image: np.ndarray) -> None:
    for source in (
        DEMO,
        str(DEMO),
        DEMO.read_bytes(),
        Image.open(DEMO),
        Image.fromarray(image),
        image / 255,
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


def test_exif_orientation(analyzer: FaceAnalyzer, demo: Faces, image: np.ndarray) -> None:
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # to be rotated a quarter clockwise
    Image.fromarray(np.rot90(image)).save(stream, "PNG", exif=exif)
    assert_same(analyzer(stream.getvalue()), demo)


def test_large_files_are_decoded_reduced_and_results_are_in_their_own_pixels(
    image: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, large = (
        tmp_path / "large.jpg",
        Image.fromarray(image).resize((1025, 1023), Image.Resampling.BICUBIC),
    )
    large.save(path, quality=95)
    analyzer = FaceAnalyzer(min_face=200, threads=2)
    sizes: list[tuple[int, int]] = []
    detector = analyzer.detector

    def spy(images: list[Pyramid], smallest: list[float], closest: list[float]) -> list[Candidates]:
        sizes.extend(each.size_wh for each in images)
        return detector(images, smallest, closest)

    spy.fusion, spy.looks_closer = detector.fusion, detector.looks_closer  # type: ignore[attr-defined]
    monkeypatch.setattr(analyzer, "detector", spy)
    reduced = only(analyzer(path))
    whole = only(analyzer(np.asarray(large)))
    assert sizes == [(513, 512), (1025, 1023)]
    np.testing.assert_allclose(reduced.mesh_px, whole.mesh_px, atol=0.03 * eye_distance(whole))
    np.testing.assert_allclose(reduced.translation_mm, whole.translation_mm, rtol=0.03)
    opened = analyzer._open(path, analyzer.options)
    assert opened.pyramid.size_wh == (513, 512)
    assert_equal(analyzer(opened), analyzer(path))
    again = only(analyzer.at(opened, reduced.box_xyxy[None]))
    np.testing.assert_allclose(again.mesh_px, reduced.mesh_px, atol=0.03 * eye_distance(reduced))


def test_an_opened_photo_is_a_source(analyzer: FaceAnalyzer, opened: list[str]) -> None:
    opened.clear()
    faces = analyzer(DEMO)
    assert opened.count(str(DEMO)) == 1
    photo = open_photo(DEMO)
    opened.clear()
    for found in (analyzer(photo), analyzer.batch([photo])[0]):
        assert_equal(found, faces)
        assert found.file == str(DEMO)
    assert_equal(analyzer.at(photo, faces.box_xyxy), analyzer.at(DEMO, faces.box_xyxy))
    analyzer(photo, min_face=12)
    assert_equal(analyzer(photo), faces)  # whatever was asked of it before
    assert opened.count(str(DEMO)) == 1  # by the last call alone


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"min_face": 60}, 2),
        ({"min_face": 420}, 0),
        ({"max_faces": 1}, 1),
        ({"min_score": 1.0}, 0),
        ({"min_score": 0.0}, None),
        ({"fov_deg": 80.0}, 2),
        ({"min_face": 40, "max_faces": 1, "min_score": 0.5, "fov_deg": 20.0}, 1),
    ],
)
def test_options_of_a_call_equal_those_of_an_analyzer(
    image: np.ndarray, options: dict[str, float], count: int | None
) -> None:
    pair = np.concatenate([image, image[::2, ::2].repeat(2, axis=0).repeat(2, axis=1)], axis=1)
    expected, other = FaceAnalyzer(threads=1, **options), FaceAnalyzer(threads=1)
    faces = expected(pair)
    assert len(faces) == count or (count is None and len(faces) >= 2)
    assert_equal(other(pair, **options), faces)
    for found, each in zip(other.batch([image, pair], **options), expected.batch([image, pair]), strict=True):
        assert_equal(found, each)


def test_batch_of_mixed_sizes_equals_single_calls(
    analyzer: FaceAnalyzer, demo: Faces, image: np.ndarray
) -> None:
    photos = [image, GREY, image[:300, 60:400], np.concatenate([image, image], axis=1), BLACK]
    found = analyzer.batch(photos)
    assert [len(faces) for faces in found] == [1, 0, 1, 2, 0]
    for photo, faces in zip(photos, found, strict=True):
        assert_same(faces, analyzer(photo))
    assert_same(found[0], demo)


def test_cropped_photo_moves_the_points(analyzer: FaceAnalyzer, demo: Faces, image: np.ndarray) -> None:
    face = only(analyzer(image[20:340, 50:430]))
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


def test_max_faces(image: np.ndarray) -> None:
    pair = np.concatenate([image, image[::2, ::2].repeat(2, axis=0).repeat(2, axis=1)], axis=1)
    every, best = FaceAnalyzer()(pair), FaceAnalyzer(max_faces=1)(pair)
    assert len(every) == 2 and every.score[0] >= every.score[1]
    assert_same(best, every[:1])


def test_faces_below_the_smallest_are_left_out(image: np.ndarray) -> None:
    assert len(FaceAnalyzer(min_face=420)(image)) == 0
    assert len(FaceAnalyzer(min_face=60)(image)) == 1


def test_known_places_give_the_same_geometry(analyzer: FaceAnalyzer, demo: Faces, image: np.ndarray) -> None:
    for source in (image, Image.fromarray(image), DEMO):
        faces = analyzer.at(source, demo.box_xyxy)
        assert (faces.width, faces.height, len(faces)) == (512, 512, 1) and faces.score[0] > 0.9
        np.testing.assert_allclose(faces.landmarks_px, demo.landmarks_px, atol=0.02 * eye_distance(demo[0]))
        np.testing.assert_allclose(faces.mesh_mm, demo.mesh_mm, atol=8)
    assert analyzer.at(DEMO, demo.box_xyxy).file == str(DEMO)


def test_known_places_keep_their_order_and_number(analyzer: FaceAnalyzer, image: np.ndarray) -> None:
    pair = np.concatenate([image, np.zeros_like(image), image], axis=1)
    box = analyzer(image).box_xyxy[0]
    places = box + np.array([[1024, 0, 1024, 0], [512, 0, 512, 0], [0, 0, 0, 0]])
    faces = analyzer.at(pair, places)
    assert (faces.score > 0.9).tolist() == [True, False, True]
    moved = faces.landmarks_px[0] - (1024, 0)  # int8 makes other rounding of pixels visible
    np.testing.assert_allclose(moved, faces.landmarks_px[2], atol=0.01 * eye_distance(faces[0]))
    assert len(analyzer.at(pair, np.zeros((0, 4)))) == 0


def test_a_known_place_beyond_the_edge(analyzer: FaceAnalyzer, demo: Faces, image: np.ndarray) -> None:
    left, _, right, _ = demo.box_xyxy[0]
    middle = int((left + right) / 2)
    half = analyzer.at(image[:, middle:], demo.box_xyxy - (middle, 0, middle, 0))
    assert half.box_xyxy[0, 0] < 0 and half.width == image.shape[1] - middle


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([1, 2, 3, 4], r"\(N, 4\), got \(4,\)"),
        (np.zeros((2, 5)), r"got \(2, 5\)"),
        (
            [[10, 10, 10, 20]],
            r"left, top, right, bottom .* at least 0\.1 wide and high, got \[\[10, 10, 10, 20",
        ),
        ([[0, 20, 10, 10]], r"wide and high, got \[\[0, 20"),
        ([[0, 0, 10, 0.05]], "wide and high"),
        ([[0, 0, NAN, 10]], r"within 1e\+08 pixels, .*nan"),
    ],
)
def test_unusable_places(analyzer: FaceAnalyzer, boxes: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        analyzer.at(GREY, boxes)


def test_threads(analyzer: FaceAnalyzer, demo: Faces, image: np.ndarray) -> None:
    with ThreadPoolExecutor(8) as pool:
        for faces in pool.map(analyzer, [image] * 16):
            assert_same(faces, demo)


def test_pickling(analyzer: FaceAnalyzer, demo: Faces, image: np.ndarray) -> None:
    copy = pickle.loads(pickle.dumps(analyzer))
    assert vars(copy).keys() == vars(analyzer).keys()
    assert_same(copy(image), demo)


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


@pytest.mark.parametrize("roll_deg", [-30, 30])
def test_rotated_photo_changes_the_roll(
    analyzer: FaceAnalyzer, demo: Faces, image: np.ndarray, roll_deg: float
) -> None:
    middle = tuple(demo[0].landmarks_px.mean(axis=0).tolist())
    rotated = Image.fromarray(image).rotate(-roll_deg, Image.Resampling.BICUBIC, center=middle)  # clockwise
    face = only(analyzer(rotated))
    assert face.roll_deg - demo[0].roll_deg == pytest.approx(roll_deg, abs=8)
    assert face.yaw_deg == pytest.approx(demo[0].yaw_deg, abs=10)


def test_mirrored_photo_mirrors_the_face(analyzer: FaceAnalyzer, demo: Faces, image: np.ndarray) -> None:
    face, mirrored = demo[0], only(analyzer(image[:, ::-1]))
    expected = face.landmarks_px[IBUG68_MIRROR] * (-1, 1) + (image.shape[1] - 1, 0)
    assert np.linalg.norm(mirrored.landmarks_px - expected, axis=1).mean() < 0.08 * eye_distance(face)
    assert mirrored.yaw_deg == pytest.approx(-face.yaw_deg, abs=6)
    assert mirrored.roll_deg == pytest.approx(-face.roll_deg, abs=6)
    assert mirrored.pitch_deg == pytest.approx(face.pitch_deg, abs=6)


def test_scores_are_those_of_both_networks(analyzer: FaceAnalyzer) -> None:
    photo = open_photo(DEMO).pyramid
    squares, scores = analyzer.detector([photo], [40.0])[0]
    face = analyzer.face_net([photo], [squares])[0]
    expected = analyzer.detector.fusion.fuse(face.score, scores).max()
    assert analyzer(DEMO).score[0] == pytest.approx(expected, abs=1e-3)


def test_the_cascade_as_the_detector() -> None:
    found, other = FaceAnalyzer()(DEMO), FaceAnalyzer(detector="cascade")(DEMO)
    assert len(found) == len(other) == 1
    assert iou(found.box_xyxy, other.box_xyxy)[0, 0] > 0.8
    with pytest.raises(InputError, match="detector: expected one of onepass, cascade, got 'hog'"):
        FaceAnalyzer(detector="hog")


def test_errors_kept_in_the_place_of_bad_photos(analyzer: FaceAnalyzer, image: np.ndarray) -> None:
    found = analyzer.batch([image, b"no photo", GREY], on_error="keep")
    assert [type(each) for each in found] == [Faces, ImageError, Faces]
    assert len(analyzer.batch([b"no photo"], on_error="keep")) == 1
    with pytest.raises(ImageError):
        analyzer.batch([image, b"no photo"])
    with pytest.raises(InputError, match="on_error"):
        analyzer.batch([image], on_error="skip")  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "one", [np.zeros((60, 50, 3), np.uint8), "photo.jpg", b"bytes", Image.new("RGB", (9, 9))]
)
def test_batch_of_one_photo_is_refused(analyzer: FaceAnalyzer, one: object) -> None:
    with pytest.raises(InputError, match="batch takes several photos"):
        analyzer.batch(one)  # type: ignore[arg-type]


@pytest.mark.parametrize("source", ["mesh", "network"])
def test_depth_changes_nothing_else_and_lies_on_the_face_of_a_reduced_photo(
    analyzer: FaceAnalyzer, image: np.ndarray, source: str
) -> None:
    encoded = io.BytesIO()
    Image.fromarray(image).resize((2051, 2050)).save(encoded, "JPEG", quality=92)
    plain, deep = analyzer(encoded.getvalue()), FaceAnalyzer(depth=source)(encoded.getvalue())
    assert_equal(deep, plain)
    whole = FaceAnalyzer(depth=source)(np.array(Image.open(encoded)))
    assert deep.depth is not None and whole.depth is not None
    np.testing.assert_allclose(
        deep.depth[0].image_from_depth, whole.depth[0].image_from_depth, rtol=0.02, atol=6
    )
    both = deep.depth[0].mask & whole.depth[0].mask
    difference = (deep.depth[0].z_mm - whole.depth[0].z_mm)[both]
    assert both.mean() > 0.3 and np.abs(difference - np.median(difference)).mean() < 2.5

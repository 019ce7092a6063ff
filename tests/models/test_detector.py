"""The one-pass detector around its network: levels, canvas, peaks, pixels of the photo."""

import numpy as np
import pytest
from PIL import Image

from facegeom.image.pyramid import Pyramid
from facegeom.models import detector
from facegeom.models.detector import GRAIN, PATCH_PX, STRIDE, TYPICAL_SIDE_PX, OnePassDetector


class FakeEngine:
    """Predicts faces at given places of its canvas: centres and sides."""

    def __init__(self, *faces: tuple[float, float, float]) -> None:
        self.faces = faces
        self.canvases: list[np.ndarray] = []

    def __call__(self, canvas: np.ndarray) -> list[np.ndarray]:
        assert canvas.dtype == np.uint8 and canvas.shape[1] % GRAIN == canvas.shape[2] % GRAIN == 0
        self.canvases.append(canvas[0])
        rows, columns = canvas.shape[1] // STRIDE, canvas.shape[2] // STRIDE
        score, placement = np.full((1, rows, columns), 0.01, np.float32), np.zeros((1, 3, rows, columns))
        for x, y, side in self.faces:
            row, column = int((y + 0.5) // STRIDE), int((x + 0.5) // STRIDE)
            centre = np.array([column, row]) * STRIDE + (STRIDE - 1) / 2
            offset = (np.array([x, y]) - centre) / side
            for down, right, ratio in ((0, 0, 1.0), (0, 1, 0.8), (1, 0, 0.7)):
                if row + down < rows and column + right < columns:
                    score[0, row + down, column + right] = 0.9 * ratio
            placement[0, :, row, column] = *offset, np.log(side / TYPICAL_SIDE_PX)
        return [score, placement.astype(np.float32)]


def photo(width: int, height: int) -> Pyramid:
    return Pyramid(Image.new("RGB", (width, height), (10, 200, 30)))


@pytest.mark.parametrize("min_face", [32.0, 35.2, 46.0])
def test_squares_in_pixels_of_the_photo(min_face: float) -> None:
    engine = FakeEngine((100.0, 60.0, 50.0), (20.0, 150.0, 14.0))
    squares, scores = OnePassDetector(engine)([photo(500, 380)], [min_face])[0]
    assert engine.canvases[0].shape == (192, 256, 3)
    expected = [(200.5, 120.5, 100.0), (40.5, 300.5, 28.0)]
    found = sorted((*((square[:2] + square[2:]) / 2), square[2] - square[0]) for square in squares)
    np.testing.assert_allclose(found, sorted(expected), atol=1e-3)
    np.testing.assert_allclose(scores, 0.9)


def test_small_photos_are_enlarged() -> None:
    engine = FakeEngine((40.0, 30.0, 20.0))
    squares, _ = OnePassDetector(engine)([photo(100, 80)], [10.0])[0]
    assert engine.canvases[0].shape == (128, 160, 3)
    np.testing.assert_allclose(squares, [[18.5625, 12.3125, 31.0625, 24.8125]], atol=1e-3)


def test_the_canvas_shows_the_whole_photo_and_is_grey_beside_it() -> None:
    engine = FakeEngine()
    squares, scores = OnePassDetector(engine)([photo(501, 301)], [35.0])[0]
    assert squares.shape == (0, 4) and scores.shape == (0,)
    canvas = engine.canvases[0]
    assert (canvas[:151, :251] == (10, 200, 30)).all()
    assert (canvas[151:] == 127).all() and (canvas[:, 251:] == 127).all()


@pytest.mark.parametrize(
    "longer_px, min_face, scales",
    [
        (500, 35.2, [1 / 2]),
        (640, 35.2, [1 / 2, 1 / 6]),
        (448, 24.6, [1, 1 / 3]),
        (4000, 220.0, [1 / 13, 1 / 39]),
        (4000, 20.0, [1, 1 / 3, 1 / 9, 1 / 27]),
        (100, 10.0, [1.6]),
        (100, 1.0, [2.0]),
        (200, 1.0, [2.0, 1 / 2]),
    ],
)
def test_scales(longer_px: int, min_face: float, scales: list[float]) -> None:
    assert detector.scales(longer_px, min_face) == pytest.approx(scales)


@pytest.mark.parametrize("min_face", [16.0, 17.0, 31.9, 32.0, 90.0, 413.0])
def test_the_smallest_face_is_large_enough_for_the_network(min_face: float) -> None:
    size = min_face * detector.scales(2000, min_face)[0]
    assert size + 1e-9 >= detector.SMALLEST_PX and size < 2 * detector.SMALLEST_PX


def test_peaks_are_where_no_neighbour_is_higher() -> None:
    score = np.zeros((4, 5), np.float32)
    score[0, 0], score[0, 1], score[3, 4], score[1, 3] = 0.5, 0.6, 0.4, 0.2
    rows, columns = detector.find_peaks(score, 0.3)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 1), (3, 4)]


def test_overlapping_peaks_are_one_face() -> None:
    engine = FakeEngine((100.0, 100.0, 80.0), (120.0, 100.0, 80.0), (200.0, 100.0, 30.0))
    squares, _ = OnePassDetector(engine)([photo(256, 256)], [20.0])[0]
    assert len(squares) == 2


@pytest.mark.parametrize(
    "side, ratio, count", [(11.9, 1.0, 0), (12.1, 1.0, 1), (79.0, 0.2, 1), (81.0, 0.2, 0), (81.0, 0.3, 1)]
)
def test_limits_of_size_and_score(side: float, ratio: float, count: int) -> None:
    """With ``min_face`` 20: a side of 12 is needed, and from a side of 80 on a score of 0.2."""
    engine = FakeEngine((100.0, 100.0, side))
    detector = OnePassDetector(
        lambda canvas: [output * (ratio if k == 0 else 1) for k, output in enumerate(engine(canvas))]
    )
    assert len(detector([photo(200, 200)], [20.0])[0][0]) == count


@pytest.mark.parametrize("beside, score, count", [(0.9, 0.18, 1), (0.9, 0.22, 2), (0.45, 0.18, 2)])
def test_beside_a_clear_face_a_candidate_needs_more(beside: float, score: float, count: int) -> None:
    engines = [(FakeEngine((60.0, 60.0, 50.0)), beside), (FakeEngine((150.0, 150.0, 30.0)), score)]

    def engine(canvas: np.ndarray) -> list[np.ndarray]:
        outputs = [(each(canvas), best / 0.9) for each, best in engines]
        return [
            np.maximum(*(ratio * scores for (scores, _), ratio in outputs)),
            sum(placement for (_, placement), _ in outputs),
        ]

    assert len(OnePassDetector(engine)([photo(200, 200)], [20.0])[0].score) == count


def test_photos_of_several_sizes() -> None:
    engine = FakeEngine((30.0, 30.0, 20.0))
    found = OnePassDetector(engine)([photo(500, 400), photo(100, 250)], [35.2, 16.0])
    assert [len(scores) for _, scores in found] == [1, 1]
    assert OnePassDetector(engine)([], []) == []


class Distant:
    """Engine that scores cells with bright pixels: as a hint in the first look, as shown in later ones.

    ``clear`` is the side of a clear face in the left upper corner of the first look; 0 for none.
    """

    def __init__(self, hint: float, shown: float, side: float, clear: float = 0.0) -> None:
        self.scores, self.side, self.clear = (hint, shown), side, clear
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, batch: np.ndarray) -> list[np.ndarray]:
        hint, shown = self.scores
        is_coarse = not self.shapes
        self.shapes.append(batch.shape)
        count, height, width = batch.shape[:3]
        cells = (
            batch[..., 0].reshape(count, height // STRIDE, STRIDE, width // STRIDE, STRIDE).max(axis=(2, 4))
        )
        score = np.where(cells > 140, hint if is_coarse else shown, 0.01).astype(np.float32)
        places = np.zeros((count, 3, *score.shape[1:]), np.float32)
        places[:, 2] = np.log((self.side if is_coarse else 2 * self.side) / TYPICAL_SIDE_PX)
        if is_coarse and self.clear:
            score[:, 2, 2], places[:, 2, 2, 2] = 0.6, np.log(self.clear / TYPICAL_SIDE_PX)
        return [score, places]


def distant(x: int = 630, y: int = 420, width: int = 1000, height: int = 700) -> Pyramid:
    pixels = np.full((height, width, 3), 120, np.uint8)
    pixels[y : y + 8, x : x + 8] = 255
    return Pyramid(pixels)


@pytest.mark.parametrize(
    ("hint", "shown", "side", "looks"),
    [
        (0.08, 0.3, 12.0, 4),  # two levels, a patch, the photo
        (0.08, 0.2, 12.0, 3),  # the patch shows nothing
        (0.06, 0.9, 12.0, 2),  # no hint
        (0.9, 0.9, 33.0, 2),  # a face that is large enough
        (0.3, 0.5, 19.0, 3),  # the patch shows a face that is large enough
    ],
)
def test_the_photo_is_searched_closer_where_a_patch_shows_a_small_face(
    hint: float, shown: float, side: float, looks: int
) -> None:
    engine = Distant(hint, shown, side)
    found = OnePassDetector(engine)([distant()], [40.0], [20.0])[0]
    patch, whole = (1, PATCH_PX, PATCH_PX, 3), (1, 704, 1024, 3)
    assert engine.shapes == [(1, 352, 512, 3), (1, 128, 192, 3), patch, whole][:looks]
    if looks == 4:
        centre = (found.box_xyxy[0, :2] + found.box_xyxy[0, 2:]) / 2
        assert np.abs(centre - 4 - [630, 420]).max() < 3 * STRIDE


@pytest.mark.parametrize(
    ("clear", "hint", "shown", "looks"),
    [
        (35.0, 0.11, 0.36, 4),
        (35.0, 0.09, 0.90, 2),
        (35.0, 0.11, 0.30, 3),
        (60.0, 0.26, 0.46, 4),
        (60.0, 0.24, 0.90, 2),
        (60.0, 0.26, 0.40, 3),
    ],
)
def test_beside_clear_faces_hints_need_more(clear: float, hint: float, shown: float, looks: int) -> None:
    engine = Distant(hint, shown, 12.0, clear)
    OnePassDetector(engine)([distant()], [40.0], [20.0])
    assert len(engine.shapes) == looks


def test_an_explicit_size_takes_no_closer_look() -> None:
    engine = Distant(0.12, 0.9, 12.0)
    OnePassDetector(engine)([distant()], [40.0])
    assert len(engine.shapes) == 2


@pytest.mark.parametrize(
    ("xy", "wh"), [((0, 0), (1000, 700)), ((990, 690), (1000, 700)), ((30, 40), (50, 61))]
)
def test_patches_are_parts_of_the_level(xy: tuple[int, int], wh: tuple[int, int]) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (wh[1], wh[0], 3), np.uint8)
    patch = detector._patch(Pyramid(pixels), np.array(xy, float), 2)
    level = np.pad(np.asarray(Pyramid(pixels).level(2)), ((0, 64), (0, 64), (0, 0)), constant_values=127)
    corners = (np.lib.stride_tricks.sliding_window_view(level, patch.shape) == patch).all(axis=(3, 4, 5))
    assert np.argwhere(corners)[:, :2].tolist() == [
        [
            min(max(int(xy[1] / 2 - 32), 0), max(-(-wh[1] // 2) - 64, 0)),
            min(max(int(xy[0] / 2 - 32), 0), max(-(-wh[0] // 2) - 64, 0)),
        ]
    ]


@pytest.mark.parametrize(
    ("factor", "closest_px", "factors"),
    [(2, 20.0, [1]), (5, 24.0, [2, 1]), (13, 60.0, [6, 3]), (1, 20.0, []), (3, 48.0, []), (0, 20.0, [])],
)
def test_closer_looks_halve_the_factor(factor: int, closest_px: float, factors: list[int]) -> None:
    assert detector.closer_factors(factor, closest_px) == factors

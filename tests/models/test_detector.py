"""The one-pass detector around its network: levels, canvas, peaks, pixels of the photo."""

import numpy as np
import pytest
from PIL import Image

from facegeom.image.pyramid import Pyramid
from facegeom.models import detector
from facegeom.models.detector import GRAIN, STRIDE, TYPICAL_SIDE_PX, OnePassDetector


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


def test_photos_of_several_sizes() -> None:
    engine = FakeEngine((30.0, 30.0, 20.0))
    found = OnePassDetector(engine)([photo(500, 400), photo(100, 250)], [35.2, 16.0])
    assert [len(scores) for _, scores in found] == [1, 1]
    assert OnePassDetector(engine)([], []) == []

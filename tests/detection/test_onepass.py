"""The one-pass detector around its network: levels, canvas, peaks, the way back into the photo."""

import numpy as np
import pytest
from PIL import Image

from facegeom.detection import onepass
from facegeom.detection.onepass import GRAIN, STRIDE, TYPICAL_SIDE_PX, OnePass


class Answers:
    """An engine that claims faces at given places of its canvas: middles and sides."""

    def __init__(self, *faces: tuple[float, float, float]) -> None:
        self.faces = faces
        self.canvases: list[np.ndarray] = []

    def __call__(self, canvas: np.ndarray) -> list[np.ndarray]:
        assert canvas.dtype == np.uint8 and canvas.shape[1] % GRAIN == canvas.shape[2] % GRAIN == 0
        self.canvases.append(canvas[0])
        rows, columns = canvas.shape[1] // STRIDE, canvas.shape[2] // STRIDE
        score, places = np.full((1, rows, columns), 0.01, np.float32), np.zeros((1, 3, rows, columns))
        for x, y, side in self.faces:
            row, column = int((y + 0.5) // STRIDE), int((x + 0.5) // STRIDE)
            middle = np.array([column, row]) * STRIDE + (STRIDE - 1) / 2
            away = (np.array([x, y]) - middle) / side
            for down, right, share in ((0, 0, 1.0), (0, 1, 0.8), (1, 0, 0.7)):
                if row + down < rows and column + right < columns:
                    score[0, row + down, column + right] = 0.9 * share
            places[0, :, row, column] = *away, np.log(side / TYPICAL_SIDE_PX)
        return [score, places.astype(np.float32)]


def min_face(side: int, longer: int) -> float:
    """The smallest face for which a photo is shown with so many pixels of its longer side."""
    return onepass.SMALLEST_PX * side / longer


def photo(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), (10, 200, 30))


def test_squares_in_pixels_of_the_photo() -> None:
    engine = Answers((100.0, 60.0, 50.0), (20.0, 150.0, 14.0))
    squares, scores = OnePass(engine)([photo(640, 480)], [min_face(640, 256)])[0]
    assert engine.canvases[0].shape == (192, 256, 3)
    ratio = 640 / 256
    expected = [
        (100.5 * ratio - 0.5, 60.5 * ratio - 0.5, 50 * ratio),
        (20.5 * ratio - 0.5, 150.5 * ratio - 0.5, 14 * ratio),
    ]
    found = sorted((*((square[:2] + square[2:]) / 2), square[2] - square[0]) for square in squares)
    np.testing.assert_allclose(found, sorted(expected), atol=1e-3)
    np.testing.assert_allclose(scores, 0.9)


def test_the_photo_is_shown_whole_and_the_rest_is_grey() -> None:
    engine = Answers()
    squares, scores = OnePass(engine)([photo(640, 300)], [40.0])[0]
    assert squares.shape == (0, 4) and scores.shape == (0,)
    canvas = engine.canvases[0]
    height = round(300 * canvas.shape[1] / 640)
    assert (canvas[:height] == (10, 200, 30)).all() and (canvas[height:] == 127).all()


@pytest.mark.parametrize(
    "photo_wh, longer, levels",
    [
        ((640, 480), 256, [256]),
        ((640, 480), 250, [256]),
        ((480, 640), 257, [288, 96]),
        ((4000, 3000), 224, [224]),
        ((4000, 3000), 2816, [2816, 928, 320, 96]),
        ((10, 20), 20, [32]),
    ],
)
def test_levels(photo_wh: tuple[int, int], longer: int, levels: list[int]) -> None:
    assert onepass._levels(photo_wh, min_face(max(photo_wh), longer)) == levels


def test_small_photos_are_enlarged_twice_at_most() -> None:
    assert onepass._levels((100, 80), 0.5) == [224]


def test_the_smallest_face_is_large_enough_for_the_network() -> None:
    for longer, face in ((640, 20.0), (333, 17.0), (1200, 150.0), (5000, 90.0)):
        level = onepass._levels((longer, 200), face)[0]
        assert face * level / longer >= onepass.SMALLEST_PX - 1e-6


def test_peaks_are_where_no_neighbour_is_higher() -> None:
    score = np.zeros((4, 5), np.float32)
    score[0, 0], score[0, 1], score[3, 4], score[1, 3] = 0.5, 0.6, 0.4, 0.2
    rows, columns = onepass._peaks(score, 0.3)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 1), (3, 4)]


def test_overlapping_peaks_are_one_face() -> None:
    engine = Answers((100.0, 100.0, 80.0), (120.0, 100.0, 80.0), (200.0, 100.0, 30.0))
    squares, _ = OnePass(engine)([photo(256, 256)], [min_face(256, 256)])[0]
    assert len(squares) == 2


def test_photos_of_several_sizes() -> None:
    engine = Answers((30.0, 30.0, 20.0))
    found = OnePass(engine)([photo(640, 480), photo(100, 300)], [min_face(640, 256), min_face(300, 224)])
    assert [len(scores) for _, scores in found] == [1, 1]
    assert OnePass(engine)([], []) == []

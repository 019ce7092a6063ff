"""The cascade with networks that measure: red squares on black stand for faces."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from facegeom.models.cascade import Cascade, Thresholds

Square = tuple[float, float, float]  # centre x, y, side


def red_squares(picture: np.ndarray) -> np.ndarray:
    """(F, 4) edges of the red squares in a picture (H, W, 3), from their mass and its centre."""
    red = picture[..., 0].astype(float) - picture[..., 1]
    labels, count = ndimage.label(red > 5)
    mass = ndimage.sum(red, labels, range(1, count + 1))
    centre = np.array(ndimage.center_of_mass(red, labels, range(1, count + 1))).reshape(-1, 2)[:, ::-1]
    half = np.sqrt(mass / 255)[:, None] / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def overlap(windows: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(K, F) intersection over union of windows (K, 4) and faces (F, 4)."""
    low = np.maximum(windows[:, None, :2], faces[:, :2])
    high = np.minimum(windows[:, None, 2:], faces[:, 2:])
    inter = np.prod(np.clip(high - low, 0, None), axis=2)
    sizes = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (windows, faces)]
    return inter / (sizes[0][:, None] + sizes[1] - inter)


class FakePNet:
    """Scores a window by its overlap with a red square, whose edges it gives too wide by ``slack``."""

    def __init__(self, slack: float = 1.0) -> None:
        self.slack = slack

    def __call__(self, pictures: np.ndarray) -> list[np.ndarray]:
        rows, columns = ((side - 2) // 2 - 4 for side in pictures.shape[1:3])
        y, x = np.mgrid[:rows, :columns]
        corner = np.stack([x.ravel(), y.ravel()], axis=1) * 2 - 0.5
        windows = np.concatenate([corner, corner + 12], axis=1)
        faces = red_squares(pictures[0])
        if not len(faces):
            return [np.zeros((1, rows, columns)), np.zeros((1, 4, rows, columns))]
        shared = overlap(windows, faces)
        best = faces[shared.argmax(axis=1)]
        grow = (best[:, 2:] - best[:, :2]) * (self.slack - 1) / 2
        offsets = (best + np.concatenate([-grow, grow], axis=1) - windows) / 12
        return [shared.max(axis=1).reshape(1, rows, columns), offsets.T.reshape(1, 4, rows, columns)]


class FakeRNet:
    """Finds the edges of the red square in each window."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, windows: np.ndarray) -> list[np.ndarray]:
        self.batches.append(len(windows))
        faces = [red_squares(window) for window in windows]
        score = [0.9 if len(found) else 0.0 for found in faces]
        offsets = [
            (found[0] - (-0.5, -0.5, 23.5, 23.5)) / 24 if len(found) else np.zeros(4) for found in faces
        ]
        return [np.array(score), np.array(offsets)]


def photo(width: int, height: int, *squares: Square) -> Image.Image:
    picture = np.zeros((height, width, 3), np.uint8)
    for x, y, side in squares:
        low, high = np.array([x, y]) - side / 2 + 0.5, np.array([x, y]) + side / 2 + 0.5
        (left, top), (right, bottom) = low.astype(int), high.astype(int)
        picture[top:bottom, left:right, 0] = 255
    return Image.fromarray(picture)


def edges(*squares: Square) -> np.ndarray:
    return np.array([[x - side / 2, y - side / 2, x + side / 2, y + side / 2] for x, y, side in squares])


@pytest.mark.parametrize("slack", [1.0, 1.3])
@pytest.mark.parametrize(
    ("size_wh", "square", "min_face"),
    [
        ((120, 90), (40.5, 50.5, 20), 12.0),
        ((640, 480), (400.5, 130.5, 60), 35.0),
        ((640, 480), (110.5, 350.5, 200), 35.0),
        ((900, 1200), (450.5, 1000.5, 300), 66.0),
        ((1001, 333), (930.5, 200.5, 100), 60.0),
    ],
)
def test_square_at_the_right_place_and_scale(
    size_wh: tuple[int, int], square: Square, min_face: float, slack: float
) -> None:
    cascade = Cascade(FakePNet(slack), FakeRNet())
    found, scores = cascade([photo(*size_wh, square)], [min_face])[0]
    np.testing.assert_allclose(found, edges(square), atol=0.03 * square[2])
    np.testing.assert_allclose(scores, [0.9])


def test_two_faces_of_different_sizes() -> None:
    pair = (60.5, 60.5, 30), (300.5, 180.5, 160)
    found, _ = Cascade(FakePNet(), FakeRNet())([photo(480, 320, *pair)], [24.0])[0]
    assert len(found) == 2
    np.testing.assert_allclose(found[np.argsort(found[:, 0])], edges(*pair), atol=4)


def test_faces_smaller_than_asked_for_are_left_out() -> None:
    picture = photo(400, 400, (200.5, 200.5, 20))
    cascade = Cascade(FakePNet(), FakeRNet())
    assert len(cascade([picture], [16.0])[0][0]) == 1
    assert len(cascade([picture], [60.0])[0][0]) == 0


def test_no_proposals() -> None:
    rnet = FakeRNet()
    answers = Cascade(FakePNet(), rnet)([photo(100, 80), photo(30, 200)], [12.0, 12.0])
    assert [(squares.shape, scores.shape) for squares, scores in answers] == [((0, 4), (0,))] * 2
    assert rnet.batches == []
    assert Cascade(FakePNet(), rnet)([], []) == []


def test_batch_of_mixed_sizes_equals_one_by_one() -> None:
    photos = [
        photo(120, 90, (40.5, 50.5, 20)),
        photo(64, 64),
        photo(640, 480, (400.5, 130.5, 90), (100.5, 300.5, 70)),
        photo(11, 7),
    ]
    smallest, rnet = [12.0, 12.0, 35.0, 12.0], FakeRNet()
    cascade = Cascade(FakePNet(1.2), rnet)
    together = cascade(photos, smallest)
    assert len(rnet.batches) == 1  # all windows in one call
    assert [len(squares) for squares, _ in together] == [1, 0, 2, 0]
    for picture, face, (squares, scores) in zip(photos, smallest, together, strict=True):
        alone = cascade([picture], [face])[0]
        np.testing.assert_allclose(squares, alone[0])
        np.testing.assert_allclose(scores, alone[1])


def test_thresholds() -> None:
    picture = photo(120, 90, (40.5, 50.5, 20))
    for limits in (Thresholds(propose=1.1), Thresholds(refine=0.95)):
        assert len(Cascade(FakePNet(), FakeRNet(), limits)([picture], [12.0])[0][0]) == 0


def test_best_windows_alone_are_refined() -> None:
    rnet = FakeRNet()
    limits = Thresholds(propose=0.05, propose_overlap=1.0, propose_most=7)
    Cascade(FakePNet(), rnet, limits)([photo(120, 90, (40.5, 50.5, 20))], [12.0])
    assert rnet.batches == [7]

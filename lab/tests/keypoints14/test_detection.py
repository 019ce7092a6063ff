"""``detect``: all kinds of pictures, pixels of the originals."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from facegeom import analyze
from facegeom.errors import ImageError, InputError
from facegeom.image import reading
from facegeom_lab.datasets.schemes import facepoints14_from_68
from facegeom_lab.keypoints14 import SHIPPED, detect, detection
from facegeom_lab.keypoints14.data import PlainViews, labelled_images
from facegeom_lab.keypoints14.detection import label_shift, predict_points
from facegeom_lab.keypoints14.network import KeypointNet, TrainingCost, load_network, save_network
from facegeom_lab.keypoints14.prepare import tight_crop
from facegeom_lab.keypoints14.views import MIRROR, SquareImages


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write an untrained network, whose predictions depend on the image all the same."""
    torch.manual_seed(1)
    net = KeypointNet(32)
    net.answer[-1].weight.data *= 3
    path = tmp_path_factory.mktemp("model") / "model.ckpt"
    save_network(path, net.state_dict(), TrainingCost(1, 1, 1.0, 1.0))
    return path


@pytest.fixture
def picture() -> np.ndarray:
    """(40, 30) uint8."""
    small = np.random.default_rng(0).integers(0, 256, (5, 4), dtype=np.uint8)
    return cv2.resize(small, (30, 40), interpolation=cv2.INTER_CUBIC)


def test_every_picture_of_the_folder(model: Path, faces: Any) -> None:
    answers = detect(str(model), str(faces.folder))
    assert list(answers) == sorted(faces.points)
    assert all(numbers.shape == (28,) and numbers.dtype == np.float64 for numbers in answers.values())
    assert np.isfinite(list(answers.values())).all()
    assert len({numbers.tobytes() for numbers in answers.values()}) == len(answers)


def test_kinds_of_pictures(model: Path, picture: np.ndarray, tmp_path: Path) -> None:
    """Grey, 16-bit grey, colour and opaque alpha of one picture are one to the network."""
    kinds = {
        "grey.png": picture,
        "wide.png": picture.astype(np.uint16) * 257,
        "colour.png": np.dstack([picture] * 3),
        "alpha.png": np.dstack([picture] * 3 + [np.full_like(picture, 255)]),
    }
    for name, pixels in kinds.items():
        cv2.imwrite(str(tmp_path / name), pixels)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    answers = detect(model, tmp_path)
    assert list(answers) == sorted(kinds)
    for numbers in answers.values():
        np.testing.assert_array_equal(numbers, answers["grey.png"])


@pytest.mark.parametrize("shape", [(1, 50), (50, 1), (1, 1)])
def test_narrow_pictures(shape: tuple[int, int], model: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full(shape, 90, np.uint8))
    assert np.isfinite(detect(model, tmp_path)["a.png"]).all()


def test_points_are_pixels_of_the_picture(model: Path, picture: np.ndarray, tmp_path: Path) -> None:
    """A picture blown up by whole numbers gives the same points, edges on edges."""
    cv2.imwrite(str(tmp_path / "a.png"), np.kron(cv2.resize(picture, (32, 32)), np.ones((3, 2), np.uint8)))
    cv2.imwrite(str(tmp_path / "b.png"), cv2.resize(picture, (32, 32)))
    answers = detect(model, tmp_path)
    small, large = (answers[name].reshape(14, 2) for name in ("b.png", "a.png"))
    np.testing.assert_allclose(large, (small + 0.5) * (2, 3) - 0.5, atol=0.6)


def test_mirror_images_give_mirrored_points(model: Path, picture: np.ndarray, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    cv2.imwrite(str(tmp_path / "b.png"), picture[:, ::-1])
    plain, mirrored = (numbers.reshape(14, 2) for numbers in detect(model, tmp_path).values())
    np.testing.assert_allclose(mirrored, plain[MIRROR] * (-1, 1) + (29, 0), atol=1e-3)


def test_labels_that_count_from_one(model: Path, faces: Any) -> None:
    """Labels one pixel of the network's square to the right and two down: found, and answered with."""
    net, pictures = load_network(model), labelled_images(faces.points, faces.folder)
    squares = SquareImages(pictures.paths, 32)
    answers = predict_points(net, np.stack([squares[index][0] for index in range(12)]))
    sizes = np.array([squares[index][1] for index in range(12)])[:, None]
    labels = (answers + np.array([1, 2]) / 32 + 0.5) * sizes - 0.5
    labels[3, 5] = np.nan
    shift = label_shift(net, PlainViews(squares, labels))
    np.testing.assert_allclose(shift, np.array([1, 2]) / 32, atol=1e-6)
    net.shift.copy_(torch.from_numpy(shift))
    moved = predict_points(net, np.stack([squares[index][0] for index in range(12)]))
    np.testing.assert_allclose(moved - answers, np.broadcast_to(shift, (12, 14, 2)), atol=1e-6)


def test_the_network_that_ships_on_the_demo_photo(tmp_path: Path) -> None:
    """It agrees with the face network, which shares no weight with it."""
    photo = reading.read(str(files("facegeom") / "data" / "astronaut.jpg"))
    landmarks = analyze(photo)[0].landmarks_px
    opaque = np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)])
    crop, points = tight_crop(opaque, facepoints14_from_68(landmarks))
    cv2.imwrite(str(tmp_path / "a.png"), crop[..., ::-1])
    found = detect(SHIPPED, tmp_path)["a.png"].reshape(14, 2)
    assert (((found - points) / crop.shape[1::-1] * 100) ** 2).mean() < 10


def test_wrong_folders(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected images in"):
        detect(model, tmp_path)
    with pytest.raises(InputError, match="expected a folder of images at"):
        detect(model, tmp_path / "nowhere")


def test_damaged_picture(model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff cut short")
    with pytest.raises(ImageError, match=r"a\.jpg"):
        detect(model, tmp_path)


def test_a_loose_picture_is_cropped_around_its_points(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A network that sees the light square finds it anywhere; with margins it looks again, from nearer."""
    seen: list[float] = []

    def find(net: KeypointNet, squares: np.ndarray) -> np.ndarray:
        light = squares[0].mean(axis=2) > 128
        rows, columns = np.flatnonzero(light.any(axis=1)), np.flatnonzero(light.any(axis=0))
        seen.append(float(light.mean()))
        corners = np.array([[columns[0], rows[0]], [columns[-1], rows[-1]]]) + 0.5
        return (corners[[0] * 7 + [1] * 7] / len(light) - 0.5)[None]

    image = np.zeros((200, 300, 3), np.uint8)
    image[60:120, 100:180] = 255
    Image.fromarray(image).save(tmp_path / "0.png")
    net = KeypointNet(32)
    save_network(tmp_path / "model", net.state_dict(), TrainingCost(1, 1, 1.0, 1.0), (0.1, 0.1, 0.1, 0.1))
    monkeypatch.setattr(detection, "predict_points", find)
    (points,) = detect(tmp_path / "model", tmp_path).values()
    np.testing.assert_allclose(points.reshape(14, 2)[[0, -1]], [[99.5, 59.5], [179.5, 119.5]], atol=4)
    assert len(seen) > 1 and seen[0] < 0.1 < 0.5 < seen[-1]  # nearer in the last look
    save_network(tmp_path / "plain", net.state_dict(), TrainingCost(1, 1, 1.0, 1.0))
    seen.clear()
    detect(tmp_path / "plain", tmp_path)
    assert len(seen) == 1 and load_network(tmp_path / "plain").margins is None

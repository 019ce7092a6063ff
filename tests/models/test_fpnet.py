"""FPNet's predictor with a network of known answers: windows, the way back, and files that are no FPNet."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegeom.errors import InputError, WeightsError
from facegeom.geometry.rotation import geodesic_deg
from facegeom.models import weights
from facegeom.models.batching import BATCH
from facegeom.models.engine import Engine
from facegeom.models.fpnet import WINDOW_PX, FPNetPredictor
from facegeom_lab.export import to_onnx
from facegeom_lab.networks.cascade import FPNet


@pytest.fixture(scope="module")
def predictor(fpnet_file: Path) -> FPNetPredictor:
    return FPNetPredictor.load(fpnet_file, threads=1)


def plain(red: int) -> Image.Image:
    return Image.new("RGB", (80, 60), (red, 0, 0))


def test_window_sides_to_pixels_of_the_photo(predictor: FPNetPredictor, fpnet_rotation: np.ndarray) -> None:
    """Offsets of 0.1, 0.2, -0.1, 0 of a side of 40."""
    views = predictor([plain(204)], [np.array([[10.0, 15, 50, 55]])])[0]
    np.testing.assert_allclose(views.box_xyxy, [[14, 23, 46, 55]], rtol=1e-5)
    np.testing.assert_allclose(views.score, [0.8], atol=1e-3)
    assert geodesic_deg(views.rotation[0].astype(np.float64), fpnet_rotation) < 0.05


def test_the_window_is_the_square_itself(predictor: FPNetPredictor) -> None:
    """Red inside of the square alone: the window sees nothing else."""
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[20:40, 30:50, 0] = 255
    inside, around = np.array([29.5, 19.5, 49.5, 39.5]), np.array([19.5, 9.5, 59.5, 49.5])
    views = predictor([pixels], [np.stack([inside, around])])[0]
    np.testing.assert_allclose(views.score, [1, 0.25], atol=0.03)


def test_photos_share_batches_and_keep_their_answers(predictor: FPNetPredictor) -> None:
    counts, reds = [3, 0, BATCH, 1], [51, 102, 153, 204]
    squares = [np.tile([[20.0, 20, 40, 40]], (count, 1)) for count in counts]
    views = predictor([plain(red) for red in reds], squares)
    for red, count, view in zip(reds, counts, views, strict=True):
        np.testing.assert_allclose(view.score, [red / 255] * count, atol=1e-3)


def test_no_squares(predictor: FPNetPredictor) -> None:
    views = predictor([plain(1), plain(2)], [np.zeros((0, 4))] * 2)
    assert [view.rotation.shape for view in views] == [(0, 3, 3)] * 2


def test_what_training_exports_fits(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(to_onnx("fpnet", FPNet().eval()))
    views = FPNetPredictor.load(tmp_path / "mine.onnx")([plain(9)], [np.array([[0.0, 0, 48, 48]])])[0]
    assert FPNet.WINDOW == WINDOW_PX and views.rotation.shape == (1, 3, 3)
    np.testing.assert_allclose(np.linalg.det(views.rotation.astype(np.float64)), 1, atol=1e-5)


@pytest.mark.parametrize("name", ["pnet", "rnet", "face"])
def test_another_network(name: str) -> None:
    with pytest.raises(WeightsError, match=r"expected an FPNet, with the outputs score, offsets, rotation6d"):
        FPNetPredictor(Engine(weights.path(name)))


def test_missing_file_and_device(tmp_path: Path, fpnet_file: Path) -> None:
    with pytest.raises(WeightsError, match="cannot load the network"):
        FPNetPredictor.load(tmp_path / "none.onnx")
    with pytest.raises(InputError, match="expected one of cpu, cuda"):
        FPNetPredictor.load(fpnet_file, "gpu")

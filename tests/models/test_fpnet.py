"""FPNet with a network of known outputs: windows, pixels of the photo, and files that are no FPNet."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegeom.errors import InputError, WeightsError
from facegeom.geometry.rotation import geodesic_deg
from facegeom.image.pyramid import Pyramid
from facegeom.models import weights
from facegeom.models.engine import BATCH, Engine
from facegeom.models.fpnet import FPNet


@pytest.fixture(scope="module")
def fpnet(fpnet_file: Path) -> FPNet:
    return FPNet.load(fpnet_file, threads=1)


def plain(red: int) -> Pyramid:
    return Pyramid(Image.new("RGB", (80, 60), (red, 0, 0)))


def test_window_sides_to_pixels_of_the_photo(fpnet: FPNet, fpnet_rotation: np.ndarray) -> None:
    """Offsets of 0.1, 0.2, -0.1, 0 of a side of 40."""
    heads = fpnet([plain(204)], [np.array([[10.0, 15, 50, 55]])])[0]
    np.testing.assert_allclose(heads.box_xyxy, [[14, 23, 46, 55]], rtol=1e-5)
    np.testing.assert_allclose(heads.score, [0.8], atol=1e-3)
    assert geodesic_deg(heads.rotation[0].astype(np.float64), fpnet_rotation) < 0.05


def test_the_window_is_the_square_itself(fpnet: FPNet) -> None:
    """Red inside of the square alone: the window shows nothing else."""
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[20:40, 30:50, 0] = 255
    inside, around = np.array([29.5, 19.5, 49.5, 39.5]), np.array([19.5, 9.5, 59.5, 49.5])
    heads = fpnet([Pyramid(pixels)], [np.stack([inside, around])])[0]
    np.testing.assert_allclose(heads.score, [1, 0.25], atol=0.03)


def test_photos_share_batches(fpnet: FPNet) -> None:
    counts, reds = [3, 0, BATCH, 1], [51, 102, 153, 204]
    squares = [np.tile([[20.0, 20, 40, 40]], (count, 1)) for count in counts]
    heads = fpnet([plain(red) for red in reds], squares)
    for red, count, head in zip(reds, counts, heads, strict=True):
        np.testing.assert_allclose(head.score, [red / 255] * count, atol=1e-3)


def test_no_squares(fpnet: FPNet) -> None:
    heads = fpnet([plain(1), plain(2)], [np.zeros((0, 4))] * 2)
    assert [head.rotation.shape for head in heads] == [(0, 3, 3)] * 2


@pytest.mark.parametrize("name", ["pnet", "rnet", "face"])
def test_another_network(name: str) -> None:
    with pytest.raises(WeightsError, match=r"expected an FPNet, with the outputs score, offsets, rotation6d"):
        FPNet(Engine(weights.path(name)))


def test_missing_file_and_device(tmp_path: Path, fpnet_file: Path) -> None:
    with pytest.raises(WeightsError, match="cannot load the network"):
        FPNet.load(tmp_path / "none.onnx")
    with pytest.raises(InputError, match="expected one of auto, cpu, cuda"):
        FPNet.load(fpnet_file, "gpu")

"""The heat-map network: shapes, sub-cell decoding of known maps, confidence."""

import math

import numpy as np
import pytest
import torch

from facegeom.errors import InputError
from facegeom_lab.networks import backbones, heatmap
from facegeom_lab.networks.heatmap import HEADS, SIGMA, HeatmapNet, decode, expectation, gaussians

CELLS = 32
CROP_PX = CELLS * heatmap.CELL_PX


def logits(points: torch.Tensor, sigma: float = SIGMA) -> torch.Tensor:
    """(N, K, 32, 32) of Gaussians of ``sigma`` cells about points (N, K, 2) in half crops."""
    middles = heatmap.centres(CELLS)
    away = (
        (torch.stack(torch.meshgrid(middles, middles, indexing="xy")) - points[..., None, None]) * CELLS / 2
    )
    return -(away**2).sum(dim=2) / (2 * sigma**2)


def test_cells_lie_symmetrically() -> None:
    assert heatmap.centres(4).tolist() == [-0.75, -0.25, 0.25, 0.75]


@pytest.mark.parametrize("sigma", [0.7, 1.0, 2.0])
def test_known_gaussians_are_found_within_a_tenth_of_a_pixel(sigma: float) -> None:
    points = torch.from_numpy(np.random.default_rng(4).uniform(-0.55, 0.55, (50, 3, 2))).float()
    found, _ = decode(logits(points, sigma))
    assert found.shape == (50, 3, 2)
    assert (found - points).abs().max() * CROP_PX / 2 < 0.1


def test_decoding_by_hand() -> None:
    maps = torch.full((1, 1, 4, 8), -100.0)
    maps[0, 0, 1, 6] = maps[0, 0, 1, 7] = 0.0  # second row, between the last two of eight columns
    found, _ = decode(maps)
    np.testing.assert_allclose(found[0, 0], [0.75, -0.25], atol=1e-6)


def test_confidence_is_the_height_of_the_peak() -> None:
    middles = heatmap.centres(CELLS)
    on_a_cell, between_four = middles[[16, 10]], (middles[[16, 10]] + middles[[17, 11]]) / 2
    maps = logits(torch.stack([on_a_cell, between_four])[None])
    wide = logits(on_a_cell[None, None], 3.0)
    sharp = logits(on_a_cell[None, None], 0.3)
    heights = [decode(each)[1].flatten().tolist() for each in (maps, wide, sharp, torch.zeros(1, 1, 32, 32))]
    assert heights[0] == pytest.approx([1, math.exp(-0.25)], abs=0.01)
    assert heights[1] == pytest.approx([1 / 9], abs=0.01)
    assert heights[2] == [1] and heights[3] == pytest.approx([2 * math.pi / 1024])


def test_wanted_maps_are_gaussians_about_the_points() -> None:
    points = torch.tensor([[[0.1, -0.3], [0.52, 0.04]]])
    maps = gaussians(points, (CELLS, CELLS))
    torch.testing.assert_close(maps, heatmap.distribution(logits(points)), atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(expectation(maps), points, atol=1e-4, rtol=0)
    wide = gaussians(points, (8, 16))
    assert wide.shape == (1, 2, 8, 16)
    torch.testing.assert_close(expectation(wide), points, atol=5e-3, rtol=0)


@pytest.mark.parametrize("backbone", HEADS)
def test_shapes(backbone: str) -> None:
    net = HeatmapNet(backbone, points=5).eval()
    crops = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    with torch.inference_mode():
        assert net.maps(crops).shape == (2, 5, 16, 24)
        points, confidence = net.read(crops)
        torch.testing.assert_close(net(crops), points)
    assert points.shape == (2, 5, 2) and confidence.shape == (2, 5)
    assert points.abs().max() < 0.5 and confidence.max() < 0.1  # untrained, it knows nothing


@pytest.mark.parametrize("names", [("vgg", "none"), ("resnet18", "imagenet")])
def test_unknown_names(names: tuple[str, str]) -> None:
    with pytest.raises(InputError, match="backbones hrnet_w18_small, resnet18, pretrained none or hub"):
        HeatmapNet(names[0], 5, names[1])


def test_unreachable_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **options: object) -> None:
        assert options["pretrained"]
        raise OSError("no route to host")

    monkeypatch.setattr(heatmap.timm, "create_model", unreachable)
    monkeypatch.setattr(backbones, "_hub_answers", lambda: True)
    with pytest.raises(InputError, match=r"hub .* of resnet18 cannot be reached \(no route to host\)"):
        HeatmapNet("resnet18", 5, "hub")

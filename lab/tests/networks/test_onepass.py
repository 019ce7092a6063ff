"""The one-pass detector: shapes, the cells' middles, Torch against ONNX."""

import numpy as np
import pytest
import torch

from facegeom.models.engine import Engine
from facegeom_lab.export import to_onnx
from facegeom_lab.networks.onepass import OnePassForExport, OnePassNet, cell_centres


def test_shapes() -> None:
    logits, places = OnePassNet().eval()(torch.zeros(2, 3, 96, 160))
    assert logits.shape == (2, 12, 20) and places.shape == (2, 3, 12, 20)


def test_a_new_network_claims_few_faces() -> None:
    torch.manual_seed(0)
    logits, _ = OnePassNet().eval()(torch.rand(1, 3, 128, 128) * 255)
    assert torch.sigmoid(logits).mean() < 0.1


def test_middles_of_the_cells() -> None:
    middles = cell_centres(3, 5)
    assert middles.shape == (3, 5, 2)
    assert middles[0, 0].tolist() == [3.5, 3.5] and middles[2, 4].tolist() == [35.5, 19.5]


@pytest.mark.parametrize("size_hw", [(64, 64), (96, 224)])
def test_onnx_answers_as_torch(tmp_path: object, size_hw: tuple[int, int]) -> None:
    torch.manual_seed(1)
    net = OnePassNet().train()
    for _ in range(3):  # statistics unlike those of a new network, so that folding is put to the test
        net(torch.rand(4, 3, 64, 64) * 255)
    net.eval()
    file = tmp_path / "onepass.onnx"
    file.write_bytes(to_onnx("onepass", net))
    pictures = np.random.default_rng(0).integers(0, 256, (1, *size_hw, 3), np.uint8)
    with torch.inference_mode():
        expected = OnePassForExport(net)(torch.from_numpy(pictures))
    for answer, wanted in zip(Engine(file)(pictures), expected, strict=True):
        np.testing.assert_allclose(answer, wanted.numpy(), atol=2e-4)

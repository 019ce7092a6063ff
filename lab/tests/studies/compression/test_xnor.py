import numpy as np
import pytest
import torch
from torch import nn

from facegeom_lab.studies.compression import xnor
from facegeom_lab.studies.compression.xnor import XnorLayer, xnor_net


@pytest.mark.parametrize("binary", [True, False])
def test_the_block_of_xnor_net(small: nn.Sequential, pictures: torch.Tensor, binary: bool) -> None:
    xnor_net(small, binary)
    kinds = [type(part) for part in small[1]]
    assert kinds == [XnorLayer, nn.Identity, nn.Identity] * 2
    assert isinstance(small[0][0], nn.Conv2d)  # the first and the last layer are real
    assert isinstance(small[0][3], nn.ReLU)
    assert isinstance(small[2][-1], nn.Linear)
    small(pictures).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in small[1][0].layer.parameters())


def test_an_xnor_layer_is_the_scaled_product_of_signs() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(5, 3, bias=False)
    weight = layer.weight.detach().clone()
    net = XnorLayer(layer).eval()
    x = torch.randn(4, 5)
    normal = x / (1 + 1e-5) ** 0.5
    product = normal.sign() @ weight.sign().T
    expected = product * weight.abs().mean(dim=1) * normal.abs().mean(dim=1, keepdim=True)
    torch.testing.assert_close(net(x), expected)


def test_the_scale_of_a_convolution_is_the_mean_under_its_kernel() -> None:
    net = XnorLayer(nn.Conv2d(2, 1, 3, padding=1, bias=False)).eval()
    x = torch.zeros(1, 2, 5, 5)
    x[0, :, 2, 2] = -18
    scale = net._scale(x)
    assert scale[0, 0, 1:4, 1:4].flatten().tolist() == pytest.approx([2.0] * 9)
    assert scale.sum() == pytest.approx(18)


@pytest.mark.parametrize("length", [1, 63, 64, 65, 200])
def test_bit_products_are_the_products_of_signs(length: int) -> None:
    rng = np.random.default_rng(length)
    x, w = (rng.choice([-1, 1], (rows, length)) for rows in (3, 5))
    found = xnor.xnor_product(xnor.pack(x), xnor.pack(w), length)
    np.testing.assert_array_equal(found, x @ w.T)


def test_a_word_holds_64_signs() -> None:
    packed = xnor.pack(np.array([[1] * 64 + [-1, 1]]))
    assert packed.tolist() == [[2**64 - 1, 2]]


def test_the_comparison_measures_every_shape() -> None:
    found = xnor.compare_products(rounds=1)
    assert list(found) == list(xnor.SHAPES)
    assert all(row["floats_bytes"] == 32 * row["bits_bytes"] for row in found.values())
    assert all(row["bits_ms"] > 0 and row["floats_ms"] > 0 for row in found.values())

import pytest
import torch
from torch import nn

from facegeom_lab.studies.compression import archive
from facegeom_lab.studies.compression.binary import BinaryActivation, Sign, binary_net, binary_weights
from facegeom_lab.studies.compression.layers import settle, weighted
from facegeom_lab.studies.compression.xnor import XnorLayer, xnor_net


def test_the_sign_lets_gradients_through_near_zero_only() -> None:
    x = torch.tensor([-2.0, -1.0, -0.0, 0.3, 1.5], requires_grad=True)
    y = Sign.apply(x)
    assert y.tolist() == [-1, -1, 1, 1, 1]
    y.sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 1, 0]
    with torch.no_grad():
        assert torch.equal(BinaryActivation()(x), y)


def test_binary_weights_are_scaled_signs_of_the_real_ones(
    small: nn.Sequential, pictures: torch.Tensor
) -> None:
    real = {name: layer.weight.detach().clone() for name, layer in weighted(small)}
    binary_weights(small)
    for name, layer in weighted(small)[1:-1]:
        mean = real[name].abs().flatten(1).mean(dim=1)
        torch.testing.assert_close(
            layer.weight.abs().flatten(1), mean[:, None].expand(len(mean), real[name][0].numel())
        )
        assert torch.equal(layer.weight > 0, real[name] >= 0)
    small(pictures).square().sum().backward()
    assert small[1][0].parametrizations["weight"].original.grad.abs().sum() > 0
    assert torch.equal(small[0][0].weight, real["0.0"])


def test_binary_net_knows_ones_alone(small: nn.Sequential, pictures: torch.Tensor) -> None:
    net = binary_net(small)
    assert not any(isinstance(part, nn.ReLU | nn.Dropout) for part in net.modules())
    net(pictures).square().sum().backward()
    settle(net).eval()
    assert all(layer.weight.abs().eq(1).all() for _, layer in weighted(net))
    between = net[0][1](net[0][0](pictures))
    assert between.abs().eq(1).all()


def test_stored_binary_layers_take_a_bit_a_weight() -> None:
    net = settle(binary_weights(nn.Sequential(nn.Linear(8, 256), nn.Linear(256, 256), nn.Linear(256, 2))))
    content = archive.encode(net.state_dict())
    assert archive.forms(content)["1.weight"] == "signs"
    state, _ = archive.decode(content)
    assert torch.equal(state["1.weight"], net[1].weight)
    assert len(content) < 256 * 256 / 8 + 20_000


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

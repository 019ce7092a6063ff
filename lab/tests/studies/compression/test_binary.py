from collections.abc import Callable

import torch
from torch import nn

from facegeom_lab.studies.compression import archive
from facegeom_lab.studies.compression.binary import (
    BinaryActivation,
    Sign,
    binary_net,
    binary_weights,
    clip_weights,
)
from facegeom_lab.studies.compression.networks import remove_parametrisations, weighted_layers


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
    real = {name: layer.weight.detach().clone() for name, layer in weighted_layers(small)}
    binary_weights(small)
    for name, layer in weighted_layers(small)[1:-1]:
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
    remove_parametrisations(net).eval()
    assert all(layer.weight.abs().eq(1).all() for _, layer in weighted_layers(net))
    between = net[0][1](net[0][0](pictures))
    assert between.abs().eq(1).all()


def test_stored_binary_layers_take_a_bit_a_weight(encodings: Callable[[bytes], dict[str, str]]) -> None:
    net = remove_parametrisations(
        binary_weights(nn.Sequential(nn.Linear(8, 256), nn.Linear(256, 256), nn.Linear(256, 2)))
    )
    content = archive.encode(net.state_dict())
    assert encodings(content)["1.weight"] == "signs"
    state, _ = archive.decode(content)
    assert torch.equal(state["1.weight"], net[1].weight)
    assert len(content) < 256 * 256 / 8 + 20_000


def test_weights_behind_the_signs_are_clipped() -> None:
    net = binary_net(nn.Sequential(nn.Flatten(), nn.Linear(12, 8)))
    plain = binary_weights(nn.Sequential(nn.Flatten(), nn.Linear(12, 9), nn.Linear(9, 9), nn.Linear(9, 8)))
    for each in (net, plain):
        for name, value in each.named_parameters():
            if "original" in name:
                nn.init.constant_(value, 3.0)
        clip_weights(each)
    originals = {name: value for name, value in net.named_parameters() if "original" in name}
    assert len(originals) == 1 and all((value == 1).all() for value in originals.values())
    assert all(
        (v == 3).all() for name, v in plain.named_parameters() if "original" in name
    )  # scaled ones stay

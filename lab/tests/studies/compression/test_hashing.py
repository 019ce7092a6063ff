import numpy as np
import pytest
import torch
from torch import nn

from facegeom.errors import InputError
from facegeom_lab.studies.compression import archive
from facegeom_lab.studies.compression.hashing import hash_weights, splitmix64
from facegeom_lab.studies.compression.networks import remove_parametrisations


def test_layers_share_an_eighth_of_their_weights(small: nn.Sequential) -> None:
    before = sum(p.numel() for p in small[2][1].parameters())
    hash_weights(small, 1 / 8)
    layer = small[2][1]
    assert sum(p.numel() for p in layer.parameters()) == before / 8
    weight = layer.weight
    assert weight.shape == (64, 256)
    assert 0.95 * before / 8 <= len(weight.abs().unique()) <= before / 8
    assert not hasattr(small[0][0], "parametrizations")
    assert not hasattr(small[2][7], "parametrizations")


def test_the_gradient_reaches_the_values(small: nn.Sequential, pictures: torch.Tensor) -> None:
    hash_weights(small, 1 / 4)
    small(pictures).square().sum().backward()
    values = small[1][0].parametrizations["weight"].original
    assert (values.grad != 0).float().mean() > 0.95


def test_the_initial_spread_stays(small: nn.Sequential) -> None:
    spread = small[2][1].weight.std().item()
    hash_weights(small, 1 / 8)
    assert small[2][1].weight.std().item() == pytest.approx(spread, rel=0.05)


def test_only_the_values_are_stored_and_another_process_finds_the_places(
    small: nn.Sequential, pictures: torch.Tensor
) -> None:
    whole = sum(tensor.numel() for tensor in small.state_dict().values())
    hash_weights(small, 1 / 8)
    small.eval()
    state, _ = archive.decode(archive.encode(small.state_dict()))
    assert sum(tensor.numel() for tensor in state.values()) < 0.2 * whole
    expected = small(pictures)
    for parameter in small.parameters():
        parameter.data.zero_()
    small.load_state_dict(state)
    assert torch.equal(small(pictures), expected)
    torch.testing.assert_close(remove_parametrisations(small)(pictures), expected)


def test_the_hash_is_splitmix64() -> None:
    # The first outputs of the generator for seed 0 and for seed 1234567, as its author prints them.
    assert splitmix64(np.array([0], np.uint64)).tolist() == [0xE220A8397B1DCDAF]
    assert splitmix64(np.array([1234567], np.uint64)).tolist() == [6457827717110365317]


@pytest.mark.parametrize("share", [0, 1.5])
def test_shares_are_checked(small: nn.Sequential, share: float) -> None:
    with pytest.raises(InputError, match="share in"):
        hash_weights(small, share)

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from facegeom.errors import InputError
from facegeom_lab.studies.compression import archive
from facegeom_lab.studies.compression.deep_compression import (
    kmeans_1d,
    nearest,
    prune,
    remove_masks,
    share_weights,
)
from facegeom_lab.studies.compression.networks import remove_parametrisations, weighted_layers


def _step(net: nn.Module, pictures: torch.Tensor) -> None:
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], 0.1)
    net(pictures).square().sum().backward()
    optimizer.step()


def test_the_largest_weights_stay_and_the_others_stay_zero(
    small: nn.Sequential, pictures: torch.Tensor
) -> None:
    before = {name: layer.weight.detach().clone() for name, layer in weighted_layers(small)}
    prune(small, 0.25, 0.1)
    _step(small, pictures)
    remove_masks(small)
    for name, layer in weighted_layers(small)[:-1]:
        keep = 0.25 if isinstance(layer, nn.Conv2d) else 0.1
        kept = layer.weight != 0
        assert kept.float().mean() == pytest.approx(keep, abs=0.01)
        assert before[name][kept].abs().min() >= before[name][~kept].abs().max()
        assert not torch.equal(layer.weight[kept], before[name][kept])  # trained on
    weights = torch.cat([layer.weight.flatten() for _, layer in weighted_layers(small)])
    assert weights.count_nonzero() < 0.2 * len(weights)
    assert (weighted_layers(small)[-1][1].weight != 0).all()


@pytest.mark.parametrize("shares", [(0, 0.5), (0.5, 1.1)])
def test_shares_to_keep_are_checked(small: nn.Sequential, shares: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="shares in"):
        prune(small, *shares)


def test_k_means_on_the_line_finds_separated_groups() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(centre, 0.01, 100) for centre in (-1, 0.5, 2)])
    centres = kmeans_1d(values, 3)
    np.testing.assert_allclose(centres, [-1, 0.5, 2], atol=0.01)
    np.testing.assert_array_equal(nearest(np.array([-0.9, 0.4, 5]), centres), [0, 1, 2])


@pytest.mark.parametrize("entries", [7, 31])
def test_no_entry_of_a_codebook_is_lost(entries: int) -> None:
    """Two groups far apart leave evenly spaced centres between them empty; the groups are divided instead."""
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 0.01, 5000), [5.0, 5.1]])
    centres = kmeans_1d(values, entries)
    assert len(centres) == entries and (np.diff(centres) > 0).all()
    error = np.abs(values - centres[nearest(values, centres)]).max()
    assert error < 0.06
    assert len(kmeans_1d(np.array([1.0, 1, 2, 2]), entries)) == 2  # no more than there are numbers


def test_a_table_entry_gets_the_sum_of_its_weights_gradients(
    small: nn.Sequential, pictures: torch.Tensor
) -> None:
    prune(small, 0.5, 0.5)
    remove_masks(small)
    zeros = small[1][0].weight == 0
    share_weights(small, 4, 3)
    layer = small[1][0]
    rule = layer.parametrizations["weight"][0]
    small.eval()
    small(pictures).square().sum().backward()
    table_gradient = rule.table.grad.clone()
    remove_parametrisations(small)
    layer.weight.requires_grad_().grad = None
    small(pictures).square().sum().backward()
    gradient = layer.weight.grad.flatten()
    expected = torch.stack([gradient[rule.index == k + 1].sum() for k in range(len(rule.table))])
    torch.testing.assert_close(table_gradient, expected, rtol=1e-3, atol=1e-4)
    assert torch.equal(layer.weight == 0, zeros)
    assert len(layer.weight.unique()) <= 16


def test_deep_compression_comes_back_bit_for_bit_and_is_small(
    small: nn.Sequential, encodings: Callable[[bytes], dict[str, str]]
) -> None:
    wide = nn.Sequential(nn.Linear(512, 512), nn.Linear(512, 512), nn.Linear(512, 8))
    remove_parametrisations(share_weights(remove_masks(prune(wide, 1, 0.08))))
    content = archive.encode(wide.state_dict(), {"network": "wide"})
    state, about = archive.decode(content)
    assert about == {"network": "wide"}
    assert all(torch.equal(state[name], value) for name, value in wide.state_dict().items())
    assert encodings(content)["0.weight"] == "shared"
    raw = sum(t.numel() * 4 for t in wide.state_dict().values())
    assert raw / len(content) > 15

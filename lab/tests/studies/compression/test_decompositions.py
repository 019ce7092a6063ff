import numpy as np
import pytest
import tensorly
import torch
from tensorly.decomposition import parafac
from torch import nn

from facegeom.errors import InputError
from facegeom_lab.evaluation.cost import multiply_adds, parameters
from facegeom_lab.studies.compression.cp import als, decompose, decomposed, rank_for
from facegeom_lab.studies.compression.tensor_train import factors, tensorise, tensorised


@pytest.mark.parametrize(("stride", "padding", "bias"), [(1, 1, True), (2, 0, False), ((2, 1), (0, 2), True)])
def test_a_kernel_of_low_rank_is_found(stride: int, padding: int, bias: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(6, 10, (3, 5), stride, padding, bias=bias)
    parts = [torch.randn(side, 2) for side in (10, 6, 3, 5)]
    layer.weight.data = torch.einsum("tr,sr,yr,xr->tsyx", *parts)
    x = torch.randn(2, 6, 17, 19)
    torch.testing.assert_close(decomposed(layer, 2)(x), layer(x), rtol=1e-2, atol=1e-2)


def test_als_finds_what_tensorly_finds() -> None:
    kernel = np.random.default_rng(1).standard_normal((9, 7, 3, 4))
    wanted = parafac(tensorly.tensor(kernel), 6, n_iter_max=200, init="random", random_state=0)
    found = np.einsum("tr,sr,yr,xr->tsyx", *als(kernel, 6, 200))
    error = np.linalg.norm(tensorly.cp_to_tensor(wanted) - kernel)
    assert np.linalg.norm(found - kernel) < 1.03 * error < np.linalg.norm(kernel)


def test_a_pointwise_convolution_of_low_rank_becomes_two() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(12, 20, 1, 2)
    layer.weight.data = (torch.randn(20, 3) @ torch.randn(3, 12))[:, :, None, None]
    x = torch.randn(2, 12, 9, 8)
    two = decomposed(layer, 3)
    torch.testing.assert_close(two(x), layer(x), rtol=1e-4, atol=1e-4)
    assert len(two) == 2
    assert parameters(two) == 3 * (12 + 20) + 20
    net = decompose(nn.Sequential(nn.Conv2d(3, 12, 3), layer, nn.Conv2d(20, 8, 1)), 2, 4)
    assert isinstance(net[1], nn.Sequential) and isinstance(net[2], nn.Conv2d)


def test_cp_saves_what_it_says_and_trains(small: nn.Sequential, pictures: torch.Tensor) -> None:
    layer = small[1][3]
    rank = rank_for(layer, 4)
    assert layer.weight.numel() / (rank * (16 + 24 + 3 + 3)) >= 4
    before = multiply_adds(small[1], torch.zeros(1, 8, 4, 4))
    decompose(small, 4)
    assert multiply_adds(small[1], torch.zeros(1, 8, 4, 4)) <= before / 4
    assert isinstance(small[0][0], nn.Conv2d)  # the first stays
    small(pictures).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in small[1][3].parameters())


def test_the_factors_of_a_product_are_of_equal_length() -> None:
    four = decomposed(nn.Conv2d(12, 20, 3, bias=False), 5)
    lengths = torch.stack(
        [
            four[0].weight.flatten(1).norm(dim=1),
            four[1].weight.flatten(1).norm(dim=1),
            four[2].weight.flatten(1).norm(dim=1),
            four[3].weight.flatten(1).norm(dim=0),
        ]
    )
    torch.testing.assert_close(lengths, lengths[:1].expand_as(lengths))


def test_a_full_tensor_train_is_the_matrix() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(24, 36)
    train = tensorised(layer, 10**6)
    torch.testing.assert_close(train.matrix(), layer.weight.detach(), rtol=1e-4, atol=1e-5)
    x = torch.randn(5, 24)
    torch.testing.assert_close(train(x), layer(x), rtol=1e-4, atol=1e-5)


def test_a_short_tensor_train_is_small_and_trains(small: nn.Sequential, pictures: torch.Tensor) -> None:
    tensorise(small, 3)
    train = small[2][1]
    assert parameters(train) < 0.05 * 64 * 256
    small(pictures).square().sum().backward()
    assert all(core.grad.abs().sum() > 0 for core in train.cores)
    assert isinstance(small[2][7], nn.Linear)  # the last stays


@pytest.mark.parametrize(
    ("number", "expected"), [(4096, [8, 8, 8, 8]), (2048, [8, 8, 8, 4]), (7, [7, 1, 1, 1])]
)
def test_four_factors(number: int, expected: list[int]) -> None:
    assert factors(number) == expected
    assert np.prod(factors(number)) == number


def test_bad_sizes_are_refused(small: nn.Sequential) -> None:
    for factors_ in ((1, None), (2, 0.5)):
        with pytest.raises(InputError, match="above 1"):
            decompose(small, *factors_)
    with pytest.raises(InputError, match="at least 1"):
        tensorise(small, 0)

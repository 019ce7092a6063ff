"""Cost of networks whose parameters and multiply-adds are counted by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from facegeom_lab.evaluation import cost

NET = nn.Sequential(
    nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(128, 10)
)
PICTURE = torch.zeros(1, 3, 4, 4)


class Attention(nn.Module):
    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(tokens, tokens, tokens)


class Slow(nn.Module):
    """Counts its calls; keeps the threads and the mode it was called with."""

    seen: list[tuple[int, bool]] = []  # noqa: RUF012 (the measured copies share it on purpose)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        self.seen.append((torch.get_num_threads(), self.training))
        return picture


def test_parameters_by_hand() -> None:
    assert cost.parameters(NET) == 3 * 8 * 9 + 2 * 8 + 128 * 10 + 10


@pytest.mark.parametrize(
    ("net", "example", "expected"),
    [
        (NET, PICTURE, 16 * 3 * 8 * 9 + 128 * 10),
        (nn.Conv2d(8, 8, 3, stride=2, groups=8), torch.zeros(1, 8, 9, 9), 16 * 8 * 9),
        (nn.ConvTranspose2d(4, 2, 2, stride=2), torch.zeros(1, 4, 5, 5), 25 * 4 * 2 * 4),
        (Attention(), torch.zeros(1, 2, 7, 16), 2 * (7 * 7 * 16) * 2),
        (nn.ReLU(), PICTURE, 0),
    ],
)
def test_multiply_adds_by_hand(net: nn.Module, example: torch.Tensor, expected: int) -> None:
    assert cost.multiply_adds(net, example) == expected


def test_measuring_leaves_the_network_as_it_was() -> None:
    net = nn.Sequential(nn.BatchNorm2d(3)).train()
    measured = cost.cost(net, torch.ones(2, 3, 4, 4), repeats=1)
    assert net.training
    assert net[0].num_batches_tracked == 0
    assert measured.parameters == 6
    assert measured.macs == 0
    assert measured.cpu_ms > 0
    assert measured.cpu_threads == 1
    assert (measured.gpu_ms is None) == (not torch.cuda.is_available())


def test_latency_warms_up_and_uses_its_threads() -> None:
    before = torch.get_num_threads()
    Slow.seen.clear()
    assert cost.latency_ms(Slow(), PICTURE, threads=before + 1, repeats=3, warm=2) >= 0
    assert Slow.seen == [(before + 1, False)] * 5
    assert torch.get_num_threads() == before

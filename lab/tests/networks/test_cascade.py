"""P-Net and R-Net: shapes, and that P-Net on a picture is P-Net on each of its windows."""

import pytest
import torch

from facegeom_lab.networks.cascade import CascadeForExport, PNet, RNet


@pytest.fixture(scope="module")
def pnet() -> PNet:
    torch.manual_seed(1)
    return PNet().eval()


def pictures(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape).float()


@pytest.mark.parametrize(
    ("size_hw", "cells"),
    [((12, 12), (1, 1)), ((13, 14), (1, 2)), ((40, 61), (15, 25)), ((300, 12), (145, 1))],
)
def test_pnet_shapes(pnet: PNet, size_hw: tuple[int, int], cells: tuple[int, int]) -> None:
    logits, offsets = pnet(pictures(2, 3, *size_hw))
    assert logits.shape == (2, *cells) and offsets.shape == (2, 4, *cells)


def test_each_cell_sees_its_window_alone(pnet: PNet) -> None:
    whole = pictures(1, 3, 33, 46)
    logits, offsets = pnet(whole)
    for row, column in ((0, 0), (3, 7), (logits.shape[1] - 1, logits.shape[2] - 1)):
        y, x = PNet.STRIDE * row, PNet.STRIDE * column
        score, box = pnet(whole[:, :, y : y + PNet.WINDOW, x : x + PNet.WINDOW])
        torch.testing.assert_close(score[0, 0, 0], logits[0, row, column], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(box[0, :, 0, 0], offsets[0, :, row, column], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("count", [1, 5])
def test_rnet_shapes(count: int) -> None:
    logits, offsets = RNet()(pictures(count, 3, 24, 24))
    assert logits.shape == (count,) and offsets.shape == (count, 4)


@pytest.mark.parametrize(("network", "size"), [(PNet, 30), (RNet, 24)])
def test_runtime_form(network: type[PNet] | type[RNet], size: int) -> None:
    net, batch = network().eval(), pictures(2, 3, size, size)
    logits, offsets = net(batch)
    score, same = CascadeForExport(net)(batch.permute(0, 2, 3, 1).byte())
    torch.testing.assert_close(score, logits.sigmoid())
    torch.testing.assert_close(same, offsets)
    assert ((score > 0) & (score < 1)).all()

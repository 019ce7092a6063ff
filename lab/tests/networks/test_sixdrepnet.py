"""RepVGG and 6DRepNet: folding changes nothing, names and sizes are those of the published checkpoints."""

from pathlib import Path

import pytest
import torch
from torch import nn

from facegeom.errors import InputError
from facegeom_lab.networks.sixdrepnet import SHAPES, RepVGGBlock, SixDRepNet, fold, published


def used(net: nn.Module) -> nn.Module:
    """Set statistics and gains as after some training."""
    generator = torch.Generator().manual_seed(3)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(generator=generator)
            part.running_var.uniform_(0.5, 2, generator=generator)
            nn.init.uniform_(part.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(part.bias, generator=generator)
    return net.eval()


@pytest.mark.parametrize(("channels", "stride", "groups"), [((8, 8), 1, 1), ((8, 8), 1, 2), ((8, 12), 2, 4)])
def test_folded_block_answers_the_same(channels: tuple[int, int], stride: int, groups: int) -> None:
    block = used(RepVGGBlock(*channels, stride, groups))
    x = torch.randn(2, channels[0], 9, 7)
    before = block(x)
    block.fold()
    torch.testing.assert_close(block(x), before, atol=1e-5, rtol=1e-5)
    assert sorted(block.state_dict()) == ["rbr_reparam.bias", "rbr_reparam.weight"]


def test_without_identity_where_the_shape_changes() -> None:
    assert RepVGGBlock(4, 4).rbr_identity is not None
    assert RepVGGBlock(4, 8).rbr_identity is None and RepVGGBlock(4, 4, stride=2).rbr_identity is None


def test_folded_network_answers_the_same() -> None:
    net = used(SixDRepNet("A0"))
    pictures = torch.rand(2, 3, 64, 64) * 255
    before = net(pictures)
    torch.testing.assert_close(fold(net)(pictures), before, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("backbone", "millions"), [("A0", 8.3), ("A2", 25.5), ("B1g2", 41.4)])
def test_sizes_of_the_paper(backbone: str, millions: float) -> None:
    """Table 4 of the paper, folded, without ImageNet's last layer of 1000 classes."""
    with torch.device("meta"):
        net = SixDRepNet(backbone, folded=True)
    channels = SHAPES[backbone].channels[-1]
    count = sum(value.numel() for value in net.parameters()) + (channels + 1) * (1000 - 6)
    assert count / 1e6 == pytest.approx(millions, abs=0.06)


def test_every_second_block_is_grouped() -> None:
    with torch.device("meta"):
        net = SixDRepNet("B1g2")
    groups = [part.groups for part in net.modules() if isinstance(part, RepVGGBlock)]
    assert len(groups) == 28 and groups == [1, *([1, 2] * 14)[:27]]


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
def test_published_layout(folded: bool, wrapped: bool, tmp_path: Path) -> None:
    net = used(SixDRepNet("A0"))
    state = (fold(net) if folded else net).state_dict()
    state = {f"module.{name}": value for name, value in state.items()}
    torch.save({"model_state_dict": state, "epoch": 3} if wrapped else state, tmp_path / "net.pth")
    pictures = torch.rand(1, 3, 64, 64) * 255
    torch.testing.assert_close(published(tmp_path / "net.pth", "A0")(pictures), net(pictures))


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="A0, A1"):
        SixDRepNet("Z9")
    with pytest.raises(InputError, match="found nothing"):
        published(tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("no checkpoint")
    with pytest.raises(InputError, match="B1g2"):
        published(tmp_path / "text.pth")
    torch.save({"layer0.rbr_reparam.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="does not hold"):
        published(tmp_path / "other.pth", "A0")

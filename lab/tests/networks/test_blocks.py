"""The residual block and its folded form."""

import pytest
import torch
from torch import nn

from facegeom_lab.networks.blocks import RepConv, fold, slice_strides, unfold


def with_random_statistics(module: nn.Module) -> nn.Module:
    """In evaluation mode, with the normalisation of a network that has been trained."""
    torch.manual_seed(6)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.5)
            part.running_var.uniform_(0.5, 2)
            part.weight.data.uniform_(-1.5, 1.5)
            part.bias.data.normal_(0, 0.5)
    return module.eval()


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("channels_in", "channels_out"), [(8, 8), (3, 8), (8, 5)])
def test_folded_block_is_the_same_function(channels_in: int, channels_out: int, stride: int) -> None:
    block = with_random_statistics(RepConv(channels_in, channels_out, stride))
    pictures = torch.randn(2, channels_in, 11, 14)
    expected = block(pictures)
    torch.testing.assert_close(block.folded()(pictures), expected, atol=1e-5, rtol=1e-5)
    assert expected.shape == (2, channels_out, -(-11 // stride), -(-14 // stride))
    assert expected.min() == 0 and expected.max() > 0


def test_identity_only_where_the_shape_stays() -> None:
    assert RepConv(4, 4).identity
    assert not RepConv(4, 5).identity and not RepConv(4, 4, stride=2).identity


def test_block_that_answers_nothing_passes_its_input_on() -> None:
    block = RepConv(4, 4).eval()
    nn.init.zeros_(block.conv.weight)
    pictures = torch.rand(1, 4, 6, 6)
    torch.testing.assert_close(block(pictures), pictures)
    torch.testing.assert_close(block.folded()(pictures), pictures)


def test_fold_reaches_nested_blocks() -> None:
    net = with_random_statistics(nn.Sequential(RepConv(3, 6), nn.Sequential(RepConv(6, 6), nn.MaxPool2d(2))))
    pictures = torch.randn(1, 3, 8, 8)
    expected = net(pictures)
    folded = fold(net)
    assert not [part for part in folded.modules() if isinstance(part, (RepConv, nn.BatchNorm2d))]
    assert len([part for part in folded.modules() if isinstance(part, nn.Conv2d)]) == 2
    torch.testing.assert_close(folded(pictures), expected, atol=1e-5, rtol=1e-5)


def test_unfold_is_the_inverse_of_fold() -> None:
    def network() -> nn.Module:
        return nn.Sequential(RepConv(3, 6), nn.Sequential(RepConv(6, 6), nn.Flatten()), nn.Linear(6 * 64, 5))

    net, other = with_random_statistics(network()), with_random_statistics(network())
    pictures = torch.randn(2, 3, 8, 8)
    expected = net(pictures)
    trained = fold(net)
    assert not torch.allclose(other(pictures), expected)
    torch.testing.assert_close(unfold(trained, other)(pictures), expected, atol=1e-5, rtol=1e-5)
    for name, value in fold(other).state_dict().items():
        torch.testing.assert_close(value, trained.state_dict()[name], atol=1e-5, rtol=1e-5)


def test_sliced_strides_are_the_same_function_in_both_layouts() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 48, 1, stride=2), nn.Conv2d(48, 8, 3, stride=2, padding=1))
    images = torch.rand(3, 3, 9, 8)
    expected = net(images)
    slice_strides(net)
    torch.testing.assert_close(net(images), expected)
    net.to(memory_format=torch.channels_last)
    net(images.contiguous(memory_format=torch.channels_last)).sum().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in net.parameters())

"""The networks of the comparison, at 96 pixels, and access to the layers that a method changes.

VGG-S, SqueezeNet 1.1, Tiny Darknet and FitNets' thin student. All take (N, 3, 96, 96), zero mean and about
unit variance, and return (N, classes) logits.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import torch
from torch import nn
from torch.nn.utils import parametrize
from torchvision.models import squeezenet1_1

from facegeom.errors import InputError

Layer: TypeAlias = "nn.Conv2d | nn.Linear"

SIZE_PX = 96


def vgg_s(classes: int = 8) -> nn.Sequential:
    """Build CNN-S of Chatfield et al., "Return of the devil in the details", BMVC 2014, called VGG-S.

    Adapted: 96 pixels leave 2 x 2 x 512 before the first linear layer (6 x 6 at 224), and batch normalisation
    replaces the response normalisation, so that a short training converges. Four parts: three stages and the
    classifier. 31.7 million parameters, 368 million multiply-adds.
    """
    return nn.Sequential(
        nn.Sequential(*unit(_conv(3, 96, 7, 2, 0), 96, nn.MaxPool2d(3))),
        nn.Sequential(*unit(_conv(96, 256, 5, 1, 1), 256, nn.MaxPool2d(2))),
        nn.Sequential(
            *unit(_conv(256, 512, 3), 512),
            *unit(_conv(512, 512, 3), 512),
            *unit(_conv(512, 512, 3), 512, nn.MaxPool2d(3)),
        ),
        nn.Sequential(
            nn.Flatten(),
            *unit(nn.Linear(2048, 4096, bias=False), 4096, flat=True),
            nn.Dropout(),
            *unit(nn.Linear(4096, 4096, bias=False), 4096, flat=True),
            nn.Dropout(),
            nn.Linear(4096, classes),
        ),
    )


def unit(layer: nn.Module, channels: int, *after: nn.Module, flat: bool = False) -> list[nn.Module]:
    """Return a layer, its pooling if any, normalisation and ReLU.

    Pooling before ReLU gives the same output and costs less.
    """
    norm = nn.BatchNorm1d(channels) if flat else nn.BatchNorm2d(channels)
    return [layer, *after, norm, nn.ReLU()]


def _conv(channels_in: int, channels_out: int, side: int, stride: int = 1, pad: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, side, stride, pad, bias=False)


def squeezenet(classes: int = 8) -> nn.Module:
    """Build SqueezeNet 1.1 of torchvision: Iandola et al., "SqueezeNet", 2016.

    Its 3 x 3 convolutions see few channels. Saves parameters (0.73 million) and multiply-adds; costs accuracy
    on small datasets. Adapted: batch normalisation after each convolution but the last, and no ReLU on the
    logits, which dies in a short training.
    """
    net = squeezenet1_1(num_classes=classes)
    for name, layer in weighted_layers(net)[:-1]:
        replace_module(net, name, nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels)))
    net.classifier[2] = nn.Identity()
    nn.init.kaiming_normal_(net.classifier[1].weight)
    return net


def tiny_darknet(classes: int = 8) -> nn.Sequential:
    """Build Tiny Darknet: J. Redmon, "Darknet: open source neural networks in C", 2016 (``tiny.cfg``).

    3 x 3 convolutions between narrow 1 x 1 ones, four poolings; 0.9 million parameters.
    """
    layers: list[nn.Module] = []
    channels = 3
    for stage in ((16,), (32,), (-16, 128, -16, 128), (-32, 256, -32, 256), (-64, 512, -64, 512, -128)):
        for width in stage:  # negative: 1 x 1
            side = 3 if width > 0 else 1
            layers += [
                _conv(channels, abs(width), side, 1, side // 2),
                nn.BatchNorm2d(abs(width)),
                nn.LeakyReLU(0.1),
            ]
            channels = abs(width)
        if stage[-1] != -128:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Conv2d(channels, classes, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def thin(classes: int = 8) -> nn.Sequential:
    """Build the student of FitNets, thinner and deeper than its teacher.

    Eleven layers, 0.16 million parameters. Two parts and the classifier; the first ends with
    48 x 6 x 6, where VGG-S's second stage has 256 x 6 x 6.
    """
    layers: list[nn.Module] = []
    channels = 3
    for width in (16, 24, 32, 48):
        layers += unit(_conv(channels, width, 3, 2), width) + unit(_conv(width, width, 3), width)
        channels = width
    return nn.Sequential(
        nn.Sequential(*layers),
        nn.Sequential(*unit(_conv(48, 80, 3), 80), *unit(_conv(80, 80, 3), 80)),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(80, classes)),
    )


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "vgg-s": vgg_s,
    "squeezenet": squeezenet,
    "tiny-darknet": tiny_darknet,
    "thin": thin,
}


def create(name: str) -> nn.Module:
    """Build a network by name, with random weights.

    Raises:
        InputError: an unknown name.
    """
    if name not in NETWORKS:
        raise InputError(f"expected one of the networks {', '.join(NETWORKS)}, got {name!r}")
    return NETWORKS[name]()


def weighted_layers(net: nn.Module) -> list[tuple[str, Layer]]:
    """Return all convolutions and linear layers with their names, in the order of registration."""
    return [(name, part) for name, part in net.named_modules() if isinstance(part, nn.Conv2d | nn.Linear)]


def inner_layers(net: nn.Module) -> list[tuple[str, Layer]]:
    """Return the same without the first and the last one, which most methods leave as they are."""
    return weighted_layers(net)[1:-1]


def sequences(net: nn.Module) -> Iterator[nn.Sequential]:
    """Yield every ``nn.Sequential`` within ``net``, itself included."""
    return (part for part in net.modules() if isinstance(part, nn.Sequential))


def replace_module(net: nn.Module, name: str, part: nn.Module) -> None:
    """Replace the module of a dotted name by ``part``, in place."""
    parent, _, own = name.rpartition(".")
    setattr(net.get_submodule(parent), own, part)


def parametrise(
    net: nn.Module, layers: list[tuple[str, Layer]], parametrisation: Callable[[Layer], nn.Module]
) -> None:
    """Compute each layer's weight by a parametrisation of its own while it is trained, in place."""
    for _, layer in layers:
        parametrize.register_parametrization(layer, "weight", parametrisation(layer), unsafe=True)


def remove_parametrisations(net: nn.Module) -> nn.Module:
    """Store the computed weights as plain weights of the layers, in place."""
    for part in net.modules():
        if parametrize.is_parametrized(part, "weight"):
            parametrize.remove_parametrizations(part, "weight", leave_parametrized=True)
    return net


class LookUp(torch.autograd.Function):
    """values[index]: the same as torch's indexing, with a backward pass three times faster on a CPU."""

    @staticmethod
    def forward(ctx, values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """Map values (V,) and indices (N,) int32 to (N,)."""
        ctx.save_for_backward(index)
        ctx.count = len(values)
        return values.index_select(0, index)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Sum for each value the gradients of the places that use it."""
        (index,) = ctx.saved_tensors
        return torch.bincount(index, gradient, ctx.count).to(gradient.dtype), None

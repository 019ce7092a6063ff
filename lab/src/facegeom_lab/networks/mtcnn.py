"""MTCNN's three stages in their published form: channels, PReLU, a branch for five landmarks.

Zhang et al., IEEE Signal Processing Letters 2016. The stages that ship are those of ``cascade.py``.
"""

import torch
from torch import nn

from facegeom.errors import InputError

ANSWERS = 1 + 4 + 10
"""Score, offsets of the box, five landmarks."""

PUBLISHED_WINDOWS = {"pnet": 12, "rnet": 24, "onet": 48}


class MtcnnStage(nn.Module):
    """One stage.

    Args:
        name: a key of ``PUBLISHED_WINDOWS``.
        dropout: probability of dropping a hidden feature in training; O-Net alone has hidden features enough.

    Raises:
        InputError: another name.
    """

    def __init__(self, name: str, dropout: float = 0.25) -> None:
        super().__init__()
        if name not in PUBLISHED_WINDOWS:
            raise InputError(f"expected a stage {', '.join(PUBLISHED_WINDOWS)}, got {name!r}")
        self.name, self.window = name, PUBLISHED_WINDOWS[name]
        self.body, self.answer = _LAYERS[name](dropout)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Predict from RGB in [0, 255].

        Args:
            images: (N, 3, S, S) windows; for P-Net (N, 3, H, W) of any size, too.

        Returns:
            Logits (N,), offsets (N, 4) of the edges and landmarks (N, 10), x1, y1 …, from the window's upper
            left corner, both in sides of the window; for P-Net with (H', W') after the second axis.
        """
        output = self.answer(self.body((images - 127.5) / 128))
        return output[:, 0], output[:, 1:5], output[:, 5:]


def _pnet(_: float) -> tuple[nn.Module, nn.Module]:
    body = nn.Sequential(
        *_conv(3, 10, 3), nn.MaxPool2d(2, 2, ceil_mode=True), *_conv(10, 16, 3), *_conv(16, 32, 3)
    )
    return body, nn.Conv2d(32, ANSWERS, 1)


def _rnet(_: float) -> tuple[nn.Module, nn.Module]:
    body = nn.Sequential(
        *(*_conv(3, 28, 3), nn.MaxPool2d(3, 2, ceil_mode=True)),
        *(*_conv(28, 48, 3), nn.MaxPool2d(3, 2, ceil_mode=True), *_conv(48, 64, 2)),
        *(nn.Flatten(), nn.Linear(64 * 3 * 3, 128), nn.PReLU(128)),
    )
    return body, nn.Linear(128, ANSWERS)


def _onet(dropout: float) -> tuple[nn.Module, nn.Module]:
    body = nn.Sequential(
        *(*_conv(3, 32, 3), nn.MaxPool2d(3, 2, ceil_mode=True)),
        *(*_conv(32, 64, 3), nn.MaxPool2d(3, 2, ceil_mode=True)),
        *(*_conv(64, 64, 3), nn.MaxPool2d(2, 2, ceil_mode=True), *_conv(64, 128, 2)),
        *(nn.Flatten(), nn.Linear(128 * 3 * 3, 256), nn.Dropout(dropout), nn.PReLU(256)),
    )
    return body, nn.Linear(256, ANSWERS)


def _conv(channels_in: int, channels_out: int, size: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(channels_in, channels_out, size), nn.PReLU(channels_out)


_LAYERS = {"pnet": _pnet, "rnet": _rnet, "onet": _onet}

"""The cascade: P-Net and R-Net of MTCNN without landmarks, and FPNet in place of O-Net for rotation.

Zhang et al., IEEE Signal Processing Letters 2016. Two changes make inference on a CPU faster: the first
layers have 16 and 32 channels instead of 10 and 28, which fill whole vectors; leaky ReLU replaces PReLU,
which forces data out of ONNX Runtime's blocked layout (2.8 times slower on the pyramid of a 640 px photo).

The attributes ``body`` and ``answer`` name the weights in checkpoints and ONNX files.
"""

import torch
from torch import nn

SLOPE = 0.1


class PNet(nn.Module):
    """Fully convolutional proposal network: a 12x12 window every 2 pixels.

    Scores are logits; boxes are offsets of left, top, right, bottom from the window's edges, in window sides.
    """

    WINDOW = 12
    STRIDE = 2

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 3),
            nn.LeakyReLU(SLOPE),
            nn.MaxPool2d(2, 2),
            nn.Conv2d(16, 16, 3),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(16, 32, 3),
            nn.LeakyReLU(SLOPE),
        )
        self.answer = nn.Conv2d(32, 5, 1)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict logits (N, H', W') and offsets (N, 4, H', W') from (N, 3, H, W) RGB in [0, 255].

        H' = (H - 2) // 2 - 4.
        """
        output = self.answer(self.body((images - 127.5) / 128))
        return output[:, 0], output[:, 1:]


class RNet(nn.Module):
    """Refinement network on 24x24 windows."""

    WINDOW = 24

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 32, 3),
            nn.LeakyReLU(SLOPE),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(32, 48, 3),
            nn.LeakyReLU(SLOPE),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(48, 64, 2),
            nn.LeakyReLU(SLOPE),
            nn.Flatten(),
            nn.Linear(64 * 3 * 3, 128),
            nn.LeakyReLU(SLOPE),
        )
        self.answer = nn.Linear(128, 5)

    def forward(self, windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict logits (N,) and offsets (N, 4) in window sides from (N, 3, 24, 24) RGB in [0, 255]."""
        output = self.answer(self.body((windows - 127.5) / 128))
        return output[:, 0], output[:, 1:]


class FPNet(nn.Module):
    """Third stage on 48x48 windows: O-Net with a rotation's two raw vectors instead of landmarks.

    Args:
        values: size of the rotation: 6 for two raw vectors, 3 for angles in quarter turns.
        dropout: probability of dropping a hidden feature in training.
    """

    WINDOW = 48

    def __init__(self, values: int = 6, dropout: float = 0.25) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 32, 3),
            nn.LeakyReLU(SLOPE),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(32, 64, 3),
            nn.LeakyReLU(SLOPE),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 64, 3),
            nn.LeakyReLU(SLOPE),
            nn.MaxPool2d(2, 2),
            nn.Conv2d(64, 128, 2),
            nn.LeakyReLU(SLOPE),
            nn.Flatten(),
            nn.Linear(128 * 3 * 3, 256),
            nn.LeakyReLU(SLOPE),
            nn.Dropout(dropout),
        )
        self.answer = nn.Linear(256, 5 + values)

    def forward(self, windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Predict logits (N,), offsets (N, 4) in window sides, rotations (N, 6) from (N, 3, 48, 48) RGB."""
        output = self.answer(self.body((windows - 127.5) / 128))
        return output[:, 0], output[:, 1:5], output[:, 5:]


class CascadeForExport(nn.Module):
    """Runtime form of a stage: uint8 (N, H, W, 3) in, probabilities and the other outputs out."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Predict probabilities and the other outputs from (N, H, W, 3) uint8 RGB."""
        logits, *others = self.net(images.permute(0, 3, 1, 2).float())
        return torch.sigmoid(logits), *others

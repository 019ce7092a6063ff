"""P-Net and R-Net of MTCNN (Zhang et al., IEEE Signal Processing Letters 2016), without the landmark branch,
and FPNet, which takes O-Net's place and answers the direction of the head.

Two changes serve the processor, measured with ONNX Runtime on the pyramid of a 640 px photo: the first layers
have 16 and 32 channels instead of 10 and 28 (whole vectors at the same time), and a leaky ReLU
takes the place of PReLU, which would force the data out of the blocked layout (2.8 times slower).
"""

import torch
from torch import nn

SLOPE = 0.1


class PNet(nn.Module):
    """Fully convolutional proposal network: a 12x12 window every 2 pixels.

    Scores come as logits; boxes as offsets of left, top, right, bottom from the window's edges, in
    window sides.
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

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, 3, H, W) RGB, 0 to 255 -> logits (N, H', W'), offsets (N, 4, H', W'); H' = (H - 2) // 2 - 4."""
        answer = self.answer(self.body((pictures - 127.5) / 128))
        return answer[:, 0], answer[:, 1:]


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
        """(N, 3, 24, 24) RGB in [0, 255] -> logits (N,) and offsets (N, 4) in window sides."""
        answer = self.answer(self.body((windows - 127.5) / 128))
        return answer[:, 0], answer[:, 1:]


class FPNet(nn.Module):
    """The third stage on 48x48 windows: O-Net with a rotation's two raw vectors in place of landmarks.

    Args:
        values: of the rotation: 6 for two raw vectors, 3 for angles in quarter turns.
        dropout: share of the hidden values that a training step leaves out.
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
        """(N, 3, 48, 48) RGB in [0, 255] -> logits (N,), offsets (N, 4) in window sides, rotation (N, 6)."""
        answer = self.answer(self.body((windows - 127.5) / 128))
        return answer[:, 0], answer[:, 1:5], answer[:, 5:]


class CascadeForExport(nn.Module):
    """A stage as the runtime calls it: uint8 (N, H, W, 3) in, probabilities and the other answers out."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(N, H, W, 3) uint8 RGB -> probabilities and the rest, shaped as the network's."""
        logits, *others = self.net(pictures.permute(0, 3, 1, 2).float())
        return torch.sigmoid(logits), *others

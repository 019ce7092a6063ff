"""6DRepNet: the direction of a head as two raw vectors, by RepVGG (Hempel et al., ICIP 2022)."""

from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import nn

from facegeom.errors import InputError
from facegeom_lab.networks.backbones import normalise
from facegeom_lab.networks.repvgg import SHAPES, layers

PUBLISHED = "B1g2"
"""Body of the published checkpoint."""


class SixDRepNet(nn.Module):
    """RepVGG, the mean over the picture, one linear layer.

    Args:
        body: a key of ``repvgg.SHAPES``.
        folded: see :class:`facegeom_lab.networks.repvgg.RepVGGBlock`.

    Raises:
        InputError: an unknown body.
    """

    def __init__(self, body: str = "A0", folded: bool = False) -> None:
        super().__init__()
        if body not in SHAPES:
            raise InputError(f"expected a body of RepVGG ({', '.join(SHAPES)}), got {body!r}")
        self.layer0, self.layer1, self.layer2, self.layer3, self.layer4 = layers(SHAPES[body], folded)
        self.linear_reg = nn.Linear(SHAPES[body].channels[-1], 6)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pictures (N, 3, S, S), RGB in [0, 255] -> raw vectors a1, a2 (N, 6)."""
        x = normalise(pictures)
        for layer in (self.layer0, self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
        return self.linear_reg(x.mean(dim=(2, 3)))


def published(checkpoint: Path, body: str = PUBLISHED) -> SixDRepNet:
    """The network of a checkpoint as the authors publish it, in its training or in its folded form.

    Its vectors follow the authors' convention: see ``geometry.angle_conventions.rotation_from_6drepnet``.

    Raises:
        InputError: the file is missing or holds something else.
    """
    if not checkpoint.is_file():
        raise InputError(f"expected 6DRepNet's published checkpoint at {checkpoint}, found nothing")
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        state = state.get("model_state_dict", state)
        folded = any("rbr_reparam" in name for name in state)
        net = SixDRepNet(body, folded)
        net.load_state_dict({name.removeprefix("module."): value for name, value in state.items()})
    except (UnpicklingError, EOFError, RuntimeError, AttributeError) as error:
        raise InputError(f"{checkpoint} does not hold a 6DRepNet with the body {body}: {error}") from error
    return net.eval()

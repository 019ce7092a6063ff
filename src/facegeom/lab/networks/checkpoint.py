"""Weights out of a training's checkpoint."""

from pathlib import Path

import torch
from torch import nn

from facegeom.errors import InputError


def network_from_checkpoint(checkpoint: Path, net: nn.Module) -> nn.Module:
    """Load the averaged weights of a training's checkpoint into ``net``; tensors only, no pickled code.

    Raises:
        InputError: the file is missing or holds another network.
    """
    if not checkpoint.is_file():
        raise InputError(f"expected a checkpoint at {checkpoint}, found nothing; train first")
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    own = {name.removeprefix("net."): value for name, value in state.items() if name.startswith("net.")}
    try:
        net.load_state_dict(own)
    except RuntimeError as error:
        raise InputError(f"{checkpoint} does not hold a {type(net).__name__}: {error}") from error
    return net.eval()

"""Weights out of a training's checkpoint."""

from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import nn

from facegeom.errors import InputError


def network_from_checkpoint(checkpoint: Path, net: nn.Module) -> nn.Module:
    """Load the averaged weights of a training's checkpoint into ``net``; tensors only, no pickled code.

    Raises:
        InputError: as :func:`read_state`, or the checkpoint holds another network.
    """
    state = read_state(checkpoint)
    own = {name.removeprefix("net."): value for name, value in state.items() if name.startswith("net.")}
    try:
        net.load_state_dict(own)
    except RuntimeError as error:
        raise InputError(f"{checkpoint} does not hold a {type(net).__name__}: {error}") from error
    return net.eval()


def read_state(checkpoint: Path) -> dict[str, torch.Tensor]:
    """The tensors of a training's checkpoint by name; no pickled code is run.

    Raises:
        InputError: the file is missing, or is no such checkpoint.
    """
    if not checkpoint.is_file():
        raise InputError(f"expected a checkpoint at {checkpoint}, found nothing; train first")
    advice = f"expected a training's checkpoint at {checkpoint}, tensors alone"
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise InputError(f"{advice}; it cannot be read: {error}") from error
    if not isinstance(state, dict) or "state_dict" not in state:
        raise InputError(f"{advice}; it has no state_dict")
    return state["state_dict"]

"""Load weights from a training's checkpoint, or from the ONNX file exported from one."""

import copy
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch import nn

from facegeom.errors import InputError
from facegeom_lab.networks.blocks import fold, unfold

_PACKED_KERNEL = (12, 3, 2)


def network_from_checkpoint(checkpoint: Path, net: nn.Module) -> nn.Module:
    """Load the weights of a training's checkpoint into ``net``; no pickled code is run.

    Weights of the folded form are unfolded.

    Args:
        checkpoint: of a training, or the ``.onnx`` file of :func:`facegeom_lab.export.export`.
        net: takes the weights, in place.

    Raises:
        InputError: the file is missing, damaged, or holds another network.
    """
    state = read_state(checkpoint)
    own = {name.removeprefix("net."): value for name, value in state.items() if name.startswith("net.")}
    folded = own.keys() != net.state_dict().keys()
    target = fold(copy.deepcopy(net)) if folded else net
    try:
        target.load_state_dict(own)
    except RuntimeError as error:
        raise InputError(f"{checkpoint} does not hold a {type(net).__name__}: {error}") from error
    return (unfold(target, net) if folded else net).eval()


def initial_network(net: nn.Module, start: Path | None, folded: bool) -> nn.Module:
    """Prepare ``net`` for training, with the weights of ``start`` if given.

    Args:
        net: changed in place.
        start: checkpoint, as in :func:`network_from_checkpoint`.
        folded: train the folded form, which has no normalisation and takes 0.7 of the time. Use it with good
            initial weights. Those of an ``.onnx`` file are always trained in this form: they have lost the
            normalisation, and with one of a batch's own they would be another network.

    Raises:
        InputError: as in :func:`network_from_checkpoint`.
    """
    if start:
        network_from_checkpoint(start, net)
        folded = folded or start.suffix == ".onnx"
    return (fold(net) if folded else net).train()


@torch.no_grad()
def blend_weights(net: nn.Module, start: Path | None, fraction: float) -> None:
    """Blend the weights of a trained network, in place, with those it started from, both in the folded form.

    Weights of one valley of the loss average well (WiSE-FT, Wortsman et al., CVPR 2022).

    Raises:
        InputError: there is no ``start``.
    """
    if start is None:
        raise InputError("start_share asks for the weights to start from; give --start")
    own, initial = fold(copy.deepcopy(net)), fold(network_from_checkpoint(start, type(net)()))
    for weight, other in zip(own.parameters(), initial.parameters(), strict=True):
        weight.lerp_(other, fraction)
    unfold(own, net)


def read_state(checkpoint: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a training's checkpoint or of an ``.onnx`` file by name; no pickled code is run.

    Weights of eight bits become floats.

    Raises:
        InputError: the file is missing or is no such checkpoint.
    """
    if not checkpoint.is_file():
        raise InputError(f"expected a checkpoint at {checkpoint}, found nothing; train first")
    if checkpoint.suffix == ".onnx":
        return _tensors(checkpoint)
    advice = f"expected a training's checkpoint at {checkpoint}, tensors alone"
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises errors of any type for damaged files
        raise InputError(f"{advice}; it cannot be read: {error}") from error
    tensors = state.get("state_dict") if isinstance(state, dict) else None
    if not isinstance(tensors, dict):
        raise InputError(f"{advice}; it has no state_dict")
    if not all(isinstance(name, str) and torch.is_tensor(value) for name, value in tensors.items()):
        raise InputError(f"{advice}; its state_dict holds something else")
    if broken := [name for name, value in tensors.items() if not torch.isfinite(value).all()]:
        raise InputError(f"{checkpoint} holds NaN or infinity, first in {broken[0]}; train again")
    return tensors


def _tensors(file: Path) -> dict[str, torch.Tensor]:
    try:
        graph = onnx.load(file).graph
    except (DecodeError, TypeError, ValueError) as error:
        raise InputError(f"expected a network in {file}; it cannot be read as ONNX: {error}") from error
    arrays = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    rounded = [
        node.input
        for node in graph.node
        if node.op_type == "DequantizeLinear" and arrays.keys() >= set(node.input)
    ]
    floats = {
        names[0].removesuffix("_quantized"): _dequantised(*(arrays[name] for name in names))
        for names in rounded
    }
    for name in {name for names in rounded for name in names}:
        del arrays[name]
    for name, kernel in list(floats.items()):
        if kernel.shape[1:] == _PACKED_KERNEL:
            floats |= _unpacked(name, floats)
    return {name: torch.from_numpy(each.copy()) for name, each in (arrays | floats).items()}


def _dequantised(values: np.ndarray, scale: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """Return float32 weights or biases of an eight-bit file, kernels in the form the network has them."""
    by_channel = (-1, *[1] * (values.ndim - 1)) if scale.ndim else ()
    whole = values.astype(np.float32) - zero.reshape(by_channel)
    return (whole * scale.reshape(by_channel)).astype(np.float32)


def _unpacked(name: str, floats: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return kernel and bias of a first convolution that takes four pixels as one of twelve channels.

    Its second pixel's kernel lies whole in the last three of a group: the inverse of
    ``quantization.convert.pack_pixels``.
    """
    two = floats[name].reshape(2, -1, 4, 3, *_PACKED_KERNEL[1:])
    bias = name.removesuffix("weight") + "bias"
    return {name: np.moveaxis(two[1, :, 1:, :, :, 1], 1, -1), bias: np.split(floats[bias], 2)[1]}

"""Eight-bit networks by ONNX Runtime: static quantisation, calibrated on pictures; ONNX in, ONNX out.

Scales for each output channel, activations in unsigned and weights in signed bytes (QDQ form). B. Jacob et
al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference", CVPR
2018. Saves three quarters of the memory and, with a processor's dot products of bytes, half of the time.

Four things keep the accuracy: the answers of the last layers stay floats, since one scale for outputs of
different ranges would drown the small ones; bytes of a picture go into the first convolution as they are;
weights keep to seven bits where ``portable``: without such dot products (before AVX512-VNNI) processors add
two products in 16 bits, which full bytes overflow; and what rounding shifts the answers by on average is
taken out of the last bias (bias correction: M. Nagel et al., "Data-free quantization through weight
equalization and bias correction", ICCV 2019).
"""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quant_pre_process,
    quantize_static,
)

from facegeom.errors import InputError
from facegeom_lab.quantization.onnx_costs import onnx_outputs

QUANTISED = ["Conv", "Gemm", "MatMul", "Relu", "MaxPool", "Flatten"]
_ZERO = 128


class _Pictures(CalibrationDataReader):
    def __init__(self, name: str, batches: Iterable[np.ndarray]) -> None:
        self._feeds: Iterator[dict[str, np.ndarray]] = ({name: batch} for batch in batches)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


def quantise(model: bytes, pictures: np.ndarray, portable: bool = True, batch: int = 32) -> bytes:
    """A float network as an eight-bit one.

    Args:
        model: ONNX, its input uint8 pictures.
        pictures: (N, H, W, 3) uint8 as training saw them, some hundreds, for the ranges of activations.
        portable: weights of seven bits.
        batch: pictures of one calibrating call.

    Raises:
        InputError: no pictures.
    """
    if not len(pictures):
        raise InputError("expected some hundred pictures to calibrate with, got none")
    onnxruntime.set_default_logger_severity(3)  # the constants that are folded away need no warning
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "before.onnx", Path(folder) / "after.onnx"
        before.write_bytes(model)
        quant_pre_process(str(before), str(before), skip_symbolic_shape=True)
        before.write_bytes(from_bytes(before.read_bytes()))
        graph = onnx.load(before).graph
        name = graph.input[0].name
        starts = range(0, len(pictures), batch)
        quantize_static(
            str(before),
            str(after),
            _Pictures(name, (pictures[start : start + batch] for start in starts)),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTISED,
            nodes_to_exclude=answering(graph),
            per_channel=True,
            reduce_range=portable,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm"]},
        )
        quantised = _without_second_rounding(onnx.load(after)).SerializeToString()
        return centred(before.read_bytes(), quantised, pictures)


def from_bytes(model: bytes) -> bytes:
    """The same network with "cast, subtract, divide" before the first convolution as one dequantisation.

    (x - a) / b = (x - 128) / b + (128 - a) / b: the last part goes into the bias, exactly but for a rim of
    one pixel, where zeros are padded. A network that does not begin so stays as it is.
    """
    net = onnx.load_from_string(model)
    found = _beginning(net.graph)
    if found is None:
        return model
    (cast, sub, div, conv), (a, b) = found
    constants = {tensor.name: tensor for tensor in net.graph.initializer}
    weight, bias = (numpy_helper.to_array(constants[name]) for name in conv.input[1:3])
    moved = bias + weight.sum(axis=(1, 2, 3)) * (_ZERO - a) / b
    constants[conv.input[2]].CopyFrom(numpy_helper.from_array(moved.astype(np.float32), conv.input[2]))
    net.graph.initializer.extend(
        [
            numpy_helper.from_array(np.float32(1 / b), "pictures_scale"),
            numpy_helper.from_array(np.uint8(_ZERO), "pictures_zero"),
        ]
    )
    inputs = [cast.input[0], "pictures_scale", "pictures_zero"]
    place = list(net.graph.node).index(cast)
    for node in (cast, sub, div):
        net.graph.node.remove(node)
    net.graph.node.insert(
        place, helper.make_node("DequantizeLinear", inputs, [div.output[0]], name="pictures_as_numbers")
    )
    return net.SerializeToString()


def _beginning(graph: Any) -> tuple[tuple[Any, ...], tuple[float, float]] | None:
    """The nodes Cast, Sub, Div, Conv with a bias, one after the other, and the two numbers."""
    users = {name: node for node in graph.node for name in node.input}
    row = [node for node in graph.node if node.op_type == "Cast"][:1]
    for wanted in ("Sub", "Div", "Conv"):
        following = users.get(row[-1].output[0]) if row else None
        row = [*row, following] if following is not None and following.op_type == wanted else []
    if not row or len(row[-1].input) < 3:
        return None
    constants = _constants(graph)
    return tuple(row), (float(constants[row[1].input[1]]), float(constants[row[2].input[1]]))


def _constants(graph: Any) -> dict[str, np.ndarray]:
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == "Constant"]
    return found | {node.output[0]: numpy_helper.to_array(node.attribute[0].t) for node in nodes}


def centred(model: bytes, quantised: bytes, pictures: np.ndarray) -> bytes:
    """The quantised network with the answers' mean over ``pictures`` moved to the float network's.

    The bias of the last matrix product carries the difference; a network that ends otherwise stays as it is.
    """
    net = onnx.load_from_string(quantised)
    last = next((node for node in reversed(net.graph.node) if node.op_type == "Gemm"), None)
    if last is None:
        return quantised
    means = [_mean_output(each, last.output[0], pictures) for each in (model, quantised)]
    maker = next((node for node in net.graph.node if last.input[2] in node.output), None)
    constants = {tensor.name: tensor for tensor in net.graph.initializer}
    bias = constants[maker.input[0] if maker else last.input[2]]
    unit = numpy_helper.to_array(constants[maker.input[1]]) if maker else np.float32(1)
    values = numpy_helper.to_array(bias)
    moved = values + (means[0] - means[1]) / unit
    bias.CopyFrom(
        numpy_helper.from_array((np.rint(moved) if maker else moved).astype(values.dtype), bias.name)
    )
    return net.SerializeToString()


def _mean_output(model: bytes, tensor: str, pictures: np.ndarray) -> np.ndarray:
    """(C,) mean of an inner tensor (N, C) over the pictures."""
    net = onnx.load_from_string(model)
    del net.graph.output[:]
    net.graph.output.append(helper.make_empty_tensor_value_info(tensor))
    return np.asarray(onnx_outputs(net.SerializeToString(), pictures)[0].mean(axis=0))


def answering(graph: Any) -> list[str]:
    """Names of the convolutions that give a network's answers, no other one between. They stay floats."""
    makers = {name: node for node in graph.node for name in node.output}
    names, left = set(), [output.name for output in graph.output]
    while left:
        node = makers.get(left.pop())
        if node is not None and node.op_type == "Conv":
            names.add(node.name)
        elif node is not None and node.op_type != "Gemm":  # Gemm: its weights may be bytes, see above
            left += node.input
    return sorted(names)


def _without_second_rounding(net: Any) -> Any:
    """Drop the quantisation that follows the pictures' dequantisation: they are bytes already."""
    makers = {name: node for node in net.graph.node for name in node.output}
    for second in [node for node in net.graph.node if node.op_type == "DequantizeLinear"]:
        first = makers.get(second.input[0])
        if first is None or first.op_type != "QuantizeLinear":
            continue
        source = makers.get(first.input[0])
        if source is not None and source.name == "pictures_as_numbers":
            for node in net.graph.node:
                for place, name in enumerate(node.input):
                    if name == second.output[0]:
                        node.input[place] = first.input[0]
            net.graph.node.remove(first)
            net.graph.node.remove(second)
    onnx.checker.check_model(net)
    return net

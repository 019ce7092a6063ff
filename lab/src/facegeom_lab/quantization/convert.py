"""Smaller forms of an ONNX network: eight-bit integers, sixteen-bit floats, pruned weights.

Eight bits: static quantisation by ONNX Runtime, calibrated on images, with weight scales for each output
channel, unsigned activations and signed weights (QDQ form). B. Jacob et al., "Quantization and training of
neural networks for efficient integer-arithmetic-only inference", CVPR 2018. It takes a quarter of the memory
and, on CPUs with dot products of bytes, half of the time. Four measures keep the accuracy, a fifth the time:

1. Convolutions that give the outputs stay floats: outputs of different ranges do not fit one scale.
2. The bytes of an image are the first convolution's quantised input as they are.
3. ``portable`` weights have seven bits: CPUs without dot products of bytes (before AVX512-VNNI) add two
   products in 16 bits, which overflow with full bytes.
4. Bias correction removes the mean shift of the outputs (M. Nagel et al., "Data-free quantization through
   weight equalization and bias correction", ICCV 2019).
5. The first convolution takes four pixels of a row as one of twelve channels.
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
from onnxruntime.transformers.float16 import convert_float_to_float16

from facegeom.errors import InputError
from facegeom_lab.quantization.onnx_costs import onnx_outputs

QUANTISED = ["Conv", "Gemm", "MatMul", "Relu", "MaxPool", "Flatten"]
PRUNED_FRACTIONS = (0.3, 0.5)
_ZERO = 128
_PACKED = 4


class _Calibration(CalibrationDataReader):
    def __init__(self, name: str, batches: Iterable[np.ndarray]) -> None:
        self._feeds: Iterator[dict[str, np.ndarray]] = ({name: batch} for batch in batches)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


def quantise(
    model: bytes,
    images: np.ndarray,
    portable: bool = True,
    batch: int = 32,
    floats: tuple[int, int] = (0, 0),
) -> bytes:
    """Quantise a float network to eight bits.

    Args:
        model: ONNX, its input uint8 images.
        images: (N, H, W, 3) uint8, some hundred as in training, to calibrate the ranges of activations.
        portable: use weights of seven bits.
        batch: images in a calibration call.
        floats: how many of the first and of the last layers stay floats.

    Raises:
        InputError: no images.
    """
    if not len(images):
        raise InputError("expected some hundred images to calibrate with, got none")
    onnxruntime.set_default_logger_severity(3)  # no warnings about folded constants
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "before.onnx", Path(folder) / "after.onnx"
        before.write_bytes(model)
        quant_pre_process(str(before), str(before), skip_symbolic_shape=True)
        before.write_bytes(byte_input(before.read_bytes()))
        graph = onnx.load(before).graph
        name = graph.input[0].name
        starts = range(0, len(images), batch)
        quantize_static(
            str(before),
            str(after),
            _Calibration(name, (images[start : start + batch] for start in starts)),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTISED,
            nodes_to_exclude=[*output_convolutions(graph), *_ends(graph, *floats)],
            per_channel=True,
            reduce_range=portable,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm"]},
        )
        quantised = _drop_second_rounding(onnx.load(after)).SerializeToString()
        corrected = correct_bias(before.read_bytes(), quantised, images)
    return corrected if images.shape[2] % _PACKED else pack_pixels(corrected)


def _ends(graph: Any, first: int, last: int) -> list[str]:
    """Return the names of the first and the last layers with weights, and of the activations that follow."""
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    chosen = layers[:first] + layers[len(layers) - last :]
    given = {node.output[0] for node in chosen}
    return [node.name for node in (*chosen, *graph.node) if node in chosen or given & set(node.input)]


def byte_input(model: bytes) -> bytes:
    """Replace "cast, subtract, divide" before the first convolution by one dequantisation.

    (x - a) / b = (x - 128) / b + (128 - a) / b: the last term goes into the bias, exact except for a border
    of one pixel, where zeros are padded. A network that starts otherwise is returned unchanged.
    """
    net = onnx.load_from_string(model)
    found = _input_nodes(net.graph)
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


def _input_nodes(graph: Any) -> tuple[tuple[Any, ...], tuple[float, float]] | None:
    """Find a chain of the nodes Cast, Sub, Div, Conv with a bias, and the two constants."""
    users = {name: node for node in graph.node for name in node.input}
    chain = [node for node in graph.node if node.op_type == "Cast"][:1]
    for wanted in ("Sub", "Div", "Conv"):
        following = users.get(chain[-1].output[0]) if chain else None
        chain = [*chain, following] if following is not None and following.op_type == wanted else []
    if not chain or len(chain[-1].input) < 3:
        return None
    constants = _constants(graph)
    return tuple(chain), (float(constants[chain[1].input[1]]), float(constants[chain[2].input[1]]))


def _constants(graph: Any) -> dict[str, np.ndarray]:
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == "Constant"]
    return found | {node.output[0]: numpy_helper.to_array(node.attribute[0].t) for node in nodes}


def correct_bias(model: bytes, quantised: bytes, images: np.ndarray) -> bytes:
    """Shift the last bias so that the mean output over ``images`` is that of the float network.

    A network that does not end with a matrix product is returned unchanged.
    """
    net = onnx.load_from_string(quantised)
    last = next((node for node in reversed(net.graph.node) if node.op_type == "Gemm"), None)
    if last is None:
        return quantised
    means = [_mean_output(each, last.output[0], images) for each in (model, quantised)]
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


def _mean_output(model: bytes, tensor: str, images: np.ndarray) -> np.ndarray:
    """Compute the mean (C,) of an inner tensor (N, C) over the images."""
    net = onnx.load_from_string(model)
    del net.graph.output[:]
    net.graph.output.append(helper.make_empty_tensor_value_info(tensor))
    return np.asarray(onnx_outputs(net.SerializeToString(), images)[0].mean(axis=0))


def output_convolutions(graph: Any) -> list[str]:
    """Return the names of the convolutions nearest to the outputs, which stay floats."""
    makers = {name: node for node in graph.node for name in node.output}
    names, left = set(), [output.name for output in graph.output]
    while left:
        node = makers.get(left.pop())
        if node is not None and node.op_type == "Conv":
            names.add(node.name)
        elif node is not None and node.op_type != "Gemm":  # a Gemm may have bytes as weights
            left += node.input
    return sorted(names)


def _drop_second_rounding(net: Any) -> Any:
    """Drop the quantisation right after the images' dequantisation: they are bytes already."""
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


def pack_pixels(model: bytes) -> bytes:
    """Let the first convolution take groups of four pixels of a row as one pixel of twelve channels.

    The bytes of an image are laid out so already. A kernel of 3 x 3 with stride 2 becomes one of 3 x 2, over
    a group and the one before it, that gives two pixels at once: ONNX Runtime gathers 6 runs of 12 bytes for
    them in place of 18 of 3, which takes longer than the products. Outputs are the same to the byte, for
    widths that are multiples of four.

    Args:
        model: eight bits; one that starts otherwise is returned unchanged.
    """
    net = onnx.load_from_string(model)
    graph = net.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    chain: list[Any] = [next((node for node in graph.node if graph.input[0].name in node.input), None)]
    for wanted in ("Transpose", "DequantizeLinear", "Conv", "QuantizeLinear"):
        if chain[-1] is None or chain[-1].op_type != wanted:
            return model
        chain.append(next((node for node in graph.node if chain[-1].output[0] in node.input), None))
    transpose, _, conv, quantised, following = chain
    attributes = {each.name: each.ints for each in conv.attribute if each.ints}
    expected = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    if len(conv.input) < 3 or any(list(attributes.get(name, ())) != each for name, each in expected.items()):
        return model
    layers = [makers[name] for name in conv.input[1:3]]
    kernel = numpy_helper.to_array(constants[layers[0].input[0]])
    count, channels = kernel.shape[:2]
    wide = np.zeros((_PACKED // 2, count, _PACKED, channels, 3, 2), kernel.dtype)
    for pixel in range(_PACKED // 2):
        for column in range(3):
            before, place = divmod(2 * pixel - 1 + column, _PACKED)  # -1 is the group before
            wide[pixel, :, place, :, :, 1 + before] = kernel[..., column]
    new = {layers[0].input[0]: wide.reshape(-1, _PACKED * channels, 3, 2)}
    for name in {*layers[0].input[1:], *layers[1].input}:
        if (values := numpy_helper.to_array(constants[name])).ndim:
            new[name] = np.tile(values, _PACKED // 2)
    for name, array in new.items():
        constants[name].CopyFrom(numpy_helper.from_array(array, name))
    for name, numbers in {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 1, 1, 0]}.items():
        del attributes[name][:]
        attributes[name].extend(numbers)
    shapes = {"packed_shape": _PACKED * channels, "unpacked_shape": count}
    graph.initializer.extend(
        [numpy_helper.from_array(np.array([0, 0, -1, last]), name) for name, last in shapes.items()]
    )
    narrow, source = quantised.output[0], transpose.input[0]
    unpacking = [
        helper.make_node("Transpose", [narrow], ["packed_rows"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["packed_rows", "unpacked_shape"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["unpacked"], perm=[0, 3, 1, 2]),
    ]
    transpose.input[0], following.input[0] = "packed", "unpacked"
    place = list(graph.node).index(quantised) + 1
    for node in reversed(unpacking):
        graph.node.insert(place, node)
    packing = helper.make_node("Reshape", [source, "packed_shape"], ["packed"])
    graph.node.insert(list(graph.node).index(transpose), packing)
    del graph.value_info[:]  # shapes of before: ONNX Runtime for browsers refuses what does not fit
    onnx.checker.check_model(net)
    return net.SerializeToString()


def halve(model: bytes) -> bytes:
    """Convert a float32 network to float16; inputs and outputs keep their types.

    Half the memory, for GPUs: CPUs without such arithmetic convert back and forth. Weights are rounded, and
    clipped to the range of float16.
    """
    net = convert_float_to_float16(onnx.load_from_string(model), keep_io_types=True)
    onnx.checker.check_model(net)
    return net.SerializeToString()


def pruned(model: bytes) -> dict[str, bytes]:
    """Prune fractions of the weights; networks by name: ``pruned30``, ``pruned50``."""
    return {f"pruned{round(100 * fraction)}": prune(model, fraction) for fraction in PRUNED_FRACTIONS}


def prune(model: bytes, fraction: float) -> bytes:
    """Set the smallest ``fraction`` of each kernel's and matrix's numbers to zero, without more training.

    The network keeps its shape and its time; a compressed file gets smaller.
    """
    net = onnx.load_from_string(model)
    weights = {
        name for node in net.graph.node if node.op_type in ("Conv", "Gemm") for name in node.input[1:2]
    }
    for tensor in net.graph.initializer:
        if tensor.name in weights:
            values = numpy_helper.to_array(tensor)
            limit = np.quantile(np.abs(values), fraction)
            kept = np.where(np.abs(values) > limit, values, 0).astype(values.dtype)
            tensor.CopyFrom(numpy_helper.from_array(kept, tensor.name))
    return net.SerializeToString()

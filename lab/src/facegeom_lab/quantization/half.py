"""Sixteen-bit floats, for GPUs: half the memory. Processors without such arithmetic convert to and fro."""

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16


def halve(model: bytes) -> bytes:
    """A float32 ONNX network with float16 inside; inputs and outputs keep their types.

    Conversion of weights is by rounding; those beyond float16's range are cut to it.
    """
    net = convert_float_to_float16(onnx.load_from_string(model), keep_io_types=True)
    onnx.checker.check_model(net)
    return net.SerializeToString()

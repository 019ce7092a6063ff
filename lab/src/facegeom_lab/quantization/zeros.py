"""Magnitude pruning of a finished ONNX network, nothing trained afterwards: what zeros alone cost and save.

The network keeps its shape and its time; a file that is coded or packed gets smaller. See ``pruning`` for the
training that wins accuracy back.
"""

import numpy as np
import onnx
from onnx import numpy_helper

SHARES = (0.3, 0.5)


def pruned(model: bytes) -> dict[str, bytes]:
    """The network with some shares of its weights pruned, by name: ``pruned30``, ``pruned50``."""
    return {f"pruned{round(100 * share)}": without_smallest(model, share) for share in SHARES}


def without_smallest(model: bytes, share: float) -> bytes:
    """The same network with the smallest ``share``, in (0, 1), of each weight's numbers set to zero.

    Kernels and matrices alone; biases and constants stay as they are.
    """
    net = onnx.load_from_string(model)
    weights = {
        name for node in net.graph.node if node.op_type in ("Conv", "Gemm") for name in node.input[1:2]
    }
    for tensor in net.graph.initializer:
        if tensor.name in weights:
            values = numpy_helper.to_array(tensor)
            limit = np.quantile(np.abs(values), share)
            kept = np.where(np.abs(values) > limit, values, 0).astype(values.dtype)
            tensor.CopyFrom(numpy_helper.from_array(kept, tensor.name))
    return net.SerializeToString()

"""Write ONNX graphs as numpy is written: tensors with operators, conditions and loops as functions.

A scalar is a tensor of the shape (1,), so that scalars join shapes and broadcast beside arrays.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Like: TypeAlias = "Tensor | float | Sequence[Any] | npt.NDArray[Any]"

OPSET = 17
"""Version of ONNX's operators in which the networks and the graph around them are written."""


class Tensor:
    """A value of the graph: a name, and the type of its numbers.

    Attributes:
        graph: to which it belongs.
        name: unique in the graph.
        dtype: of its numbers.
    """

    __slots__ = ("dtype", "graph", "name")

    def __init__(self, graph: "Graph", name: str, dtype: npt.DTypeLike) -> None:
        self.graph, self.name, self.dtype = graph, name, np.dtype(dtype)

    def _with(self, kind: str, other: Like, dtype: npt.DTypeLike | None = None) -> "Tensor":
        return self.graph.op(kind, self, self.graph.like(other, self), dtype=dtype)

    def __add__(self, other: Like) -> "Tensor":
        return self._with("Add", other)

    def __sub__(self, other: Like) -> "Tensor":
        return self._with("Sub", other)

    def __rsub__(self, other: Like) -> "Tensor":
        return self.graph.like(other, self) - self

    def __mul__(self, other: Like) -> "Tensor":
        return self._with("Mul", other)

    def __truediv__(self, other: Like) -> "Tensor":
        return self._with("Div", other)

    def __rtruediv__(self, other: Like) -> "Tensor":
        return self.graph.like(other, self) / self

    __floordiv__ = __truediv__  # integers that are not negative: ONNX divides them so
    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> "Tensor":
        return self.graph.op("Neg", self)

    def __matmul__(self, other: "Tensor") -> "Tensor":
        return self._with("MatMul", other)

    def __lt__(self, other: Like) -> "Tensor":
        return self._with("Less", other, bool)

    def __le__(self, other: Like) -> "Tensor":
        return self._with("LessOrEqual", other, bool)

    def __gt__(self, other: Like) -> "Tensor":
        return self._with("Greater", other, bool)

    def __ge__(self, other: Like) -> "Tensor":
        return self._with("GreaterOrEqual", other, bool)

    def __and__(self, other: "Tensor") -> "Tensor":
        return self._with("And", other)

    def __or__(self, other: "Tensor") -> "Tensor":
        return self._with("Or", other)

    def __invert__(self) -> "Tensor":
        return self.graph.op("Not", self)

    def cast(self, dtype: npt.DTypeLike) -> "Tensor":
        """Convert the numbers; floats are truncated to integers."""
        to = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self if self.dtype == dtype else self.graph.op("Cast", self, dtype=dtype, to=to)

    def at_least(self, low: Like) -> "Tensor":
        """Return the larger of both, number by number."""
        return self._with("Max", low)

    def at_most(self, high: Like) -> "Tensor":
        """Return the smaller of both, number by number."""
        return self._with("Min", high)

    def sum(self, axis: int, keep: bool = False) -> "Tensor":
        """Add up along an axis."""
        return self.graph.op("ReduceSum", self, self.graph.ints(axis), keepdims=int(keep))

    def max(self, axis: int) -> "Tensor":
        """Return the largest along an axis, which must not be empty."""
        return self.graph.op("ReduceMax", self, axes=[axis], keepdims=0)

    def mean(self, axis: int) -> "Tensor":
        """Return the mean along an axis."""
        return self.graph.op("ReduceMean", self, axes=[axis], keepdims=0)

    def any(self) -> "Tensor":
        """Return whether one is true, (1,); False for none."""
        return self.reshape(-1).cast(np.int64).sum(0, keep=True) > 0

    def floor(self) -> "Tensor":
        """Round down."""
        return self.graph.op("Floor", self)

    def ceil(self) -> "Tensor":
        """Round up."""
        return self.graph.op("Ceil", self)

    def rint(self) -> "Tensor":
        """Round to the nearest, halves to even."""
        return self.graph.op("Round", self)

    def exp(self) -> "Tensor":
        """Return e to the power of each."""
        return self.graph.op("Exp", self)

    def log(self) -> "Tensor":
        """Return natural logarithms."""
        return self.graph.op("Log", self)

    def abs(self) -> "Tensor":
        """Return absolute values."""
        return self.graph.op("Abs", self)

    def sqrt(self) -> "Tensor":
        """Return square roots."""
        return self.graph.op("Sqrt", self)

    def reshape(self, *shape: "Tensor | int") -> "Tensor":
        """Return another shape; -1 stands for what is left."""
        return self.graph.op("Reshape", self, self.graph.ints(*shape))

    def transpose(self, *axes: int) -> "Tensor":
        """Reorder the axes."""
        return self.graph.op("Transpose", self, perm=list(axes))

    def size(self, axis: int = 0) -> "Tensor":
        """Return the length along an axis, (1,) int64."""
        end = None if axis == -1 else axis + 1
        limits = {} if end is None else {"end": end}
        return self.graph.op("Shape", self, dtype=np.int64, start=axis, **limits)

    def part(self, axis: int, start: "Tensor | int", end: "Tensor | int" = 2**31) -> "Tensor":
        """Cut from start to end along an axis."""
        ints = self.graph.ints
        return self.graph.op("Slice", self, ints(start), ints(end), ints(axis))

    def take(self, rows: "Tensor | Sequence[int] | npt.NDArray[Any]", axis: int = 0) -> "Tensor":
        """Gather rows by integers along an axis."""
        rows = rows if isinstance(rows, Tensor) else self.graph.constant(np.asarray(rows, np.int64))
        return self.graph.op("Gather", self, rows, axis=axis)

    def column(self, index: int) -> "Tensor":
        """Return one entry of the last axis, without it."""
        return self.graph.op("Gather", self, self.graph.constant(np.array(index)), axis=-1)


class Graph:
    """A graph under construction, with the networks that it joins.

    Args:
        inputs: name, type and shape of each input, as ONNX takes them.
    """

    def __init__(self, inputs: Sequence[onnx.ValueInfoProto]) -> None:
        self.inputs = list(inputs)
        self._nodes: list[list[onnx.NodeProto]] = [[]]
        self._weights: list[dict[str, onnx.TensorProto]] = [{}]
        self._constants: dict[Any, Tensor] = {}
        self._count = 0

    def name(self, stem: str) -> str:
        """Return a new name."""
        self._count += 1
        return f"{stem}_{self._count}"

    def op(self, kind: str, *inputs: Tensor, dtype: npt.DTypeLike | None = None, **attributes: Any) -> Tensor:
        """Add a node with one output, of the type of the first input by default."""
        name = self.name(kind)
        self._add(kind, [each.name for each in inputs], [name], **attributes)
        return Tensor(self, name, inputs[0].dtype if dtype is None else dtype)

    def constant(self, array: npt.ArrayLike) -> Tensor:
        """Return a constant of the array's type; equal ones are stored once."""
        values = np.asarray(array)
        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in self._constants:
            name = self.name("constant")
            self._weights[0][name] = numpy_helper.from_array(values, name)
            self._constants[key] = Tensor(self, name, values.dtype)
        return self._constants[key]

    def like(self, value: Like, other: Tensor) -> Tensor:
        """Return the value as a tensor with the type of another; a number becomes a scalar (1,)."""
        if isinstance(value, Tensor):
            return value.cast(other.dtype)
        return self.constant(np.atleast_1d(np.asarray(value, other.dtype)))

    def ints(self, *values: "Tensor | int") -> Tensor:
        """Join integers and scalars to a vector, as of a shape."""
        if not any(isinstance(each, Tensor) for each in values):
            return self.constant(np.array(values, np.int64))
        parts = [each.cast(np.int64) if isinstance(each, Tensor) else self.ints(each) for each in values]
        return parts[0] if len(parts) == 1 else self.concat(parts, 0)

    def concat(self, parts: Sequence[Tensor], axis: int) -> Tensor:
        """Join along an axis."""
        return self.op("Concat", *parts, axis=axis)

    def stack(self, parts: Sequence[Tensor]) -> Tensor:
        """Join along a new last axis."""
        axis = self.ints(-1)
        return self.concat([self.op("Unsqueeze", each, axis) for each in parts], -1)

    def where(self, condition: Tensor, one: Like, other: Tensor) -> Tensor:
        """Choose number by number."""
        return self.op("Where", condition, self.like(one, other), other, dtype=other.dtype)

    def full(self, shape: Tensor, value: float | int, dtype: npt.DTypeLike = np.float32) -> Tensor:
        """Return a constant array of a shape."""
        filled = numpy_helper.from_array(np.array([value], dtype))
        return self.op("ConstantOfShape", shape, value=filled, dtype=dtype)

    def arange(self, count: Tensor) -> Tensor:
        """Return 0, 1, … as int64; count is a scalar."""
        zero, one = self.constant(np.array(0)), self.constant(np.array(1))
        return self.op("Range", zero, self.op("Squeeze", count.cast(np.int64)), one, dtype=np.int64)

    def rows(self, chosen: Tensor) -> Tensor:
        """Return the indices (K,) where a mask (N,) is true."""
        return self.op("NonZero", chosen, dtype=np.int64).reshape(-1)

    def order(self, scores: Tensor) -> Tensor:
        """Return the indices of scores (N,) from the best to the worst; equal ones keep their order."""
        names = [self.name("TopK"), self.name("TopK")]
        self._add("TopK", [scores.name, scores.size().name], names, axis=0)
        return Tensor(self, names[1], np.int64)

    def when(
        self, condition: Tensor, then: Callable[[], Sequence[Tensor]], other: Callable[[], Sequence[Tensor]]
    ) -> list[Tensor]:
        """Compute one of two lists of tensors."""
        branches = []
        for branch in (then, other):
            self._begin()
            results = [self.op("Identity", each) for each in branch()]
            branches.append(self._body([], results))
        names = [self.name("If") for _ in results]
        self._add("If", [condition.name], names, then_branch=branches[0], else_branch=branches[1])
        return [Tensor(self, name, each.dtype) for name, each in zip(names, results, strict=True)]

    def loop(
        self,
        count: Tensor,
        body: Callable[..., tuple[Tensor | None, Sequence[Tensor], Sequence[Tensor]]],
        state: Sequence[Tensor] = (),
    ) -> list[Tensor]:
        """Run a body at most ``count`` times; return the last state, then what was collected, stacked.

        Args:
            count: scalar.
            body: takes the number of the round, a scalar, and the state; returns whether to go on (None:
                yes), the new state, and what to collect.
            state: tensors at the start.
        """
        self._begin()
        number, goes_on = self.name("round"), self.name("goes_on")
        carried = [Tensor(self, self.name("state"), each.dtype) for each in state]
        more, new, collected = body(Tensor(self, number, np.int64).reshape(1), *carried)
        keep = Tensor(self, goes_on, bool) if more is None else self.op("Squeeze", more)
        results = [self.op("Identity", each) for each in (keep, *new, *collected)]
        inputs = [_info(number, np.int64, []), _info(goes_on, bool, [])]
        inputs += [_info(each.name, each.dtype) for each in carried]
        graph = self._body(inputs, results)
        names = [self.name("Loop") for _ in results[1:]]
        most = self.op("Squeeze", count.cast(np.int64))
        self._add("Loop", [most.name, "", *(each.name for each in state)], names, body=graph)
        return [Tensor(self, name, each.dtype) for name, each in zip(names, results[1:], strict=True)]

    def network(self, path: Path, *inputs: Tensor, shared: bool = False) -> list[Tensor]:
        """Join a network.

        Args:
            path: the ONNX file.
            inputs: of the network, in order.
            shared: store the weights once for all its places in the graph, not in each branch or loop; ONNX
                Runtime then runs float networks in branches a quarter slower.
        """
        model, stem, call = onnx.load(str(path)), path.stem, self.name(path.stem)
        names, weights = {"": ""}, self._weights[0 if shared else -1]
        for tensor in model.graph.initializer:
            names[tensor.name] = f"{stem if shared else call}/{tensor.name}"
            tensor.name = names[tensor.name]
            weights[tensor.name] = tensor
        names |= {info.name: each.name for info, each in zip(model.graph.input, inputs, strict=True)}
        for node in model.graph.node:
            names |= {each: f"{call}/{each}" for each in node.output if each}
            node.input[:] = [names[each] for each in node.input]
            node.output[:] = [names[each] for each in node.output]
            node.name = f"{call}/{node.output[0]}"
            self._nodes[-1].append(node)
        return [Tensor(self, names[each.name], np.float32) for each in model.graph.output]

    def model(self, name: str, outputs: Sequence[tuple[Tensor, onnx.ValueInfoProto]]) -> onnx.ModelProto:
        """Return the model with its outputs named and described."""
        for tensor, info in outputs:
            self._add("Identity", [tensor.name], [info.name])
        graph = self._body(self.inputs, [])
        graph.name = name
        graph.output.extend(info for _, info in outputs)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)

    def _add(self, kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> None:
        # named, since ONNX Runtime 1.19 names what it makes of nodes after them, and wants that unique
        self._nodes[-1].append(helper.make_node(kind, inputs, outputs, name=outputs[0], **attributes))

    def _begin(self) -> None:
        self._nodes.append([])
        self._weights.append({})

    def _body(self, inputs: Sequence[onnx.ValueInfoProto], results: Sequence[Tensor]) -> onnx.GraphProto:
        outputs = [_info(each.name, each.dtype) for each in results]
        weights = list(self._weights.pop().values())
        return helper.make_graph(self._nodes.pop(), self.name("body"), inputs, outputs, weights)


def _info(name: str, dtype: npt.DTypeLike, shape: list[int] | None = None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)

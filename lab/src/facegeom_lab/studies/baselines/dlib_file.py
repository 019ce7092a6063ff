"""Shape predictors in dlib's own files (``.dat``): read into arrays, and written so that dlib loads them.

Everything in a file is a run of packed integers. An integer is a control byte (its size in bytes in the low
four bits, its sign in the highest one) and the bytes of its magnitude, the lowest first. A float is two
integers, a mantissa and an exponent of 2. A vector is its length and its items; a matrix is minus its rows,
minus its columns and its items by rows.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError
from facegeom_lab.studies.baselines.shape_predictor import FloatArray, IntArray, ShapePredictor

Int64Array = npt.NDArray[np.int64]

VERSION = 1
_SIZE, _SIGN = 0x0F, 0x80
_MANTISSA_BITS = 24  # of a 32-bit float
_NOT_FINITE = 32000  # exponents from here on mean infinity and NaN


class Cursor:
    """Reads integers and floats of an unpacked file in order."""

    def __init__(self, values: Int64Array) -> None:
        self._values, self._at = values, 0

    def take(self, count: int) -> Int64Array:
        """Read the next ``count`` integers."""
        left = len(self._values) - self._at
        if not 0 <= count <= left:
            raise InputError(f"expected {count} more numbers in the dlib file, got {left}; get a whole copy")
        self._at += count
        return self._values[self._at - count : self._at]

    def integer(self) -> int:
        """Read the next integer."""
        return int(self.take(1)[0])

    def floats(self, *shape: int) -> FloatArray:
        """Read the next floats of a shape."""
        return to_floats(self.take(2 * int(np.prod(shape))).reshape(*shape, 2))

    def expect(self, wanted: int, what: str) -> None:
        """Read the next integer; InputError unless it is ``wanted``."""
        found = self.integer()
        if found != wanted:
            raise InputError(f"expected {what} {wanted} in the dlib file, got {found}")

    def peek(self) -> int:
        """Return the next integer without consuming it."""
        value = self.integer()
        self._at -= 1
        return value

    def end(self) -> None:
        """Raise InputError if numbers are left."""
        left = len(self._values) - self._at
        if left:
            raise InputError(f"expected the end of the dlib file, got {left} more numbers")


def read(path: Path) -> ShapePredictor:
    """Read a predictor that dlib has written.

    Raises:
        InputError: the file is missing, cut short, no shape predictor, or its trees are of several sizes.
    """
    if not path.is_file():
        raise InputError(f"expected dlib's shape predictor at {path}, found nothing")
    cursor = Cursor(unpack(path.read_bytes()))
    cursor.expect(VERSION, "a shape predictor of version")
    width = -cursor.integer()
    cursor.expect(-1, "a column vector, its negative width")
    initial = cursor.floats(width)
    count = cursor.integer()
    if count < 1:
        raise InputError(f"expected at least one forest in the dlib file, got {count}")
    forests = [_read_forest(cursor, width) for _ in range(count)]
    cursor.expect(count, "lists of pixels, as many as forests,")
    anchors = [cursor.take(cursor.integer()) for _ in forests]
    cursor.expect(count, "lists of offsets, as many as forests,")
    deltas = [cursor.floats(cursor.integer(), 2) for _ in forests]
    cursor.end()
    pixels, thresholds, leaves = (_stack(parts) for parts in zip(*forests, strict=True))
    points = leaves.reshape(*leaves.shape[:3], -1, 2)
    return ShapePredictor(initial.reshape(-1, 2), _stack(anchors), _stack(deltas), pixels, thresholds, points)


def _read_forest(cursor: Cursor, width: int) -> tuple[IntArray, FloatArray, FloatArray]:
    """Read pixels (T, S, 2), thresholds (T, S), leaves (T, S + 1, width) of trees of one size."""
    trees, splits = cursor.integer(), cursor.peek()
    sizes = (1, 4 * splits, 1, (splits + 1) * (2 + 2 * width))
    block = cursor.take(trees * sum(sizes)).reshape(trees, -1)
    count, nodes, leaf_count, leaves = np.split(block, np.cumsum(sizes)[:-1], axis=1)
    nodes = nodes.reshape(trees, splits, 4)
    leaves = leaves.reshape(trees, splits + 1, 2 + 2 * width)
    odd = (count != splits).any() or (leaf_count != splits + 1).any()
    if odd or (leaves[..., :2] != (-width, -1)).any():
        raise InputError(f"expected all trees to have {splits} splits and leaves of {width} numbers")
    values = to_floats(leaves[..., 2:].reshape(trees, splits + 1, width, 2))
    return nodes[..., :2], to_floats(nodes[..., 2:]), values


def _stack(parts: Sequence[npt.NDArray]) -> npt.NDArray:
    if len({part.shape for part in parts}) != 1:
        raise InputError("expected all forests of the dlib file to be of one size")
    return np.stack(parts)


def write(predictor: ShapePredictor) -> bytes:
    """Return the content of a file that dlib loads, identical to the file that a predictor was read from."""
    forests, trees, splits = predictor.thresholds.shape
    width = predictor.initial.size
    nodes = np.concatenate([predictor.pixels, from_floats(predictor.thresholds)], axis=-1)
    leaves = from_floats(predictor.leaves).reshape(forests, trees, splits + 1, 2 * width)
    columns = _prepend(-width, _prepend(-1, leaves))
    grown = np.concatenate([_with_length(nodes, splits), _with_length(columns, splits + 1)], axis=-1)
    deltas = from_floats(predictor.deltas).reshape(forests, -1, 4)
    parts = (
        np.array([VERSION, -width, -1]),
        from_floats(predictor.initial),
        _with_length(_with_length(grown, trees), forests),
        _with_length(_prepend(predictor.anchors.shape[1], predictor.anchors), forests),
        _with_length(_with_length(deltas, deltas.shape[1]), forests),
    )
    return pack(np.concatenate([part.ravel() for part in parts]))


def _prepend(value: int, rows: IntArray) -> IntArray:
    """Put ``value`` in front of each row (..., N): (..., 1 + N)."""
    return np.concatenate([np.full((*rows.shape[:-1], 1), value, np.int64), rows], axis=-1)


def _with_length(items: IntArray, count: int) -> IntArray:
    """Flatten lists (..., count, N) of items to rows (..., 1 + count · N) that begin with their length."""
    return _prepend(count, items.reshape(*items.shape[:-2], -1))


def unpack(data: bytes) -> Int64Array:
    """Return all integers (N,) of a file.

    Raises:
        InputError: the data are cut short or are not packed integers.
    """
    starts = np.fromiter(_starts(data), np.int64)
    stream = np.frombuffer(data, np.uint8)
    size = (stream[starts] & ~np.uint8(_SIGN)).astype(np.int64)
    wrong = (size < 1) | (size > 8)
    if wrong.any():
        raise InputError(
            f"expected an integer of 1 to 8 bytes at byte {starts[wrong.argmax()]}; is this dlib's?"
        )
    if len(starts) and starts[-1] + size[-1] >= len(stream):
        raise InputError("the dlib file ends within a number; get a whole copy")
    values = np.zeros(len(starts), np.int64)
    for place in range(int(size.max(initial=0))):
        long_enough = size > place
        byte = stream[starts[long_enough] + place + 1].astype(np.int64)
        values[long_enough] |= byte << (8 * place)
    return np.where(stream[starts] & _SIGN, -values, values)


def _starts(data: bytes) -> Iterator[int]:
    """Yield the offset of each integer."""
    at, end = 0, len(data)
    while at < end:
        yield at
        at += 1 + (data[at] & _SIZE)


def pack(values: Int64Array) -> bytes:
    """Encode integers (N,), each in as few bytes as it needs."""
    magnitude = np.abs(values).astype("<u8")
    content = magnitude.view(np.uint8).reshape(-1, 8)
    size = np.where(magnitude > 0, 8 - (content[:, ::-1] != 0).argmax(axis=1), 1)
    control = np.where(values < 0, _SIGN, 0).astype(np.uint8) | size.astype(np.uint8)
    rows = np.concatenate([control[:, None], content], axis=1)
    return rows[np.arange(9) <= size[:, None]].tobytes()


def to_floats(pairs: Int64Array) -> npt.NDArray[np.float32]:
    """Convert mantissas and exponents (..., 2) to floats (...).

    Raises:
        InputError: a number is infinite or NaN.
    """
    mantissa, exponent = pairs[..., 0], pairs[..., 1]
    if exponent.max(initial=0) >= _NOT_FINITE:
        raise InputError("expected finite numbers in the dlib file; was it trained on damaged points?")
    return np.ldexp(mantissa.astype(np.float64), exponent.astype(np.int32)).astype(np.float32)


def from_floats(values: npt.NDArray[np.floating]) -> Int64Array:
    """Convert floats (...) to mantissas and exponents (..., 2); mantissas lose their lowest zero bytes."""
    fraction, power = np.frexp(values.astype(np.float64))
    mantissa = (fraction * 2.0**_MANTISSA_BITS).astype(np.int64)
    exponent = power.astype(np.int64) - _MANTISSA_BITS
    for _ in range(8):
        round_ = mantissa & 0xFF == 0
        mantissa = np.where(round_, mantissa >> 8, mantissa)
        exponent = np.where(round_, exponent + 8, exponent)
    return np.stack([mantissa, exponent], axis=-1)

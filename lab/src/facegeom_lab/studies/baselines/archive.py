"""dlib's serialisation: everything in a file is a run of packed integers.

An integer is a control byte (its size in bytes in the low four bits, its sign in the highest one) and the
bytes of its magnitude, the lowest first. A float is two integers, a mantissa and an exponent of 2. A vector
is its length and its items; a matrix is minus its rows, minus its columns and its items by rows.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError

Int64Array = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]

_SIZE, _SIGN = 0x0F, 0x80
_MANTISSA_BITS = 24  # of a 32-bit float
_NOT_FINITE = 32000  # exponents from here on mean infinity and NaN


def unpack(data: bytes) -> Int64Array:
    """All integers (N,) of a file.

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
    """Where each integer begins."""
    at, end = 0, len(data)
    while at < end:
        yield at
        at += 1 + (data[at] & _SIZE)


def pack(values: Int64Array) -> bytes:
    """The bytes of integers (N,), each in as few as it needs."""
    magnitude = np.abs(values).astype("<u8")
    content = magnitude.view(np.uint8).reshape(-1, 8)
    size = np.where(magnitude > 0, 8 - (content[:, ::-1] != 0).argmax(axis=1), 1)
    control = np.where(values < 0, _SIGN, 0).astype(np.uint8) | size.astype(np.uint8)
    rows = np.concatenate([control[:, None], content], axis=1)
    return rows[np.arange(9) <= size[:, None]].tobytes()


def to_floats(pairs: Int64Array) -> FloatArray:
    """Floats (...) of mantissas and exponents (..., 2).

    Raises:
        InputError: one is infinite or not a number.
    """
    mantissa, exponent = pairs[..., 0], pairs[..., 1]
    if exponent.max(initial=0) >= _NOT_FINITE:
        raise InputError("expected finite numbers in the dlib file; was it trained on damaged points?")
    return np.ldexp(mantissa.astype(np.float64), exponent.astype(np.int32)).astype(np.float32)


def from_floats(values: FloatArray) -> Int64Array:
    """Mantissas and exponents (..., 2) of floats (...); a mantissa's lowest bytes are dropped while 0."""
    fraction, power = np.frexp(values.astype(np.float64))
    mantissa = (fraction * 2.0**_MANTISSA_BITS).astype(np.int64)
    exponent = power.astype(np.int64) - _MANTISSA_BITS
    for _ in range(8):
        round_ = mantissa & 0xFF == 0
        mantissa = np.where(round_, mantissa >> 8, mantissa)
        exponent = np.where(round_, exponent + 8, exponent)
    return np.stack([mantissa, exponent], axis=-1)


class Cursor:
    """Takes integers, floats and shapes off an unpacked file in the order of its items."""

    def __init__(self, values: Int64Array) -> None:
        self._values, self._at = values, 0

    def take(self, count: int) -> Int64Array:
        """The next ``count`` integers."""
        left = len(self._values) - self._at
        if not 0 <= count <= left:
            raise InputError(f"expected {count} more numbers in the dlib file, got {left}; get a whole copy")
        self._at += count
        return self._values[self._at - count : self._at]

    def integer(self) -> int:
        """The next integer."""
        return int(self.take(1)[0])

    def floats(self, *shape: int) -> FloatArray:
        """The next floats of a shape."""
        return to_floats(self.take(2 * int(np.prod(shape))).reshape(*shape, 2))

    def expect(self, wanted: int, what: str) -> None:
        """The next integer must be ``wanted``."""
        found = self.integer()
        if found != wanted:
            raise InputError(f"expected {what} {wanted} in the dlib file, got {found}")

    def peek(self) -> int:
        """The next integer, which stays."""
        value = self.integer()
        self._at -= 1
        return value

    def end(self) -> None:
        """Nothing may be left."""
        left = len(self._values) - self._at
        if left:
            raise InputError(f"expected the end of the dlib file, got {left} more numbers")

"""Canonical Huffman coding of integers: arrays to bytes and back, bit for bit.

A stream is a header (number of values, symbols, length of each symbol's code), the number of bits of each
lane, then the bits. A lane is a run of ``LANE`` values. The decoder decodes all lanes in parallel, one table
look-up per step for all of them, so that it needs ``LANE`` steps for any number of values.

D. Huffman, "A method for the construction of minimum-redundancy codes", Proc. IRE 1952; canonical codes as in
E. Schwartz and B. Kallick, "Generating a canonical prefix encoding", CACM 1964.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError

IntArray = npt.NDArray[np.integer]
Int64Array = npt.NDArray[np.int64]

MAX_BITS = 16
"""Length of the longest code: a table over all words of this length decodes any symbol in one step."""

LANE = 1024
"""Values decoded in sequence."""

_CHUNK = 1 << 16  # values whose bits are unpacked at a time, 16 bytes each


def encode(values: IntArray) -> bytes:
    """Encode integers of any shape as a stream; the shape is not stored.

    Raises:
        InputError: not integers, beyond signed 64 bits, or more than 65,536 distinct values.
    """
    flat = _as_int64(values)
    symbols, kinds, counts = np.unique(flat, return_inverse=True, return_counts=True)
    if len(symbols) > 1 << MAX_BITS:
        raise InputError(
            f"expected at most {1 << MAX_BITS:,} distinct values, got {len(symbols):,}; quantise them"
        )
    lengths = code_lengths(counts)
    ends = lengths[kinds].cumsum(dtype=np.int64)
    lane_bits = np.diff(np.append(ends[LANE - 1 : -1 : LANE], ends[-1:]), prepend=0)
    header = _header(len(flat), symbols, lengths)
    return header + lane_bits.astype("<u2").tobytes() + _bits(lengths, kinds)


def decode(stream: bytes) -> Int64Array:
    """Decode the values (N,) of a stream of :func:`encode`.

    Raises:
        InputError: the stream is cut short, has trailing bytes, or is none.
    """
    reader = _Reader(stream)
    count, symbols, lengths = _read_header(reader)
    lanes = np.frombuffer(reader.take(2 * -(-count // LANE)), "<u2").astype(np.int64)
    body = np.frombuffer(reader.take(-(-int(lanes.sum()) // 8)), np.uint8)
    reader.end()
    if len(symbols) < 2:
        return np.repeat(symbols, count)
    return symbols[_decode_lanes(body, lanes, lengths, min(count, LANE))[:count]]


def code_lengths(counts: IntArray) -> npt.NDArray[np.uint8]:
    """Return the code length (S,) of each symbol, at most ``MAX_BITS``, from its count (S,), at least 1.

    Optimal under that limit; a single symbol takes no bits. L. Larmore and D. Hirschberg, "A fast
    algorithm for optimal length-limited Huffman codes", JACM 1990 (package-merge).
    """
    order = np.argsort(counts, kind="stable")
    level, leaf_marks = counts[order], [np.ones(len(counts), bool)]
    for _ in range(MAX_BITS - 1):
        items = np.concatenate([counts[order], level[: len(level) // 2 * 2].reshape(-1, 2).sum(axis=1)])
        sequence = np.argsort(items, kind="stable")
        level = items[sequence]
        leaf_marks.append(sequence < len(counts))
    lengths = np.zeros(len(counts), np.uint8)
    taken = 2 * len(counts) - 2
    for marks in reversed(leaf_marks):
        leaves = int(marks[: max(taken, 0)].sum())
        lengths[order[:leaves]] += 1
        taken = 2 * (taken - leaves)
    return lengths


def join(parts: Sequence[bytes]) -> bytes:
    """Join several streams, each after its length; see :func:`split`."""
    return b"".join(_varint(len(part)) + part for part in parts)


def split(joined: bytes) -> list[bytes]:
    """Return the streams given to :func:`join`.

    Raises:
        InputError: ``joined`` is cut short.
    """
    reader, parts = _Reader(joined), []
    while reader.left:
        parts.append(reader.take(reader.varint()))
    return parts


class _Reader:
    """Reads bytes and variable-length integers of a stream; raises InputError at a premature end."""

    def __init__(self, stream: bytes) -> None:
        self._stream, self._at = stream, 0

    @property
    def left(self) -> int:
        """Number of unread bytes."""
        return len(self._stream) - self._at

    def take(self, count: int) -> bytes:
        """Read the next ``count`` bytes."""
        if count > self.left:
            raise InputError(f"expected {count} more bytes of coded data, got {self.left}; get a whole copy")
        self._at += count
        return self._stream[self._at - count : self._at]

    def varint(self) -> int:
        """Read the next number of any size, seven bits a byte, lowest first (LEB128)."""
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def end(self) -> None:
        """Raise InputError if bytes are left."""
        if self.left:
            raise InputError(f"expected the end of the coded data, got {self.left} more bytes")


def _as_int64(values: IntArray) -> Int64Array:
    if values.dtype.kind not in "iu":
        raise InputError(f"expected integers to code, got {values.dtype}; quantise them")
    if values.size and values.max() > np.iinfo(np.int64).max:
        raise InputError(f"expected integers below 2^63, got {values.max()}")
    return values.ravel().astype(np.int64)


def _canonical(lengths: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.intp], Int64Array]:
    """Return the symbols (S,) sorted by code length, and their codes with the end of the last, (S + 1,).

    Codes are left-aligned in ``MAX_BITS`` bits: each is the sum of the ranges of those before it.
    """
    order = np.argsort(lengths, kind="stable")
    spans = np.int64(1) << (MAX_BITS - lengths[order].astype(np.int64))
    return order, np.concatenate([np.zeros(1, np.int64), spans.cumsum()])


def _bits(lengths: npt.NDArray[np.uint8], kinds: IntArray) -> bytes:
    """Concatenate the codes of symbols ``kinds`` (N,); the last byte is padded with zeros."""
    order, words = _canonical(lengths)
    codes = np.empty(len(lengths), ">u2")
    codes[order] = words[:-1]
    spread = np.unpackbits(codes.view(np.uint8).reshape(-1, MAX_BITS // 8), axis=1)
    used = np.arange(MAX_BITS) < lengths[:, None]
    chunks = (kinds[start : start + _CHUNK] for start in range(0, len(kinds), _CHUNK))
    bits = [spread[chunk][used[chunk]] for chunk in chunks]
    return np.packbits(np.concatenate(bits)).tobytes() if bits else b""


def _table(lengths: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.intp], int]:
    """Return the first symbol of each word of ``longest`` bits, and ``longest``."""
    order, words = _canonical(lengths)
    if words[-1] != 1 << MAX_BITS:
        raise _damaged("their code lengths make no tree")
    longest = int(lengths.max())
    return np.repeat(order, np.diff(words) >> (MAX_BITS - longest)), longest


def _decode_lanes(
    body: npt.NDArray[np.uint8], lane_bits: Int64Array, lengths: npt.NDArray[np.uint8], steps: int
) -> IntArray:
    """Decode the symbols of all lanes, concatenated; the last lane may run past its end."""
    table, longest = _table(lengths)
    padded = np.concatenate([body, np.zeros(LANE * MAX_BITS // 8 + 3, np.uint8)]).astype(np.uint32)
    windows = padded[:-2] << 16 | padded[1:-1] << 8 | padded[2:]  # 24 bits from each byte onwards
    at = lane_bits.cumsum() - lane_bits
    found = np.empty((steps, len(lane_bits)), table.dtype)
    for step in range(steps):
        shift = (24 - longest - (at & 7)).astype(np.uint32)
        found[step] = table[windows[at >> 3] >> shift & np.uint32((1 << longest) - 1)]
        at += lengths[found[step]]
    return found.T.ravel()


def _header(count: int, symbols: Int64Array, lengths: npt.NDArray[np.uint8]) -> bytes:
    head = _varint(count) + _varint(len(symbols))
    if not len(symbols):
        return head
    first = int(symbols[0])
    gaps = b"".join(_varint(after - before) for before, after in pairwise(symbols.tolist()))
    return head + _varint(2 * first if first >= 0 else -2 * first - 1) + gaps + lengths.tobytes()


def _read_header(reader: _Reader) -> tuple[int, Int64Array, npt.NDArray[np.uint8]]:
    count, kinds = reader.varint(), reader.varint()
    if kinds > min(count, 1 << MAX_BITS) or (count and not kinds):
        raise _damaged(f"{count} values of {kinds} kinds")
    steps = [reader.varint() for _ in range(kinds)]
    if steps:
        steps[0] = -(steps[0] + 1) // 2 if steps[0] % 2 else steps[0] // 2
    symbols = list(accumulate(steps))
    lengths = np.frombuffer(reader.take(kinds), np.uint8)
    limits = np.iinfo(np.int64)
    if symbols and not (limits.min <= symbols[0] and symbols[-1] <= limits.max and lengths.max() <= MAX_BITS):
        raise _damaged("symbols or code lengths are too large")
    return count, np.array(symbols, np.int64), lengths


def _damaged(what: str) -> InputError:
    return InputError(f"the coded data are damaged ({what}); get a whole copy")


def _varint(value: int) -> bytes:
    """Encode a number of at least 0, seven bits a byte, lowest first (LEB128)."""
    head = bytearray()
    while value > 127:
        head.append(value & 127 | 128)
        value >>= 7
    return bytes([*head, value])

"""Canonical Huffman coding of integers: arrays to bytes and back, bit for bit.

A stream is a header (how many values, which symbols, the length of each one's code), the number of bits of
each lane, then the bits. A lane is a run of ``LANE`` values. The decoder walks all lanes abreast, one table
look-up a step for all of them, so that it needs ``LANE`` steps however many values there are.

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

LONGEST = 16
"""Bits of the longest code: a table over all words of this length decodes any symbol in one step."""

LANE = 1024
"""Values that are decoded one after the other."""

_CHUNK = 1 << 16  # values whose bits are spread out at a time, 16 bytes each


def encode(values: IntArray) -> bytes:
    """Integers of any shape to a stream; the shape is not kept.

    Raises:
        InputError: not integers, beyond 64 bits with a sign, or of more than 65,536 kinds.
    """
    flat = _as_int64(values)
    symbols, kinds, counts = np.unique(flat, return_inverse=True, return_counts=True)
    if len(symbols) > 1 << LONGEST:
        raise InputError(
            f"expected at most {1 << LONGEST:,} kinds of values, got {len(symbols):,}; quantise them"
        )
    lengths = code_lengths(counts)
    ends = lengths[kinds].cumsum(dtype=np.int64)
    lane_bits = np.diff(np.append(ends[LANE - 1 : -1 : LANE], ends[-1:]), prepend=0)
    header = _header(len(flat), symbols, lengths)
    return header + lane_bits.astype("<u2").tobytes() + _bits(lengths, kinds)


def decode(stream: bytes) -> Int64Array:
    """The values (N,) of a stream made by :func:`encode`.

    Raises:
        InputError: the stream is cut short, has something behind its end, or was never one.
    """
    reader = _Reader(stream)
    count, symbols, lengths = _read_header(reader)
    lanes = np.frombuffer(reader.take(2 * -(-count // LANE)), "<u2").astype(np.int64)
    body = np.frombuffer(reader.take(-(-int(lanes.sum()) // 8)), np.uint8)
    reader.end()
    if len(symbols) < 2:
        return np.repeat(symbols, count)
    return symbols[_walk(body, lanes, lengths, min(count, LANE))[:count]]


def code_lengths(counts: IntArray) -> npt.NDArray[np.uint8]:
    """Bits (S,) of each symbol's code, at most ``LONGEST``, from how often (S,) each occurs, at least once.

    The shortest in all under that limit; a single symbol takes none. L. Larmore and D. Hirschberg, "A fast
    algorithm for optimal length-limited Huffman codes", JACM 1990 (package-merge).
    """
    order = np.argsort(counts, kind="stable")
    level, leaf_marks = counts[order], [np.ones(len(counts), bool)]
    for _ in range(LONGEST - 1):
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
    """Several streams in one, each after its length; see :func:`split`."""
    return b"".join(_varint(len(part)) + part for part in parts)


def split(joined: bytes) -> list[bytes]:
    """The streams of :func:`join`.

    Raises:
        InputError: ``joined`` is cut short.
    """
    reader, parts = _Reader(joined), []
    while reader.left:
        parts.append(reader.take(reader.varint()))
    return parts


class _Reader:
    """Takes bytes and variable-length integers off a stream, and says when it is cut short."""

    def __init__(self, stream: bytes) -> None:
        self._stream, self._at = stream, 0

    @property
    def left(self) -> int:
        """Bytes that are still to be read."""
        return len(self._stream) - self._at

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        if count > self.left:
            raise InputError(f"expected {count} more bytes of coded data, got {self.left}; get a whole copy")
        self._at += count
        return self._stream[self._at - count : self._at]

    def varint(self) -> int:
        """The next number of any size, seven bits a byte, the lowest first (LEB128)."""
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def end(self) -> None:
        """Nothing may be left."""
        if self.left:
            raise InputError(f"expected the end of the coded data, got {self.left} more bytes")


def _as_int64(values: IntArray) -> Int64Array:
    if values.dtype.kind not in "iu":
        raise InputError(f"expected integers to code, got {values.dtype}; quantise them")
    if values.size and values.max() > np.iinfo(np.int64).max:
        raise InputError(f"expected integers below 2^63, got {values.max()}")
    return values.ravel().astype(np.int64)


def _canonical(lengths: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.intp], Int64Array]:
    """Symbols (S,) by length of code, and their codes followed by the end of all, (S + 1,).

    Codes are at the upper end of ``LONGEST`` bits. So written, each is the sum of what those before it span.
    """
    order = np.argsort(lengths, kind="stable")
    spans = np.int64(1) << (LONGEST - lengths[order].astype(np.int64))
    return order, np.concatenate([np.zeros(1, np.int64), spans.cumsum()])


def _bits(lengths: npt.NDArray[np.uint8], kinds: IntArray) -> bytes:
    """The codes of symbols ``kinds`` (N,) one after the other; the last byte is filled with zeros."""
    order, words = _canonical(lengths)
    codes = np.empty(len(lengths), ">u2")
    codes[order] = words[:-1]
    spread = np.unpackbits(codes.view(np.uint8).reshape(-1, LONGEST // 8), axis=1)
    used = np.arange(LONGEST) < lengths[:, None]
    chunks = (kinds[start : start + _CHUNK] for start in range(0, len(kinds), _CHUNK))
    bits = [spread[chunk][used[chunk]] for chunk in chunks]
    return np.packbits(np.concatenate(bits)).tobytes() if bits else b""


def _table(lengths: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.intp], int]:
    """The symbol that each word of ``longest`` bits starts with, and ``longest``."""
    order, words = _canonical(lengths)
    if words[-1] != 1 << LONGEST:
        raise _damaged("their code lengths make no tree")
    longest = int(lengths.max())
    return np.repeat(order, np.diff(words) >> (LONGEST - longest)), longest


def _walk(
    body: npt.NDArray[np.uint8], lane_bits: Int64Array, lengths: npt.NDArray[np.uint8], steps: int
) -> IntArray:
    """Symbols of all lanes, one lane after the other; the last one goes on into nothing behind its end."""
    table, longest = _table(lengths)
    padded = np.concatenate([body, np.zeros(LANE * LONGEST // 8 + 3, np.uint8)]).astype(np.uint32)
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
    if kinds > min(count, 1 << LONGEST) or (count and not kinds):
        raise _damaged(f"{count} values of {kinds} kinds")
    steps = [reader.varint() for _ in range(kinds)]
    if steps:
        steps[0] = -(steps[0] + 1) // 2 if steps[0] % 2 else steps[0] // 2
    symbols = list(accumulate(steps))
    lengths = np.frombuffer(reader.take(kinds), np.uint8)
    limits = np.iinfo(np.int64)
    if symbols and not (limits.min <= symbols[0] and symbols[-1] <= limits.max and lengths.max() <= LONGEST):
        raise _damaged("symbols or code lengths are too large")
    return count, np.array(symbols, np.int64), lengths


def _damaged(what: str) -> InputError:
    return InputError(f"the coded data are damaged ({what}); get a whole copy")


def _varint(value: int) -> bytes:
    """A number of at least 0, seven bits a byte, the lowest first (LEB128)."""
    head = bytearray()
    while value > 127:
        head.append(value & 127 | 128)
        value >>= 7
    return bytes([*head, value])

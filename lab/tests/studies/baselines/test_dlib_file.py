"""dlib's files: packed numbers, a file written by hand, one written by dlib, and damaged ones."""

from collections.abc import Callable
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facegeom.errors import InputError
from facegeom_lab.studies.baselines import dlib_file

INTEGERS = [
    (0, [1, 0]),
    (1, [1, 1]),
    (-1, [0x81, 1]),
    (255, [1, 255]),
    (256, [2, 0, 1]),
    (-70000, [0x83, 0x70, 0x11, 0x01]),
    (2**63 - 1, [8, *[255] * 7, 127]),
]


@pytest.mark.parametrize(("value", "expected"), INTEGERS)
def test_integers_by_hand(value: int, expected: list[int]) -> None:
    assert dlib_file.pack(np.array([value])) == bytes(expected)
    assert dlib_file.unpack(bytes(expected)).tolist() == [value]


@given(hnp.arrays(np.int64, st.integers(0, 30), elements=st.integers(1 - 2**63, 2**63 - 1)))
def test_integers_back_and_forth(values: np.ndarray) -> None:
    np.testing.assert_array_equal(dlib_file.unpack(dlib_file.pack(values)), values)


@pytest.mark.parametrize(
    ("value", "pair"),
    [(1.0, (0x80, -7)), (-0.75, (-0xC0, -8)), (0.1, (13421773, -27)), (3e10, (0xDF8476, 11)), (0.0, (0, 40))],
)
def test_floats_by_hand(value: float, pair: tuple[int, int]) -> None:
    """The mantissa has 24 bits, without its lowest bytes while they are zero."""
    assert dlib_file.from_floats(np.array(value, np.float32)).tolist() == list(pair)
    assert dlib_file.to_floats(np.array(pair)) == np.float32(value)


@given(hnp.arrays(np.float32, (3, 2), elements=st.floats(-(2.0**99), 2.0**99, width=32)))
def test_floats_back_and_forth(values: np.ndarray) -> None:
    np.testing.assert_array_equal(dlib_file.to_floats(dlib_file.from_floats(values)), values)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x02\x01", "ends within a number"),
        (b"\x01\x01\x04", "ends within a number"),
        (b"\x01\x05\x00", "integer of 1 to 8 bytes at byte 2"),
        (b"PNG", "integer of 1 to 8 bytes at byte 0"),
    ],
)
def test_damaged_integers(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        dlib_file.unpack(data)


@pytest.mark.parametrize("exponent", [32000, 32001, 32002])
def test_numbers_that_are_not_finite(exponent: int) -> None:
    with pytest.raises(InputError, match="expected finite numbers"):
        dlib_file.to_floats(np.array([[5, 3], [0, exponent]]))


def test_cursor() -> None:
    cursor = dlib_file.Cursor(np.array([7, 3, -1, 3, 0]))  # 3 · 2^-1, 3 · 2^0
    assert (cursor.peek(), cursor.integer()) == (7, 7)
    assert cursor.floats(2, 1).tolist() == [[1.5], [3.0]]


@pytest.mark.parametrize(
    ("values", "use", "message"),
    [
        ([], lambda cursor: cursor.integer(), "expected 1 more numbers in the dlib file, got 0"),
        ([4], lambda cursor: cursor.take(-1), "expected -1 more numbers"),
        ([4], lambda cursor: cursor.expect(5, "version"), "expected version 5 in the dlib file, got 4"),
        ([4, 4], lambda cursor: cursor.end(), "expected the end of the dlib file, got 2 more"),
    ],
)
def test_cursor_refuses(values: list[int], use: Callable[[dlib_file.Cursor], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        use(dlib_file.Cursor(np.array(values, np.int64)))


def integer(value: int) -> bytes:
    size = max((abs(value).bit_length() + 7) // 8, 1)
    return bytes([size | (128 if value < 0 else 0)]) + abs(value).to_bytes(size, "little")


def number(value: float) -> bytes:
    """Encode a multiple of 1/4096."""
    return integer(round(value * 4096)) + integer(-12)


def split(first: int, second: int, threshold: float) -> bytes:
    return integer(first) + integer(second) + number(threshold)


def leaf(*values: float) -> bytes:
    return integer(-len(values)) + integer(-1) + b"".join(map(number, values))


def tree(splits: list[bytes], leaves: list[bytes]) -> bytes:
    return integer(len(splits)) + b"".join(splits) + integer(len(leaves)) + b"".join(leaves)


def vector(items: list[bytes]) -> bytes:
    return integer(len(items)) + b"".join(items)


def by_hand(**changes: bytes) -> bytes:
    """Two forests of one tree with three splits, for two points and three pixels."""
    leaves = [leaf(0.25 * i, 0, -0.5, 1) for i in range(4)]
    parts = {
        "version": integer(1),
        "initial": leaf(0.25, 0.5, 0.75, 0.5),
        "first": vector([tree([split(0, 1, 7.5), split(1, 2, -3), split(2, 0, 0.25)], leaves)]),
        "second": vector([tree([split(2, 1, 1), split(0, 0, 0), split(1, 0, -60)], leaves[::-1])]),
        "anchors": vector([vector([integer(i) for i in row]) for row in ([0, 1, 0], [1, 1, 1])]),
        "deltas": vector([vector([number(0.125) + number(-0.5)] * 3)] * 2),
        "end": b"",
    } | changes
    names = ("version", "initial", "count", "first", "second", "anchors", "deltas", "end")
    return b"".join(({"count": integer(2)} | parts)[name] for name in names)


def read(folder: Path, content: bytes) -> dlib_file.ShapePredictor:
    file = folder / "trees.dat"
    file.write_bytes(content)
    return dlib_file.read(file)


def test_a_file_by_hand(tmp_path: Path) -> None:
    found = read(tmp_path, by_hand())
    assert found.initial.tolist() == [[0.25, 0.5], [0.75, 0.5]]
    assert found.pixels.tolist() == [[[[0, 1], [1, 2], [2, 0]]], [[[2, 1], [0, 0], [1, 0]]]]
    assert found.thresholds.tolist() == [[[7.5, -3, 0.25]], [[1, 0, -60]]]
    assert found.leaves.shape == (2, 1, 4, 2, 2)
    assert found.leaves[0, 0, 3].tolist() == found.leaves[1, 0, 0].tolist() == [[0.75, 0], [-0.5, 1]]
    assert found.anchors.tolist() == [[0, 1, 0], [1, 1, 1]]
    assert found.deltas.tolist() == [[[0.125, -0.5]] * 3] * 2


def test_dlibs_file_comes_out_as_it_was(tmp_path: Path, dlib_content: bytes) -> None:
    assert dlib_file.write(read(tmp_path, dlib_content)) == dlib_content


LEAVES = [leaf(0, 0, 0, 0)] * 2
WIDE = [integer(-5) + integer(-1) + number(0) * 4] * 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (by_hand(version=integer(2)), "a shape predictor of version 1 in the dlib file, got 2"),
        (
            by_hand(initial=integer(-4) + integer(-2) + number(0) * 8),
            "negative width -1 in the dlib file, got -2",
        ),
        (by_hand(second=vector([tree([split(0, 1, 0)], LEAVES)])), "to be of one size"),
        (by_hand(second=vector([tree([split(0, 1, 0)], WIDE)])), "1 splits and leaves of 4 numbers"),
        (by_hand(count=integer(1)), "as many as forests, 1"),
        (
            by_hand(count=integer(0), first=b"", second=b"", anchors=integer(0), deltas=integer(0)),
            "at least one forest in the dlib file, got 0",
        ),
        (by_hand(deltas=vector([vector([number(0) * 2] * 3)])), "lists of offsets, as many as forests, 2"),
        (by_hand(end=integer(0)), "expected the end of the dlib file, got 1 more"),
        (by_hand()[:-5], "expected 12 more numbers"),
        (by_hand()[:-1], "ends within a number"),
        (b"\x89PNG", "is this dlib's"),
        (b"", "expected 1 more numbers in the dlib file, got 0"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, content)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected dlib's shape predictor at .*none\.dat, found nothing"):
        dlib_file.read(tmp_path / "none.dat")

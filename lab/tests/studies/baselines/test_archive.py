"""dlib's packed numbers: bytes by hand, back and forth, damaged ones refused."""

from collections.abc import Callable

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facegeom.errors import InputError
from facegeom_lab.studies.baselines import archive

BY_HAND = [
    (0, [1, 0]),
    (1, [1, 1]),
    (-1, [0x81, 1]),
    (255, [1, 255]),
    (256, [2, 0, 1]),
    (-70000, [0x83, 0x70, 0x11, 0x01]),
    (2**63 - 1, [8, *[255] * 7, 127]),
]


@pytest.mark.parametrize(("value", "expected"), BY_HAND)
def test_integers_by_hand(value: int, expected: list[int]) -> None:
    assert archive.pack(np.array([value])) == bytes(expected)
    assert archive.unpack(bytes(expected)).tolist() == [value]


@given(hnp.arrays(np.int64, st.integers(0, 30), elements=st.integers(1 - 2**63, 2**63 - 1)))
def test_integers_back_and_forth(values: np.ndarray) -> None:
    np.testing.assert_array_equal(archive.unpack(archive.pack(values)), values)


@pytest.mark.parametrize(
    ("value", "pair"),
    [(1.0, (0x80, -7)), (-0.75, (-0xC0, -8)), (0.1, (13421773, -27)), (3e10, (0xDF8476, 11)), (0.0, (0, 40))],
)
def test_floats_by_hand(value: float, pair: tuple[int, int]) -> None:
    """The mantissa has 24 bits, without its lowest bytes while they are zero."""
    assert archive.from_floats(np.array(value, np.float32)).tolist() == list(pair)
    assert archive.to_floats(np.array(pair)) == np.float32(value)


@given(hnp.arrays(np.float32, (3, 2), elements=st.floats(-(2.0**99), 2.0**99, width=32)))
def test_floats_back_and_forth(values: np.ndarray) -> None:
    np.testing.assert_array_equal(archive.to_floats(archive.from_floats(values)), values)


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
        archive.unpack(data)


@pytest.mark.parametrize("exponent", [32000, 32001, 32002])
def test_numbers_that_are_not_finite(exponent: int) -> None:
    with pytest.raises(InputError, match="expected finite numbers"):
        archive.to_floats(np.array([[5, 3], [0, exponent]]))


def test_cursor() -> None:
    cursor = archive.Cursor(np.array([7, 3, -1, 3, 0]))  # 3 · 2^-1, 3 · 2^0
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
def test_cursor_refuses(values: list[int], use: Callable[[archive.Cursor], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        use(archive.Cursor(np.array(values, np.int64)))

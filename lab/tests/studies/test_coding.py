"""Huffman streams: back bit for bit, as short as the method allows, damaged ones refused."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facegeom.errors import InputError
from facegeom_lab.studies import coding

DTYPES = st.sampled_from([np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64])


@given(hnp.arrays(DTYPES, hnp.array_shapes(max_dims=3, min_side=0, max_side=6)))
def test_back_bit_for_bit(values: np.ndarray) -> None:
    np.testing.assert_array_equal(coding.decode(coding.encode(values)), values.ravel())


@settings(max_examples=25)
@given(st.integers(0, 3 * coding.LANE), st.floats(0.3, 300), st.integers(0, 2**32 - 1))
def test_peaked_values_over_many_lanes(count: int, spread: float, seed: int) -> None:
    values = np.random.default_rng(seed).normal(0, spread, count).round().astype(np.int32)
    decoded = coding.decode(coding.encode(values))
    assert decoded.dtype == np.int64
    np.testing.assert_array_equal(decoded, values)


@pytest.mark.parametrize("count", [1, coding.LANE - 1, coding.LANE, coding.LANE + 1, 3 * coding.LANE, 70_000])
def test_every_length_of_the_last_lane(count: int) -> None:
    values = np.arange(count) % 11 * (np.arange(count) % 7)
    np.testing.assert_array_equal(coding.decode(coding.encode(values)), values)


def test_the_ends_of_64_bits() -> None:
    values = np.array([-(2**63), 2**63 - 1, 0, -1, 2**63 - 1])
    np.testing.assert_array_equal(coding.decode(coding.encode(values)), values)


def test_code_lengths_by_hand() -> None:
    counts = np.array([1, 1, 2, 4])
    assert coding.code_lengths(counts).tolist() == [3, 3, 2, 1]
    assert coding.code_lengths(np.array([9])).tolist() == [0]
    assert coding.code_lengths(np.array([], np.int64)).tolist() == []


def test_stream_by_hand() -> None:
    """b, c, d, a x 4, c: lengths a 1, c 2, b 3, d 3; codes a 0, c 10, b 110, d 111."""
    a, b, c, d = -3, 4, 5, 300
    header = [8, 4, 5, 7, 1, 128 + 39, 2]  # 8 values of 4 kinds: -3 in zigzag, +7, +1, +295 in two bytes
    bits = "11010111000010"
    body = int(bits.ljust(16, "0"), 2).to_bytes(2, "big")
    expected = bytes([*header, 1, 3, 2, 3, len(bits), 0]) + body
    assert coding.encode(np.array([b, c, d, a, a, a, a, c])) == expected


@given(st.lists(st.integers(1, 10**9), min_size=2, max_size=60))
def test_lengths_make_a_tree_near_the_entropy(counts: list[int]) -> None:
    share = np.array(counts) / sum(counts)
    lengths = coding.code_lengths(np.array(counts)).astype(int)
    assert (2.0**-lengths).sum() == 1
    assert lengths.max() <= coding.MAX_BITS
    entropy = -(share * np.log2(share)).sum()
    assert entropy - 1e-9 <= (share * lengths).sum() < entropy + 1


def test_deep_trees_are_held_to_the_longest_code() -> None:
    counts = np.array([1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597, 2584, 4181, 6765])
    lengths = coding.code_lengths(np.array(counts))
    assert lengths.max() == coding.MAX_BITS and (2.0 ** -lengths.astype(int)).sum() == 1
    values = np.repeat(np.arange(len(counts)), counts)
    np.testing.assert_array_equal(coding.decode(coding.encode(values)), values)


def test_as_many_kinds_as_there_may_be() -> None:
    values = np.random.default_rng(3).permutation(1 << coding.MAX_BITS)
    np.testing.assert_array_equal(coding.decode(coding.encode(values)), values)
    with pytest.raises(InputError, match="at most 65,536 distinct values, got 65,537; quantise"):
        coding.encode(np.arange((1 << coding.MAX_BITS) + 1))


def test_equal_values_take_almost_nothing() -> None:
    assert len(coding.encode(np.full(10_000, 77))) < 30


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([1.0]), "expected integers to code, got float64"),
        (np.array([True]), "expected integers to code, got bool"),
        (np.array([2**63], np.uint64), r"below 2\^63, got 9223372036854775808"),
    ],
)
def test_what_cannot_be_coded(values: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        coding.encode(values)


def test_every_cut_is_noticed() -> None:
    stream = coding.encode(np.arange(3000) % 9)
    for length in range(len(stream)):
        with pytest.raises(InputError, match=r"more bytes of coded data|damaged"):
            coding.decode(stream[:length])


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (coding.encode(np.arange(5)) + b"\0", "expected the end of the coded data, got 1 more bytes"),
        (bytes([3, 0]), "3 values of 0 kinds"),
        (bytes([1, 2, 0, 1, 1, 1, 2, 0, 0]), "1 values of 2 kinds"),
        (bytes([2, 2, 0, 1, 1, 2, 3, 0, 0]), "make no tree"),
        (bytes([2, 2, 0, 1, 1, 17, 3, 0, 0]), "too large"),
        (bytes([1, 1, *[255] * 9, 2, 0, 0, 0]), "too large"),
        (bytes([1, 1, 254, *[255] * 8, 2, 0, 0, 0]), "too large"),
    ],
)
def test_damaged_streams(stream: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        coding.decode(stream)


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_parts_joined_and_split(parts: list[bytes]) -> None:
    assert coding.split(coding.join(parts)) == parts


def test_a_joined_stream_cut_short() -> None:
    with pytest.raises(InputError, match="expected 5 more bytes of coded data, got 4"):
        coding.split(coding.join([b"abc", b"abcde"])[:-1])

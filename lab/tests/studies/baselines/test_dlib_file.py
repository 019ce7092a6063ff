"""dlib's files: one written by hand, one written by dlib, and what is no such file."""

from pathlib import Path

import pytest

from facegeom.errors import InputError
from facegeom_lab.studies.baselines import dlib_file


def integer(value: int) -> bytes:
    size = max((abs(value).bit_length() + 7) // 8, 1)
    return bytes([size | (128 if value < 0 else 0)]) + abs(value).to_bytes(size, "little")


def number(value: float) -> bytes:
    """A multiple of 1/4096."""
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

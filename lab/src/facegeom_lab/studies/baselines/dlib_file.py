"""Shape predictors in dlib's own files (``.dat``): read into arrays, and written so that dlib loads them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError
from facegeom_lab.studies.baselines import archive
from facegeom_lab.studies.baselines.shape_predictor import FloatArray, IntArray, ShapePredictor

VERSION = 1


def read(path: Path) -> ShapePredictor:
    """A predictor that dlib has written.

    Raises:
        InputError: the file is missing, cut short, no shape predictor, or its trees are of several sizes.
    """
    if not path.is_file():
        raise InputError(f"expected dlib's shape predictor at {path}, found nothing")
    cursor = archive.Cursor(archive.unpack(path.read_bytes()))
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


def _read_forest(cursor: archive.Cursor, width: int) -> tuple[IntArray, FloatArray, FloatArray]:
    """Pixels (T, S, 2), thresholds (T, S), leaves (T, S + 1, width); all trees are like the first."""
    trees, splits = cursor.integer(), cursor.peek()
    sizes = (1, 4 * splits, 1, (splits + 1) * (2 + 2 * width))
    block = cursor.take(trees * sum(sizes)).reshape(trees, -1)
    count, nodes, leaf_count, leaves = np.split(block, np.cumsum(sizes)[:-1], axis=1)
    nodes = nodes.reshape(trees, splits, 4)
    leaves = leaves.reshape(trees, splits + 1, 2 + 2 * width)
    odd = (count != splits).any() or (leaf_count != splits + 1).any()
    if odd or (leaves[..., :2] != (-width, -1)).any():
        raise InputError(f"expected all trees to have {splits} splits and leaves of {width} numbers")
    values = archive.to_floats(leaves[..., 2:].reshape(trees, splits + 1, width, 2))
    return nodes[..., :2], archive.to_floats(nodes[..., 2:]), values


def _stack(parts: Sequence[npt.NDArray]) -> npt.NDArray:
    if len({part.shape for part in parts}) != 1:
        raise InputError("expected all forests of the dlib file to be of one size")
    return np.stack(parts)


def write(predictor: ShapePredictor) -> bytes:
    """The content of a file that dlib loads; what dlib wrote comes out as it was."""
    forests, trees, splits = predictor.thresholds.shape
    width = predictor.initial.size
    nodes = np.concatenate([predictor.pixels, archive.from_floats(predictor.thresholds)], axis=-1)
    leaves = archive.from_floats(predictor.leaves).reshape(forests, trees, splits + 1, 2 * width)
    columns = _after(-width, _after(-1, leaves))
    grown = np.concatenate([_counted(nodes, splits), _counted(columns, splits + 1)], axis=-1)
    deltas = archive.from_floats(predictor.deltas).reshape(forests, -1, 4)
    parts = (
        np.array([VERSION, -width, -1]),
        archive.from_floats(predictor.initial),
        _counted(_counted(grown, trees), forests),
        _counted(_after(predictor.anchors.shape[1], predictor.anchors), forests),
        _counted(_counted(deltas, deltas.shape[1]), forests),
    )
    return archive.pack(np.concatenate([part.ravel() for part in parts]))


def _after(value: int, rows: IntArray) -> IntArray:
    """Rows (..., N) with ``value`` in front of each: (..., 1 + N)."""
    return np.concatenate([np.full((*rows.shape[:-1], 1), value, np.int64), rows], axis=-1)


def _counted(items: IntArray, count: int) -> IntArray:
    """Lists (..., count, N) of items as flat rows (..., 1 + count · N) that begin with their length."""
    return _after(count, items.reshape(*items.shape[:-2], -1))

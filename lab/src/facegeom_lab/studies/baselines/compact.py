"""Regression trees in a small file: everything is rounded to integers, and these are Huffman-coded.

Nearly all of a predictor are its leaves, vectors over all points, and points move together. So the leaves are
first turned onto the axes of their own scatter, where most coordinates are almost nothing, and those are
rounded to a common step. Axes with less scatter than the rounding itself makes are left out (reverse
water-filling; Cover and Thomas, "Elements of Information Theory", section 10.3), and of each leaf the zeros
behind its last other number. Grey levels are whole, so that rounding the thresholds down changes no answer.
"""

import json
from dataclasses import asdict, dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError
from facegeom_lab.studies import coding
from facegeom_lab.studies.baselines.shape_predictor import ShapePredictor

IntArray = npt.NDArray[np.integer]

MAGIC = b"fgtrees1"
SHAPE_UNIT = 2.0**-14
"""Of the mean shape, sides of the box."""
DELTA_UNIT = 2.0**-12
"""Of a pixel's offset from its point, sides of the box."""
AXIS_UNIT = 2.0**-12
"""Of the axes' components."""


@dataclass(frozen=True, eq=False)
class CompactTrees:
    """A :class:`ShapePredictor` in integers: its arrays in the units above, the leaves along R axes.

    Attributes:
        initial: (K, 2).
        anchors: (C, P).
        deltas: (C, P, 2).
        pixels: (C, T, S, 2).
        thresholds: (C, T, S) whole grey levels.
        axes: (R, 2 K), orthonormal but for rounding, the one of the largest scatter first.
        leaves: (C, T, S + 1, R) along the axes, in units of ``leaf_unit``.
        leaf_unit: sides of the box.
    """

    initial: IntArray
    anchors: IntArray
    deltas: IntArray
    pixels: IntArray
    thresholds: IntArray
    axes: IntArray
    leaves: IntArray
    leaf_unit: float

    def predictor(self) -> ShapePredictor:
        """The predictor that these integers are; the same to the last bit on every machine."""
        forests, trees, leaves, _ = self.leaves.shape
        steps = self.leaves.astype(np.float64) @ self.axes.astype(np.float64)  # of whole numbers: exact
        return ShapePredictor(
            initial=_scaled(self.initial, SHAPE_UNIT),
            anchors=self.anchors,
            deltas=_scaled(self.deltas, DELTA_UNIT),
            pixels=self.pixels,
            thresholds=_scaled(self.thresholds, 1.0),
            leaves=_scaled(steps, self.leaf_unit * AXIS_UNIT).reshape(forests, trees, leaves, -1, 2),
        )


def quantise(predictor: ShapePredictor, leaf_unit: float) -> CompactTrees:
    """Round a predictor.

    Args:
        predictor: any.
        leaf_unit: step of the leaves along their axes, sides of the box; larger is smaller and less exact.

    Raises:
        InputError: the step is not positive.
    """
    if not leaf_unit > 0:
        raise InputError(f"expected a positive step of the leaves, got {leaf_unit}")
    flat = predictor.leaves.reshape(*predictor.leaves.shape[:3], -1).astype(np.float64)
    axes = _rounded(_axes(flat.reshape(-1, flat.shape[-1]), leaf_unit), AXIS_UNIT)
    return CompactTrees(
        initial=_rounded(predictor.initial, SHAPE_UNIT),
        anchors=predictor.anchors,
        deltas=_rounded(predictor.deltas, DELTA_UNIT),
        pixels=predictor.pixels,
        thresholds=np.floor(predictor.thresholds).astype(np.int64),
        axes=axes,
        leaves=_rounded(flat @ (axes.T * AXIS_UNIT), leaf_unit),
        leaf_unit=leaf_unit,
    )


def _axes(vectors: npt.NDArray[np.float64], step: float) -> npt.NDArray[np.float64]:
    """Directions (R, D) of vectors (N, D) by falling mean square, as long as it is above that of rounding."""
    mean_square, directions = np.linalg.eigh(vectors.T @ vectors / len(vectors))
    kept = mean_square > step**2 / 12
    kept[-1] = True
    return np.asarray(directions[:, kept].T[::-1])


def _rounded(values: npt.NDArray[np.floating], unit: float) -> npt.NDArray[np.int64]:
    return np.rint(values.astype(np.float64) / unit).astype(np.int64)


def _scaled(values: npt.NDArray, unit: float) -> npt.NDArray[np.float32]:
    return (values * unit).astype(np.float32)


@dataclass(frozen=True)
class _Sizes:
    """The head of a file."""

    forests: int
    trees: int
    splits: int
    pixels: int
    points: int
    axes: int
    leaf_unit: float

    def shapes(self) -> list[tuple[int, ...]]:
        """Of the coded arrays: as in :class:`CompactTrees`, but last the numbers that each leaf has."""
        every_split = (self.forests, self.trees, self.splits)
        every_pixel = (self.forests, self.pixels)
        shared = [(self.points, 2), every_pixel, (*every_pixel, 2), (*every_split, 2), every_split]
        return [*shared, (self.axes, 2 * self.points), (self.forests, self.trees, self.splits + 1)]


def encode(trees: CompactTrees) -> bytes:
    """The content of the small file: a mark, a checksum, the sizes, a Huffman stream for each array.

    The leaves get a stream of their lengths up to the last number that is not 0, and one, and so a code, for
    each axis, of those that reach it.
    """
    pixels, points, axes = trees.anchors.shape[1], len(trees.initial), len(trees.axes)
    forests, count, splits = trees.thresholds.shape
    sizes = _Sizes(forests, count, splits, pixels, points, axes, trees.leaf_unit)
    lengths = ((trees.leaves != 0) * np.arange(1, axes + 1)).max(axis=-1)
    by_axis = [trees.leaves[lengths > axis, axis] for axis in range(axes)]
    arrays = (trees.initial, trees.anchors, trees.deltas, trees.pixels, trees.thresholds, trees.axes, lengths)
    streams = [coding.encode(array) for array in [*arrays, *by_axis]]
    body = coding.join([json.dumps(asdict(sizes)).encode(), *streams])
    return MAGIC + crc32(body).to_bytes(4, "big") + body


def decode(content: bytes) -> CompactTrees:
    """What :func:`encode` was given, bit for bit.

    Raises:
        InputError: the content is damaged, or something else.
    """
    mark, checksum, body = content[: len(MAGIC)], content[len(MAGIC) :][:4], content[len(MAGIC) + 4 :]
    if mark != MAGIC:
        raise InputError(f"expected compact trees, which begin with {MAGIC!r}, got {mark!r}")
    if crc32(body) != int.from_bytes(checksum, "big"):
        raise InputError("the compact trees are damaged (wrong checksum); get a whole copy")
    head, *streams = coding.split(body)
    sizes = _Sizes(**json.loads(head))
    shapes = sizes.shapes()
    parts = [coding.decode(stream) for stream in streams]
    *shared, lengths = (part.reshape(shape) for part, shape in zip(parts, shapes, strict=False))
    leaves = np.zeros((*lengths.shape, sizes.axes), np.int64)
    for axis, values in enumerate(parts[len(shapes) :]):
        leaves[lengths > axis, axis] = values
    initial, anchors, deltas, pixels, thresholds, axes = shared
    return CompactTrees(initial, anchors, deltas, pixels, thresholds, axes, leaves, sizes.leaf_unit)

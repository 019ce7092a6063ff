"""Regression trees in a small file: all arrays are rounded to integers, which are Huffman-coded.

Leaves make up nearly all of a predictor; they are vectors over all points, and points move together. So the
leaves are first rotated to their principal axes, where most coordinates are close to zero, and these are
rounded to a common step. Axes with less variance than the rounding error are left out (reverse
water-filling; Cover and Thomas, "Elements of Information Theory", section 10.3), and the trailing zeros of
each leaf. Grey levels are whole, so that rounding the thresholds down changes no prediction.
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
"""Step of the mean shape, in sides of the box."""
DELTA_UNIT = 2.0**-12
"""Step of a pixel's offset from its point, in sides of the box."""
AXIS_UNIT = 2.0**-12
"""Step of the axes' components."""


@dataclass(frozen=True, eq=False)
class CompactTrees:
    """A :class:`ShapePredictor` in integers: its arrays in the units above, the leaves along R axes.

    Attributes:
        initial: (K, 2).
        anchors: (C, P).
        deltas: (C, P, 2).
        pixels: (C, T, S, 2).
        thresholds: (C, T, S) whole grey levels.
        axes: (R, 2 K), orthonormal up to rounding, the one of the largest variance first.
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
        """Return the predictor of these integers, bit-identical on every machine."""
        forests, trees, leaves, _ = self.leaves.shape
        steps = self.leaves.astype(np.float64) @ self.axes.astype(np.float64)  # integers: exact
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
        leaf_unit: step of the leaves along their axes, sides of the box; a larger step gives a smaller and
            less exact file.

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
    """Return the principal axes (R, D) of vectors (N, D), largest first, that exceed the rounding error."""
    mean_square, directions = np.linalg.eigh(vectors.T @ vectors / len(vectors))
    kept = mean_square > step**2 / 12
    kept[-1] = True
    return np.asarray(directions[:, kept].T[::-1])


def _rounded(values: npt.NDArray[np.floating], unit: float) -> npt.NDArray[np.int64]:
    return np.rint(values.astype(np.float64) / unit).astype(np.int64)


def _scaled(values: npt.NDArray, unit: float) -> npt.NDArray[np.float32]:
    return (values * unit).astype(np.float32)


@dataclass(frozen=True)
class _Header:
    """The header of a file."""

    forests: int
    trees: int
    splits: int
    pixels: int
    points: int
    axes: int
    leaf_unit: float

    def shapes(self) -> list[tuple[int, ...]]:
        """Return the shapes of the coded arrays; the last are the leaves' lengths, else see CompactTrees."""
        every_split = (self.forests, self.trees, self.splits)
        every_pixel = (self.forests, self.pixels)
        shared = [(self.points, 2), every_pixel, (*every_pixel, 2), (*every_split, 2), every_split]
        return [*shared, (self.axes, 2 * self.points), (self.forests, self.trees, self.splits + 1)]


def encode(trees: CompactTrees) -> bytes:
    """Encode as the small file: magic bytes, a checksum, the header, a Huffman stream for each array.

    The leaves are stored as a stream of their lengths without trailing zeros, then a stream for each axis,
    with a code of its own, of the leaves that reach it.
    """
    pixels, points, axes = trees.anchors.shape[1], len(trees.initial), len(trees.axes)
    forests, count, splits = trees.thresholds.shape
    header = _Header(forests, count, splits, pixels, points, axes, trees.leaf_unit)
    lengths = ((trees.leaves != 0) * np.arange(1, axes + 1)).max(axis=-1)
    by_axis = [trees.leaves[lengths > axis, axis] for axis in range(axes)]
    arrays = (trees.initial, trees.anchors, trees.deltas, trees.pixels, trees.thresholds, trees.axes, lengths)
    streams = [coding.encode(array) for array in [*arrays, *by_axis]]
    body = coding.join([json.dumps(asdict(header)).encode(), *streams])
    return MAGIC + crc32(body).to_bytes(4, "big") + body


def decode(content: bytes) -> CompactTrees:
    """Decode what :func:`encode` returned, bit for bit.

    Raises:
        InputError: the content is damaged, or of another format.
    """
    magic, checksum, body = content[: len(MAGIC)], content[len(MAGIC) :][:4], content[len(MAGIC) + 4 :]
    if magic != MAGIC:
        raise InputError(f"expected compact trees, which begin with {MAGIC!r}, got {magic!r}")
    if crc32(body) != int.from_bytes(checksum, "big"):
        raise InputError("the compact trees are damaged (wrong checksum); get a whole copy")
    first, *streams = coding.split(body)
    header = _Header(**json.loads(first))
    shapes = header.shapes()
    parts = [coding.decode(stream) for stream in streams]
    *shared, lengths = (part.reshape(shape) for part, shape in zip(parts, shapes, strict=False))
    leaves = np.zeros((*lengths.shape, header.axes), np.int64)
    for axis, values in enumerate(parts[len(shapes) :]):
        leaves[lengths > axis, axis] = values
    initial, anchors, deltas, pixels, thresholds, axes = shared
    return CompactTrees(initial, anchors, deltas, pixels, thresholds, axes, leaves, header.leaf_unit)

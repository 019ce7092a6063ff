"""Inference of dlib's cascades of regression trees for face alignment, in numpy.

V. Kazemi and J. Sullivan, "One millisecond face alignment with an ensemble of regression trees", CVPR 2014.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class ShapePredictor:
    """C forests of T trees, all with S = 2^depth - 1 splits and S + 1 leaves; K points; P pixels per forest.

    Shapes are in units of the face's box: (0, 0) is its top left corner, (1, 1) its bottom right one. A split
    goes to its left child, node 2 i + 1, when the first pixel is brighter than the second by more than the
    threshold, else to its right child, 2 i + 2.

    Attributes:
        initial: (K, 2) float32, the mean shape, the initial estimate for every face.
        anchors: (C, P) index of the point that each pixel is placed by.
        deltas: (C, P, 2) float32, the pixel's offset from that point in the mean shape.
        pixels: (C, T, S, 2) the two pixels that a split compares, as indices of the forest's P.
        thresholds: (C, T, S) float32, grey levels.
        leaves: (C, T, S + 1, K, 2) float32, the updates of the shape.
    """

    initial: FloatArray
    anchors: IntArray
    deltas: FloatArray
    pixels: IntArray
    thresholds: FloatArray
    leaves: FloatArray

    def predict(self, image: npt.NDArray[np.uint8], box_xyxy: FloatArray) -> FloatArray:
        """Return the points (K, 2) of one face in pixels of the photo; dlib's are the same, rounded.

        Args:
            image: (H, W, 3) uint8 RGB or (H, W) grey; pixels outside are black.
            box_xyxy: (4,) the face's box, pixels; rounded, since dlib's boxes are whole.
        """
        grey, to_image = intensity(image), _box_map(np.rint(box_xyxy))
        shape = self.initial
        for forest in range(len(self.leaves)):
            values = _sample(grey, to_image.apply(self._pixel_positions(forest, shape)))
            leaves = self.leaves[forest]
            reached = leaves[np.arange(len(leaves)), self._reached_leaves(forest, values)]
            shape = np.add.reduce(np.concatenate([shape[None], reached]), axis=0)
        return to_image.apply(shape.astype(np.float64))

    def _pixel_positions(self, forest: int, shape: FloatArray) -> FloatArray:
        """Return the positions (P, 2) of a forest's pixels around a shape (K, 2), units of the box."""
        rotation = _fit_similarity(self.initial, shape).linear.astype(np.float32)
        return np.asarray(self.deltas[forest] @ rotation.T + shape[self.anchors[forest]])

    def _reached_leaves(self, forest: int, values: IntArray) -> IntArray:
        """Return the leaf (T,) reached in every tree with pixel values (P,)."""
        pixels, thresholds = self.pixels[forest], self.thresholds[forest]
        tree, node = np.arange(len(pixels)), np.zeros(len(pixels), np.intp)
        while node[0] < pixels.shape[1]:
            first, second = values[pixels[tree, node]].T
            node = 2 * node + np.where(first - second > thresholds[tree, node], 1, 2)
        return node - pixels.shape[1]


@dataclass(frozen=True, eq=False)
class _AffineMap:
    """target = linear @ source + offset."""

    linear: FloatArray
    offset: FloatArray

    def apply(self, points: FloatArray) -> FloatArray:
        return np.asarray(points @ self.linear.T + self.offset)


def intensity(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Convert an image to dlib's grey levels (H, W): the mean of the colours, rounded down."""
    return image if image.ndim == 2 else (image.sum(axis=2, dtype=np.uint16) // 3).astype(np.uint8)


def _fit_similarity(source: FloatArray, target: FloatArray) -> _AffineMap:
    """Fit a similarity between points (K, 2) by least squares; one point gives a translation."""
    z, w = (points.astype(np.float64) @ (1, 1j) for points in (source, target))
    z_0, w_0 = z - z.mean(), w - w.mean()
    spread = (np.abs(z_0) ** 2).sum()
    factor = (z_0.conj() @ w_0) / spread if spread else 1.0 + 0.0j
    linear = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    shift = w.mean() - factor * z.mean()
    return _AffineMap(linear, np.array([shift.real, shift.imag]))


def _box_map(box_xyxy: FloatArray) -> _AffineMap:
    """Return the map from units of the box to pixels."""
    return _AffineMap(np.diag(box_xyxy[2:] - box_xyxy[:2]), box_xyxy[:2])


def _sample(grey: npt.NDArray[np.uint8], positions: FloatArray) -> npt.NDArray[np.int16]:
    """Return grey levels (P,) at the pixels nearest to positions (P, 2); 0 outside the image."""
    x, y = np.floor(positions + 0.5).astype(np.intp).T
    inside = (x >= 0) & (y >= 0) & (x < grey.shape[1]) & (y < grey.shape[0])
    values = np.zeros(len(positions), np.int16)
    values[inside] = grey[y[inside], x[inside]]
    return values

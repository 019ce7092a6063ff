"""Error measures of predicted points: pure functions of arrays.

Faces are the first axis: predictions and truth are (F, K, 2+), x right, y down, in the pixels of one frame.
Points that are NaN in the truth are not annotated and do not count. The error of a face is NaN if no point is
annotated, or not those that give the normalising length; such faces are left out.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError
from facegeom.geometry.schemes import Scheme
from facegeom_lab.datasets.schemes import SCHEMES
from facegeom_lab.measures.metrics import eye_distance

FloatArray = npt.NDArray[np.floating]

THRESHOLD = 0.08
"""Threshold of the failure rate and of the AUC, as a fraction of the normalising length."""

NORMALISERS = ("interocular", "interpupil", "box")


def distances(predicted: FloatArray, truth: FloatArray) -> FloatArray:
    """Compute the 2D distances (F, K) of points (F, K, 2+); NaN where not annotated."""
    return np.asarray(np.linalg.norm(predicted[..., :2] - truth[..., :2], axis=-1))


def interocular(truth: FloatArray, scheme: Scheme) -> FloatArray | None:
    """Compute the distances (F,) of the outer eye corners; None for a scheme without them."""
    return None if scheme.eye_corners is None else _positive(eye_distance(truth, scheme.eye_corners))


def interpupil(truth: FloatArray, scheme: Scheme) -> FloatArray | None:
    """Compute the distances (F,) of the pupils, or of the eye outlines' means; None without them."""
    if scheme.pupils is None:
        return None
    right, left = (truth[:, list(eye), :2].mean(axis=1) for eye in scheme.pupils)
    return _positive(np.linalg.norm(right - left, axis=-1))


def box_diagonal(truth: FloatArray) -> FloatArray:
    """Compute the diagonals (F,) of the tight boxes of the annotated points."""
    points = truth[..., :2]
    low = np.where(np.isnan(points), np.inf, points).min(axis=1)
    high = np.where(np.isnan(points), -np.inf, points).max(axis=1)
    return _positive(np.linalg.norm(high - low, axis=-1))


def scales(truth: FloatArray, scheme: Scheme) -> dict[str, FloatArray]:
    """Return the scheme's normalising lengths (F,) by their name in ``NORMALISERS``."""
    lengths = (interocular(truth, scheme), interpupil(truth, scheme), box_diagonal(truth))
    return {name: length for name, length in zip(NORMALISERS, lengths, strict=True) if length is not None}


def face_errors(predicted: FloatArray, truth: FloatArray, scale: FloatArray) -> FloatArray:
    """Compute each face's mean distance over annotated points, divided by its ``scale`` (F,).

    The mean over faces is the normalised mean error (NME).
    """
    return _mean(distances(predicted, truth), axis=1) / scale


def failure_rate(errors: FloatArray, threshold: float = THRESHOLD) -> float:
    """Compute the fraction of faces whose error (F,) exceeds ``threshold``; NaN for no face."""
    return float(_mean(np.where(np.isnan(errors), np.nan, errors > threshold)))


def ced(errors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the cumulative error distribution: levels (N + 1,) from 0, fractions (N + 1,) up to each.

    A step function: a fraction holds from its level to the next.
    """
    known = np.sort(errors[~np.isnan(errors)])
    return np.concatenate([[0.0], known]), np.linspace(0, 1, len(known) + 1)


def auc(errors: FloatArray, threshold: float = THRESHOLD) -> float:
    """Compute the area under :func:`ced` up to ``threshold``, divided by it: 1 is perfect, NaN for no face.

    Exact: each face adds the part of the interval above its error.
    """
    return float(_mean(np.clip(1 - errors / threshold, 0, None)))


def region_errors(
    predicted: FloatArray, truth: FloatArray, scheme: Scheme, scale: FloatArray
) -> dict[str, float]:
    """Compute the NME of each region of the scheme, by its name."""
    parts = {name: list(indices) for name, indices in scheme.regions.items()}
    return {
        name: float(_mean(face_errors(predicted[:, part], truth[:, part], scale)))
        for name, part in parts.items()
    }


def frame_mse(predicted: FloatArray, truth: FloatArray, sizes_wh: FloatArray) -> float:
    """Compute the mean squared error of coordinates, x and z divided by the width, y by the height.

    The measure of Shabalin and Eliseev (2022) for dense meshes.

    Args:
        predicted: (F, K, 3) pixels, z on the scale of x.
        truth: (F, K, 3).
        sizes_wh: (F, 2) width and height of the frames, pixels.
    """
    return _scaled_mse(predicted, truth, sizes_wh[:, None, [0, 1, 0]])


def error_100x100(predicted: FloatArray, truth: FloatArray, sizes_wh: FloatArray) -> float:
    """Compute the mean squared error of 2D coordinates, every image scaled to 100 x 100: the 14-point task's.

    Args:
        predicted: (F, K, 2) pixels.
        truth: (F, K, 2).
        sizes_wh: (F, 2) width and height of the images, pixels.
    """
    return _scaled_mse(predicted[..., :2], truth[..., :2], sizes_wh[:, None] / 100)


def measure(
    predicted: FloatArray,
    truth: FloatArray,
    scheme: str,
    sizes_wh: FloatArray | None = None,
    threshold: float = THRESHOLD,
) -> dict[str, Any]:
    """Compute all measures for one set of faces, ready for ``result.json``.

    Args:
        predicted: (F, K, 2+) pixels.
        truth: (F, K, 2+) pixels, NaN where not annotated.
        scheme: name of the point scheme, a key of ``SCHEMES``.
        sizes_wh: (F, 2) width and height of the images; needed for ``mse`` and ``error_100x100``.
        threshold: of ``failure_rate`` and ``auc``.

    Returns:
        ``faces``, ``nme_interocular``, ``nme_interpupil``, ``nme_box`` (those of the scheme);
        ``normaliser``, ``threshold``, ``failure_rate``, ``auc``, ``regions`` by the first of them;
        ``mse`` of 3D points, ``error_100x100`` of the 14. None where no face has an error.

    Raises:
        InputError: shapes that do not fit, an unknown scheme, a missing prediction.
    """
    layout = _checked(predicted, truth, scheme, sizes_wh)
    lengths = scales(truth, layout)
    errors = {name: face_errors(predicted, truth, length) for name, length in lengths.items()}
    normaliser = next(iter(errors))
    figures: dict[str, Any] = {"faces": len(truth)}
    figures |= {f"nme_{name}": float(_mean(each)) for name, each in errors.items()}
    figures |= {"normaliser": normaliser, "threshold": threshold}
    figures["failure_rate"] = failure_rate(errors[normaliser], threshold)
    figures["auc"] = auc(errors[normaliser], threshold)
    figures["regions"] = _known(region_errors(predicted, truth, layout, lengths[normaliser]))
    if sizes_wh is not None and truth.shape[-1] == 3:
        figures["mse"] = frame_mse(predicted, truth, sizes_wh)
    if sizes_wh is not None and scheme == "facepoints14":
        figures["error_100x100"] = error_100x100(predicted, truth, sizes_wh)
    return _known(figures)


def _checked(predicted: FloatArray, truth: FloatArray, scheme: str, sizes_wh: FloatArray | None) -> Scheme:
    if scheme not in SCHEMES:
        raise InputError(f"expected one of the point schemes {', '.join(SCHEMES)}, got {scheme!r}")
    layout = SCHEMES[scheme]
    wanted = f"(F, {layout.count}, 2 or 3)"
    if truth.ndim != 3 or truth.shape[1] != layout.count or truth.shape[2] not in (2, 3):
        raise InputError(f"expected true points {wanted} of {scheme}, got {truth.shape}")
    if predicted.shape[:2] != truth.shape[:2] or predicted.shape[2:] < truth.shape[2:]:
        raise InputError(f"expected predicted points like the true ones {truth.shape}, got {predicted.shape}")
    if sizes_wh is not None and sizes_wh.shape != (len(truth), 2):
        raise InputError(f"expected sizes ({len(truth)}, 2), width and height, got {sizes_wh.shape}")
    missing = ~np.isfinite(predicted[..., : truth.shape[2]]) & np.isfinite(truth)
    if missing.any():
        raise InputError(
            f"expected a prediction for every annotated point, but {missing.any(axis=(1, 2)).sum()} of "
            f"{len(truth)} faces have none; has the training diverged?"
        )
    return layout


def _scaled_mse(predicted: FloatArray, truth: FloatArray, unit: FloatArray) -> float:
    return float(_mean(((predicted - truth) / unit) ** 2))


def _positive(lengths: FloatArray) -> FloatArray:
    """Replace lengths that are not positive by NaN."""
    return np.where(np.isfinite(lengths) & (lengths > 0), lengths, np.nan)


def _mean(values: FloatArray, axis: int | None = None) -> FloatArray:
    """Return the mean without NaN, NaN for no value; NumPy's own warns there."""
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _known(figures: dict[str, Any]) -> dict[str, Any]:
    """Replace NaN by None, since JSON has no NaN."""
    return {
        name: None if isinstance(value, float) and np.isnan(value) else value
        for name, value in figures.items()
    }

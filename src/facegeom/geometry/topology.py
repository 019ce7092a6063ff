"""The 478-point mesh: triangles, mirror map, canonical head. Read once from the packaged file.

``mesh478.npz`` is made by ``facegeom lab canonical`` from labelled meshes.
"""

from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from facegeom.errors import WeightsError


@cache
def _table() -> dict[str, npt.NDArray[np.generic]]:
    try:
        with (files("facegeom.geometry") / "mesh478.npz").open("rb") as stream, np.load(stream) as arrays:
            table = {name: arrays[name] for name in ("triangles", "mirror", "canonical_mm", "canonical68_mm")}
    except Exception as error:  # the archive's checksums fail in many ways
        raise WeightsError(f"mesh478.npz is damaged or missing ({error}); install facegeom again") from error
    for array in table.values():
        array.setflags(write=False)
    return table


def triangles() -> npt.NDArray[np.int32]:
    """Return the triangles (T, 3), counter-clockwise in the image of a frontal face; irises have none."""
    return _table()["triangles"].astype(np.int32)


def edges() -> npt.NDArray[np.int32]:
    """Return the edges (E, 2) of the triangles, each once, the smaller index first."""
    faces = triangles()
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return np.unique(np.sort(pairs, axis=1), axis=0)


@cache
def openings() -> tuple[tuple[int, ...], ...]:
    """Return the boundaries of the surface as closed chains of points, the longest first.

    The first is the face's oval; the others are the inner lips and the lids of the two eyes.
    """
    faces = triangles()
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).tolist()
    sides = {(first, second) for first, second in directed}
    following = {first: second for first, second in sides if (second, first) not in sides}
    rims = []
    while following:
        point = min(following)
        after = following.pop(point)
        rim = [point]
        while after != rim[0]:
            rim.append(after)
            after = following.pop(after)
        rims.append(tuple(rim))
    return tuple(sorted(rims, key=lambda rim: (-len(rim), min(rim))))


def mirror() -> npt.NDArray[np.intp]:
    """Return the index (478,) of each point's mirror image."""
    return _table()["mirror"].astype(np.intp)


def canonical_mm() -> npt.NDArray[np.float32]:
    """Return the mean head (478, 3), head frame, millimetres, origin midway between the eyes' centres."""
    return _table()["canonical_mm"].astype(np.float32)


def canonical68_mm() -> npt.NDArray[np.float32]:
    """Return the 68 points (68, 3) of the canonical head, head frame, millimetres; jaw as seen frontally."""
    return _table()["canonical68_mm"].astype(np.float32)


_AXIS_MM, _MARGIN = 200.0, 0.02


@cache
def uv() -> npt.NDArray[np.float64]:
    """Return texture coordinates (478, 2) in [0, 1]: u from left to right as seen, v down.

    The canonical head is unrolled from an upright cylinder, whose axis lies so far behind the eyes that the
    front of the face keeps its shape; a margin is left around it. No triangle is folded over.
    """
    x, y, z = canonical_mm().astype(np.float64).T
    flat = np.stack([np.arctan2(x, _AXIS_MM - z), y], axis=1)
    low, high = flat.min(axis=0), flat.max(axis=0)
    places: npt.NDArray[np.float64] = _MARGIN + (1 - 2 * _MARGIN) * (flat - low) / (high - low)
    places.setflags(write=False)
    return places

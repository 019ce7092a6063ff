"""The parametric head model: neutral shape, identity and expression offsets, in the head frame.

The source file (ICT-FaceKit Light) is in centimetres, y up, z towards the viewer. Here all is in
millimetres and in the head frame of the project: x right in the image, y down, z away from the camera, so
x stays, y and z change sign. The origin is midway between the centroids of the two eyeballs (all vertices,
irises included) of the person's own neutral face: every identity is moved there, expressions are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facegeom.errors import InputError
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.geometry.schemes import ARKIT52

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]

LANDMARKS68 = (
    "1225 1888 1052 367 1719 1722 2199 1447 966 3661 4390 3927 3924 2608 3272 4088 3443 "
    "268 493 1914 2044 1401 3615 4240 4114 2734 2509 978 4527 4942 4857 1140 2075 1147 "
    "4269 3360 1507 1542 1537 1528 1518 1511 3742 3751 3756 3721 3725 3732 5708 5695 2081 "
    "0 4275 6200 6213 6346 6461 5518 5957 5841 5702 5711 5533 6216 6207 6470 5517 5966"
)
"""Vertices of the 68 points, the model's right side (the image's left) first."""

REGIONS = {
    "face": (0, 9409),
    "head": (9409, 11248),
    "mouth": (11248, 13294),
    "sockets": (13294, 14062),
    "gums": (14062, 17039),
    "teeth": (17039, 21451),
    "eyes": (21451, 24591),
}
"""Vertex ranges (first, one past the last) of the source file; the rest (tear fluid, lashes) is not drawn."""

EYEBALLS = ((23021, 24591), (21451, 23021))
"""Vertex ranges of the two eyeballs, the model's right one first."""

INNER_EYES = ((22221, 23021), (23791, 24591))
"""Shells under the corneas; the outer shells are coloured, so these are not drawn."""


LOOK_DEG = 30.0
"""Turn of an eyeball at a coefficient of 1 of its look inwards, outwards, up or down."""


@dataclass(frozen=True, eq=False)
class HeadModel:
    """A linear head model in millimetres, head frame.

    Attributes:
        neutral_mm: (V, 3) mean head, origin midway between the eyeballs.
        triangles: (T, 3) vertex indices of what is drawn.
        identity_mm: (K, V, 3) offsets for a coefficient of 1 (standard normal).
        expression_mm: (E, V, 3) offsets for a coefficient of 1 (range 0 to 1).
        expression_names: E names in ARKit's style with `_L` and `_R`.
        landmarks: (68,) vertex of each of the 68 points.
        eyeballs: vertex indices of the right and of the left eyeball.
        regions: name to (first, one past the last) vertex.
    """

    neutral_mm: Floats
    triangles: Ints
    identity_mm: Floats
    expression_mm: Floats
    expression_names: tuple[str, ...]
    landmarks: Ints
    eyeballs: tuple[Ints, Ints]
    regions: dict[str, tuple[int, int]] = field(default_factory=dict)

    def vertices(self, identity: Floats, expression: Floats) -> Floats:
        """Return the head of one person with one expression.

        Args:
            identity: (K,) coefficients.
            expression: (E,) coefficients, 0 to 1.

        Returns:
            (V, 3) millimetres, head frame; origin midway between the eyeballs of the person's neutral face.
        """
        person = self.neutral_mm + np.tensordot(identity.astype(np.float32), self.identity_mm, 1)
        person -= self.eyes_midpoint(person)
        active = np.flatnonzero(expression)
        moved = person + np.tensordot(expression[active].astype(np.float32), self.expression_mm[active], 1)
        yaw_deg, pitch_deg = self.look_deg(expression).T
        turns = rotation_from_angles(yaw_deg, pitch_deg, 0).astype(np.float32)
        for eyeball, turn in zip(self.eyeballs, turns, strict=True):
            centre = moved[eyeball].mean(axis=0)
            moved[eyeball] = (moved[eyeball] - centre) @ turn.T + centre
        return moved

    def look_deg(self, expression: Floats) -> Floats:
        """Return yaw and pitch (2, 2) by which the right and the left eyeball are turned, degrees.

        The model's own shapes of a look move the lids alone.
        """
        value = dict(zip(self.expression_names, expression, strict=True))
        inwards = [value.get(f"eyeLookIn_{s}", 0) - value.get(f"eyeLookOut_{s}", 0) for s in "RL"]
        up = [value.get(f"eyeLookUp_{s}", 0) - value.get(f"eyeLookDown_{s}", 0) for s in "RL"]
        return LOOK_DEG * np.stack([np.array(inwards) * (1, -1), up], axis=-1)

    def eyes_midpoint(self, vertices: Floats) -> Floats:
        """Return the point (3,) midway between the centroids of the eyeballs of `vertices` (V, 3)."""
        right, left = (vertices[index].mean(axis=0) for index in self.eyeballs)
        return (right + left) / 2


def load_model(path: str | Path) -> HeadModel:
    """Read `ict_facekit_light.npz`.

    Raises:
        InputError: the file is missing or lacks an array.
    """
    source = Path(path)
    if not source.is_file():
        raise InputError(
            f"expected the head model at {source}, found nothing; pass the path of ict_facekit_light.npz"
        )
    with np.load(source) as arrays:
        missing = {"neutral", "faces", "identity", "expression", "expression_names"} - set(arrays.files)
        if missing:
            raise InputError(
                f"{source} lacks the arrays {sorted(missing)}; expected the ICT-FaceKit Light file"
            )
        eyeballs = (np.arange(*EYEBALLS[0]), np.arange(*EYEBALLS[1]))
        neutral = _to_head_frame(arrays["neutral"])
        neutral -= (neutral[eyeballs[0]].mean(axis=0) + neutral[eyeballs[1]].mean(axis=0)) / 2
        return HeadModel(
            neutral_mm=neutral,
            triangles=_drawn(triangulate(arrays["faces"])),
            identity_mm=_to_head_frame(arrays["identity"]),
            expression_mm=_to_head_frame(arrays["expression"]),
            expression_names=tuple(str(name) for name in arrays["expression_names"]),
            landmarks=np.array(LANDMARKS68.split(), dtype=np.int64),
            eyeballs=eyeballs,
            regions=dict(REGIONS),
        )


def triangulate(quads: NDArray[np.integer]) -> Ints:
    """Split quads (F, 4), -1 for a triangle's missing corner, into triangles (T, 3) oriented alike."""
    full = quads[quads[:, 3] >= 0]
    return np.concatenate([quads[:, :3], full[:, [0, 2, 3]]]).astype(np.int64)


def sample_identity(rng: np.random.Generator, model: HeadModel, spread: float = 0.8) -> Floats:
    """Draw identity coefficients (K,): standard normal, clipped at 2.5, times `spread`."""
    drawn = rng.standard_normal(len(model.identity_mm))
    return (spread * np.clip(drawn, -2.5, 2.5)).astype(np.float32)


def sample_expression(rng: np.random.Generator, model: HeadModel) -> Floats:
    """Draw expression coefficients (E,), 0 to 1: a few at random, at times open jaw, smile, blink, gaze."""
    names = model.expression_names
    values = dict.fromkeys(names, 0.0)
    for name in rng.choice(names, size=min(len(names), int(rng.integers(0, 7))), replace=False):
        values[str(name)] = float(rng.beta(1.2, 2.5))
    _both(values, ("jawOpen",), rng, chance=0.35, low=0.05, high=0.8)
    _both(values, ("mouthSmile_L", "mouthSmile_R"), rng, chance=0.4, low=0.1, high=1.0)
    _both(values, ("eyeBlink_L", "eyeBlink_R"), rng, chance=0.15, low=0.2, high=1.0)
    _both(values, ("eyeSquint_L", "eyeSquint_R"), rng, chance=0.2, low=0.1, high=0.8)
    sideways = ("eyeLookIn_L", "eyeLookOut_R") if rng.random() < 0.5 else ("eyeLookOut_L", "eyeLookIn_R")
    _both(values, sideways, rng, chance=0.6, low=0.0, high=0.7)
    return np.array([values[name] for name in names], dtype=np.float32)


def arkit_coefficients(expression: Floats, names: Sequence[str]) -> Floats:
    """Return the coefficients (52,) by ARKit's names for those (E,) of a model; both sides' mean for one."""
    value = dict(zip(names, expression, strict=True))

    def of(name: str) -> float:
        if name in value:
            return value[name]
        for ending, side in (("Left", "_L"), ("Right", "_R")):
            if name.removesuffix(ending) + side in value and name.endswith(ending):
                return value[name.removesuffix(ending) + side]
        return (value.get(f"{name}_L", 0.0) + value.get(f"{name}_R", 0.0)) / 2

    return np.array([of(name) for name in ARKIT52], np.float32)


def mirrored_names() -> Ints:
    """Return for each of the 52 coefficients the index of the one that a mirror makes of it."""
    swap = {"Left": "Right", "Right": "Left"}
    sides = [next((side for side in swap if name.endswith(side)), "") for name in ARKIT52]
    pairs = zip(ARKIT52, sides, strict=True)
    return np.array([ARKIT52.index(name.removesuffix(side) + swap.get(side, "")) for name, side in pairs])


def _both(
    values: dict[str, float],
    names: tuple[str, ...],
    rng: np.random.Generator,
    chance: float,
    low: float,
    high: float,
) -> None:
    """With probability `chance`, set all of `names` to nearly the same value; always draw as many numbers."""
    hit, level, skew = rng.random(), rng.uniform(low, high), rng.normal(0, 0.05, len(names))
    if hit >= chance:
        return
    for name, shift in zip(names, skew, strict=True):
        if name in values:
            values[name] = float(np.clip(level + shift, 0, 1))


def _to_head_frame(points_cm: NDArray[np.floating]) -> Floats:
    """Convert centimetres, y up, z towards the viewer, to millimetres, y down, z away."""
    return points_cm.astype(np.float32) * np.array([10, -10, -10], dtype=np.float32)


def _drawn(triangles: Ints) -> Ints:
    """Return the triangles whose corners all lie in drawn regions."""
    label = np.zeros(int(triangles.max()) + 1, dtype=bool)
    for start, stop in REGIONS.values():
        label[start:stop] = True
    for start, stop in INNER_EYES:
        label[start:stop] = False
    return triangles[label[triangles].all(axis=1)]


CELL_MM = {"face": 3.5, "head": 12.0, "eyes": 2.5, "teeth": 5.0, "gums": 9.0, "mouth": 7.0, "sockets": 6.0}
"""Side of a cell by region. One vertex of a cell is kept: depth changes by 0.06 mm on average."""

SEPARATED_BY = ("jawOpen", "eyeBlink_L", "eyeBlink_R", "mouthSmile_L", "mouthSmile_R")
"""Expressions that separate what touches in the neutral face: lips, lids, upper and lower teeth."""


def simplify(model: HeadModel) -> HeadModel:
    """Keep one vertex of each cell of :data:`CELL_MM`, and the 68 points; drop degenerate triangles.

    Small images need no more vertices. Vertices share a cell only if they lie together in the neutral face
    and with each expression of :data:`SEPARATED_BY`: vertex clustering after Rossignac and Borrel
    ("Multi-resolution 3D approximations for rendering complex scenes", 1993) in the space of all these
    positions.
    """
    replacement = _representatives(model)
    triangles = _without_degenerate(replacement[model.triangles])
    kept = np.unique(np.concatenate([triangles.ravel(), model.landmarks, *_eyeballs(model, replacement)]))
    number = np.zeros(len(replacement), np.int64)
    number[kept] = np.arange(len(kept))
    limits = {name: np.searchsorted(kept, ends) for name, ends in model.regions.items()}
    right, left = (number[index] for index in _eyeballs(model, replacement))
    return replace(
        model,
        neutral_mm=model.neutral_mm[kept],
        triangles=number[triangles],
        identity_mm=np.ascontiguousarray(model.identity_mm[:, kept]),
        expression_mm=np.ascontiguousarray(model.expression_mm[:, kept]),
        landmarks=number[model.landmarks],
        eyeballs=(right, left),
        regions={name: (int(start), int(stop)) for name, (start, stop) in limits.items()},
    )


def _eyeballs(model: HeadModel, replacement: Ints) -> tuple[Ints, Ints]:
    right, left = model.eyeballs
    return np.unique(replacement[right]), np.unique(replacement[left])


def _representatives(model: HeadModel) -> Ints:
    """Return the vertex (V,) that replaces each vertex: the first of its cell, landmarks before others."""
    positions, replacement = _positions(model), np.arange(len(model.neutral_mm))
    rank = np.ones(len(replacement), np.int64)
    rank[model.landmarks] = 0
    for name, (start, stop) in model.regions.items():
        index = np.arange(start, stop)
        index = index[np.argsort(rank[index], kind="stable")]
        cells = np.floor(positions[index] / CELL_MM[name])
        _, first, which = np.unique(cells, axis=0, return_index=True, return_inverse=True)
        replacement[index] = index[first[which.ravel()]]
    replacement[model.landmarks] = model.landmarks
    return replacement


def _positions(model: HeadModel) -> Floats:
    """Return positions (V, 3 (1 + E)) in the neutral face and with the model's :data:`SEPARATED_BY`."""
    names = [name for name in SEPARATED_BY if name in model.expression_names]
    moved = [model.expression_mm[model.expression_names.index(name)] for name in names]
    return np.concatenate([model.neutral_mm, *(model.neutral_mm + offset for offset in moved)], axis=1)


def _without_degenerate(triangles: Ints) -> Ints:
    """Return the triangles with three different corners, each once."""
    a, b, c = triangles.T
    full = triangles[(a != b) & (b != c) & (c != a)]
    _, first = np.unique(np.sort(full, axis=1), axis=0, return_index=True)
    return full[np.sort(first)]

"""Expressions that move one family of shapes in each of some parts of the face, and a look."""

import numpy as np

from facegeom_lab.synth.model import LOOK_DEG, Floats, HeadModel

NEUTRAL_SHARE = 0.08
ALIKE_SHARE = 0.7
"""Shares of neutral faces, and of shapes that move alike on both sides."""

PARTS: tuple[tuple[tuple[str, ...], ...], ...] = (
    (
        ("browDown",),
        ("browInnerUp", "browOuterUp"),
        ("browInnerUp",),
        ("browOuterUp",),
        ("browDown", "browInnerUp"),
    ),
    (("eyeBlink",), ("eyeBlink",), ("eyeSquint",), ("eyeWide",), ("cheekSquint", "eyeSquint")),
    (("jawOpen",), ("jawOpen",), ("jawForward",), ("jawLeft",), ("jawRight",), ("jawOpen", "mouthClose")),
    (
        *(("mouthSmile",), ("mouthSmile",), ("mouthSmile", "cheekSquint"), ("mouthFrown",), ("mouthPucker",)),
        *(("mouthFunnel",), ("mouthLeft",), ("mouthRight",), ("mouthDimple",), ("mouthStretch",)),
        *(("mouthPress",), ("mouthRollLower",), ("mouthRollUpper",), ("mouthPucker",), ("cheekPuff",)),
    ),
    (("mouthShrugLower",), ("mouthShrugUpper",), ("mouthUpperUp",), ("mouthLowerDown",), ("noseSneer",)),
)
"""Families of shapes without their sides: of each part of the face at most one family moves."""

PART_SHARES = (0.5, 0.5, 0.5, 0.7, 0.35)
"""How often each of the parts moves."""


def sample_motion(rng: np.random.Generator, model: HeadModel) -> Floats:
    """Draw expression coefficients (E,), 0 to 1: one family of shapes in each of some parts, and a look."""
    values = dict.fromkeys(model.expression_names, 0.0)
    if rng.random() >= NEUTRAL_SHARE:
        for families, share in zip(PARTS, PART_SHARES, strict=True):
            if rng.random() < share:
                for shape in families[int(rng.integers(len(families)))]:
                    _move(values, shape, rng)
    values["mouthClose"] = min(values.get("mouthClose", 0.0), values.get("jawOpen", 0.0))
    _look(values, rng)
    return np.array([values[name] for name in model.expression_names], np.float32)


def _move(values: dict[str, float], shape: str, rng: np.random.Generator) -> None:
    """Set a shape, or those of both sides, mostly to nearly the same value."""
    if shape in values:
        values[shape] = rng.uniform(0.1, 1)
        return
    left, right = rng.uniform(0.1, 1, 2)
    if rng.random() < ALIKE_SHARE:
        right = np.clip(left + rng.normal(0, 0.08), 0, 1)
    elif rng.random() < 0.5:
        left, right = (left, 0.0) if rng.random() < 0.5 else (0.0, right)
    values[f"{shape}_L"], values[f"{shape}_R"] = left, right


def _look(values: dict[str, float], rng: np.random.Generator) -> None:
    """Turn both eyes nearly alike; half of the looks are nearly straight."""
    spread = (14, 9) if rng.random() < 0.6 else (4, 3)
    yaw, pitch = rng.normal(0, spread) - (0, 2)
    vergence = abs(rng.normal(0, 2))
    for side, inwards in (("R", yaw + vergence), ("L", -yaw + vergence)):
        for shape, angle in (("eyeLookIn", inwards), ("eyeLookOut", -inwards)):
            values[f"{shape}_{side}"] = float(np.clip(angle / LOOK_DEG, 0, 1))
        for shape, angle in (("eyeLookUp", pitch), ("eyeLookDown", -pitch)):
            values[f"{shape}_{side}"] = float(np.clip(angle / LOOK_DEG, 0, 1))

"""Expression coefficients and gaze on rendered heads, and their order on labelled photos."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from facegeom.geometry.rotation import angles_from_rotation
from facegeom.geometry.schemes import ARKIT52
from facegeom.results import Face
from facegeom_lab.bench.context import Bench
from facegeom_lab.bench.matching import match
from facegeom_lab.bench.progress import track
from facegeom_lab.datasets.published.pack import LabelledPhoto
from facegeom_lab.datasets.training.expression_samples import found_faces, rendered_samples, views_of
from facegeom_lab.measures.tables import Cell, Table
from facegeom_lab.synth.generate import MODEL_FILE, load_backgrounds
from facegeom_lab.synth.model import load_model

FloatArray = npt.NDArray[np.floating]

HEADS, SEED = 1_000, 3
NEUTRAL_HEADS = 0.02
"""Largest coefficient of a head that counts as one at rest, looks apart."""

FRONTAL_DEG, TURNED_DEG = 15.0, (30.0, 45.0)
LEAST_SHARE = 0.02
"""A shape counts as exercised where it moves in this share of the heads."""

_HEADS_PROTOCOL = (
    f"{HEADS:,} heads rendered from identities, lights and backgrounds that training never saw, yaw to 50°, "
    "own detection, faces found. Mean absolute error of each coefficient, that of the always-mean answer, "
    "correlation; `at rest`: mean answer on heads without an expression. All: means over the shapes."
)
_GAZE_PROTOCOL = (
    "The same heads: angle between the direction of an eye and the truth, as seen, degrees; the truth's mean "
    "turn from the head's own direction; confidence above and below its median."
)
_ORDER_PROTOCOL = (
    "Labelled faces of `val` and AFW scenes, own detection, people's 68 points: openings of lids over the "
    "eye's width and of inner lips over the mouth's width. Spearman's rank correlation with "
    "eyeWide - eyeBlink, with jawOpen and the other shapes that open the lips, and with the plain lengths "
    "`eye_open` and `mouth_open`."
)


class Answers(NamedTuple):
    """Truth and answers for N rendered heads.

    Attributes:
        truth: (N, 52) coefficients.
        found: (N, 52) coefficients.
        gaze: (N, 2, 3) true directions of both eyes, as seen.
        looks: (N, 2, 3) those found.
        confidence: (N, 2) of the latter.
        rotation: (N, 3, 3) true rotations as seen.
    """

    truth: FloatArray
    found: FloatArray
    gaze: FloatArray
    looks: FloatArray
    confidence: FloatArray
    rotation: FloatArray


def expression(bench: Bench) -> list[Table]:
    """Measure coefficients, gaze, and the order of openings: three tables."""
    answers = _answers(bench)
    return [
        Table(
            "Expression coefficients, rendered heads",
            _HEADS_PROTOCOL,
            ("coefficient", "error", "always the mean", "correlation", "at rest", "heads that move it"),
            coefficient_rows(answers),
        ),
        Table(
            "Gaze, rendered heads",
            _GAZE_PROTOCOL,
            ("heads", "error, °", "head's own direction, °", "surer half, °", "other half, °", "eyes"),
            gaze_rows(answers),
        ),
        Table(
            "Openings on labelled photos",
            _ORDER_PROTOCOL,
            ("set", "eyes: coefficients", "eye_open", "mouths: coefficients", "mouth_open", "faces"),
            [_order_row(name, photos, bench) for name, photos in bench.scene_sets().items()],
        ),
    ]


def _answers(bench: Bench) -> Answers:
    model = load_model(bench.data / MODEL_FILE)
    backgrounds = load_backgrounds(bench.data / "backgrounds", "test")
    numbers = track(range(HEADS), f"{HEADS} rendered heads")
    heads = rendered_samples(model, backgrounds, numbers, SEED, "test")
    rows = []
    for truth, faces, number in found_faces(views_of(heads, model), bench.analyze):
        face = faces[number]
        assert face.gaze is not None
        looks = face.gaze @ face.rotation.T
        gaze = (truth.gaze_seen, looks, face.gaze_confidence)
        rows.append((truth.expression, face.expression, *gaze, truth.rotation))
    return Answers(*(np.stack(column).astype(np.float64) for column in zip(*rows, strict=True)))


def coefficient_rows(answers: Answers) -> list[tuple[Cell, ...]]:
    """Return a row of all exercised coefficients, two of frontal and turned heads, and one for each."""
    truth, found = answers.truth, answers.found
    error, plain = np.abs(found - truth), np.abs(truth - truth.mean(axis=0))
    moves = (truth > NEUTRAL_HEADS).mean(axis=0)
    rest = (np.delete(truth, _looks(), axis=1) <= NEUTRAL_HEADS).all(axis=1)
    used = np.flatnonzero(moves >= LEAST_SHARE)
    yaw = np.abs(angles_from_rotation(answers.rotation)[:, 0])
    turned = (yaw >= TURNED_DEG[0]) & (yaw < TURNED_DEG[1])
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            float(error[which][:, used].mean()),
            float(plain[which][:, used].mean()),
            None,
            float(found[which & rest][:, used].mean()) if (which & rest).any() else None,
            int(which.sum()),
        )
        for name, which in (
            ("all", np.ones(len(yaw), bool)),
            (f"all, yaw to {FRONTAL_DEG:.0f}°", yaw < FRONTAL_DEG),
            (f"all, yaw {TURNED_DEG[0]:.0f}° to {TURNED_DEG[1]:.0f}°", turned),
        )
    ]
    for index in used:
        rows.append(
            (
                ARKIT52[index],
                float(error[:, index].mean()),
                float(plain[:, index].mean()),
                float(np.corrcoef(found[:, index], truth[:, index])[0, 1]),
                float(found[rest, index].mean()),
                int((truth[:, index] > NEUTRAL_HEADS).sum()),
            )
        )
    return rows


def _looks() -> list[int]:
    return [index for index, name in enumerate(ARKIT52) if name.startswith("eyeLook")]


def gaze_rows(answers: Answers) -> list[tuple[Cell, ...]]:
    """Return rows of frontal heads, of those to 45°, and of all."""
    error = angles_deg(answers.looks, answers.gaze)
    plain = angles_deg(-answers.rotation[:, None, :, 2], answers.gaze)
    yaw = np.abs(angles_from_rotation(answers.rotation)[:, 0])
    rows: list[tuple[Cell, ...]] = []
    for name, limit in (("yaw to 15°", 15.0), ("yaw to 45°", 45.0), ("all", 90.0)):
        chosen = yaw < limit
        errors, sure = error[chosen], answers.confidence[chosen]
        surer = sure >= np.median(sure)
        halves = (float(errors[surer].mean()), float(errors[~surer].mean()))
        rows.append((name, float(errors.mean()), float(plain[chosen].mean()), *halves, errors.size))
    return rows


def angles_deg(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the angles (...) between unit vectors (..., 3), degrees."""
    return np.degrees(np.arccos(np.clip((first * second).sum(axis=-1), -1, 1)))


def _order_row(name: str, photos: Sequence[LabelledPhoto], bench: Bench) -> tuple[Cell, ...]:
    found = [
        openings(photo.landmarks_px[label].astype(np.float64), face)
        for photo, faces in zip(photos, bench.predictions(photos), strict=True)
        for face, label in zip(faces, match(faces, photo), strict=True)
        if label >= 0
    ]
    eyes, mouths = np.split(np.array(found), 2, axis=1)
    orders = [
        spearmanr(each[:, 0], each[:, column]).statistic for each in (eyes, mouths) for column in (1, 2)
    ]
    return (name, *map(float, orders), len(found))


def openings(points: FloatArray, face: Face) -> tuple[float, ...]:
    """Return the openings of eyes, then of the mouth: people's, by coefficients, as plain lengths."""
    value = face.coefficients
    lids = [[(37, 41), (38, 40)], [(43, 47), (44, 46)]]
    widths = [(36, 39), (42, 45)]
    eyes = [
        np.mean([_length(points, *pair) for pair in pairs]) / _length(points, *width)
        for pairs, width in zip(lids, widths, strict=True)
    ]
    mouth = np.mean([_length(points, *pair) for pair in ((61, 67), (62, 66), (63, 65))])
    shut = [value[f"eyeBlink{side}"] - value[f"eyeWide{side}"] for side in ("Right", "Left")]
    lips = (
        value["jawOpen"]
        - value["mouthClose"]
        + sum(value[f"mouth{part}{side}"] for part in ("LowerDown", "UpperUp") for side in ("Left", "Right"))
        / 4
    )
    plain = (float(np.mean(face.eye_open)), float(face.mouth_open))
    return (
        *(float(np.mean(eyes)), -float(np.mean(shut)), plain[0]),
        *(float(mouth / _length(points, 48, 54)), float(lips), plain[1]),
    )


def _length(points: FloatArray, first: int, second: int) -> float:
    return float(np.linalg.norm(points[first] - points[second]))

"""Samples of the expression network from real faces: coefficients fitted to meshes, looks from irises."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from facegeom.geometry.gaze import gaze_from_angles
from facegeom.geometry.placement import in_canonical_frame
from facegeom.geometry.schemes import ARKIT52, MESH478_EYE_ENDS, MESH478_IRISES
from facegeom_lab.datasets.published.pack import face_rows, mesh_labels, read_face_rgba
from facegeom_lab.datasets.training.expression_samples import (
    FACES_PREFIX,
    Truth,
    View,
    analyzed,
    observer,
    save_samples,
)
from facegeom_lab.datasets.training.face_labels import landmark_map
from facegeom_lab.datasets.training.free_faces import FreeFaces
from facegeom_lab.fitting.head_fit import find_bias, fit, make_basis
from facegeom_lab.fitting.pose_fit import rotation_under_points
from facegeom_lab.measures.motion import lid_gap
from facegeom_lab.synth.generate import MODEL_FILE
from facegeom_lab.synth.model import LOOK_DEG, Floats, arkit_coefficients, load_model, simplify
from facegeom_lab.synth.scene import Image

SHARD = 2_500
FITTED_AT_ONCE = 500
BIAS_EVERY = 3

EYE_RADIUS_MM = 10.5
"""Distance of an iris from the centre of its eyeball in the canonical head."""

LARGEST_SINE = 0.8

OPEN_GAP, SHUT_GAP = 0.18, 0.06
"""Openings of the lids, in widths of the eye, from which and to which a blink goes."""


def looks_of_meshes(meshes: Floats) -> tuple[Floats, Floats]:
    """Return yaw and pitch (N, 2) of right and left eye, degrees, head frame, from meshes (N, 478, 3).

    An iris that lies aside of its usual place between the corners has turned with its eyeball. The usual
    place is the median over the faces: people look into the lens.
    """
    points = in_canonical_frame(meshes)[..., :2]
    irises = points[:, [iris[0] for iris in MESH478_IRISES]]
    aside = irises - points[:, np.array(MESH478_EYE_ENDS)].mean(axis=2)
    sine = np.clip((aside - np.median(aside, axis=0)) / EYE_RADIUS_MM, -LARGEST_SINE, LARGEST_SINE)
    yaw_deg, down_deg = np.moveaxis(np.degrees(np.arcsin(sine)), -1, 0)
    return yaw_deg, -down_deg


def with_eyes(expression: Floats, yaw_deg: Floats, pitch_deg: Floats, gaps: Floats) -> Floats:
    """Return coefficients (N, 52) whose blinks and looks are those of right and left eye.

    A fit takes a shut eye for one that looks down: both shapes lower the upper lid. Shut eyes hide where they
    look.

    Args:
        expression: (N, 52) fitted coefficients.
        yaw_deg: (N, 2) of :func:`looks_of_meshes`.
        pitch_deg: (N, 2).
        gaps: (N, 2) openings of the lids in widths of the eye.
    """
    found = expression.copy()
    shut = np.clip((OPEN_GAP - gaps) / (OPEN_GAP - SHUT_GAP), 0, 1)
    for side, name in enumerate(("Right", "Left")):
        found[:, ARKIT52.index(f"eyeBlink{name}")] = shut[:, side]
        inwards, up = yaw_deg[:, side] * (1, -1)[side], pitch_deg[:, side]
        for way, angle in (("In", inwards), ("Out", -inwards), ("Up", up), ("Down", -up)):
            look = np.clip(angle / LOOK_DEG, 0, 1) * (1 - shut[:, side])
            found[:, ARKIT52.index(f"eyeLook{way}{name}")] = look
    return found


class People(NamedTuple):
    """N labelled faces.

    Attributes:
        read: the picture (H, W, 3) of each by its number.
        meshes: (N, 478, 3) pixels.
        marks: (N, 68, 2) pixels.
        free: whether the sources are free ones, and the free weights analyze them.
    """

    read: Callable[[int], Image]
    meshes: Floats
    marks: Floats
    free: bool


def pack_people(data: Path, labels: Path) -> People:
    """Return the training faces of the data pack, without masked ones.

    Args:
        data: the data pack.
        labels: meshes, the file of ``facegeom lab label``.
    """
    table, rows = mesh_labels(labels), face_rows(data)
    known = [
        index
        for index, row in enumerate(rows)
        if row.split == "train" and table["keep"][index] and row.source != "masks"
    ]
    meshes = table["mesh"][known].astype(np.float64)

    def read(number: int) -> Image:
        pixels = read_face_rgba(data / "faces" / rows[known[number]].file)
        return np.ascontiguousarray(pixels[..., :3])

    return People(read, meshes, landmark_map(labels).apply(meshes[..., :2]), free=False)


def free_people(data: Path, labels: Path) -> People:
    """Return the free portraits for training.

    Args:
        data: the data pack.
        labels: folder of the free photos' labels.
    """
    images, table = FreeFaces(data, labels).photos("train")
    mesh, points = table.mesh.astype(np.float64), table.landmarks.astype(np.float64)
    return People(images.__getitem__, mesh, points, free=True)


def make_face_samples(data: Path, people: People, out: Path, every: int = 1) -> list[Path]:
    """Fit labelled faces and analyze them; finished shards of ``out`` are kept.

    The shards are ``expression_faces_0000.npz`` …

    Args:
        data: the data pack.
        people: the faces.
        out: folder of the shards.
        every: take every n-th face.

    Raises:
        InputError: as of :func:`facegeom_lab.datasets.training.expression_samples.observer`.
    """
    analyzer = observer(people.free)
    model = simplify(load_model(data / MODEL_FILE))
    basis = make_basis(model, find_bias(model, people.meshes[::BIAS_EVERY]))
    chosen = np.arange(len(people.meshes))[::every]
    meshes, marks = people.meshes[chosen], people.marks[chosen]
    looks_deg, shards = looks_of_meshes(meshes), []
    for start in tqdm(range(0, len(chosen), SHARD), desc="faces"):
        part = slice(start, start + SHARD)
        shards.append(out / f"{FACES_PREFIX}{start // SHARD:04d}.npz")
        if shards[-1].is_file():
            continue
        coefficients = np.concatenate(
            [
                fit(basis, meshes[part][first : first + FITTED_AT_ONCE]).coefficients
                for first in range(0, len(meshes[part]), FITTED_AT_ONCE)
            ]
        )[:, len(model.identity_mm) :]
        yaw_deg, pitch_deg = (each[part] for each in looks_deg)
        expression = np.stack([arkit_coefficients(each, model.expression_names) for each in coefficients])
        expression = with_eyes(expression, yaw_deg, pitch_deg, lid_gap(meshes[part]))
        rotation = rotation_under_points(marks[part])
        seen = gaze_from_angles(yaw_deg, pitch_deg) @ np.swapaxes(rotation, 1, 2)
        truths = map(Truth, expression, seen, rotation)
        views = map(View, map(people.read, chosen[part].tolist()), marks[part], truths)
        save_samples(shards[-1], analyzed(views, analyzer))
    return shards

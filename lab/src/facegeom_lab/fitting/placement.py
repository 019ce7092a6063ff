"""Where a mesh teacher puts its points on the head model, measured on rendered heads."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image as PillowImage
from tqdm import tqdm

from facegeom.errors import ImageError, InputError
from facegeom.geometry import topology
from facegeom.geometry.camera import Camera
from facegeom.geometry.schemes import MESH478_EYE_CORNERS
from facegeom_lab.files import save_npz
from facegeom_lab.synth.anatomy import find_anatomy, warp_canonical
from facegeom_lab.synth.mesh import Floats
from facegeom_lab.synth.model import HeadModel
from facegeom_lab.synth.scene import Sample, render
from facegeom_lab.teachers.mediapipe import Views

SIZE_PX = 320
YAW_DEG, PITCH_DEG, ROLL_DEG = (-25.0, 25.0), (-12.0, 12.0), (-8.0, 8.0)
EXTENT = (0.45, 0.6)

RIDGE = 0.02
"""Holds back the direction of the views, in which the pictures hardly see a move."""

PLAIN_ERROR, LEAST_TRUST = 1.8, 0.05
"""A point whose place varies by so much between heads, in % of the eye distance, is trusted fully."""


def neutral_heads(model: HeadModel, count: int, seed: int = 0) -> list[Sample]:
    """Render neutral faces of random people in front of plain colours."""
    heads = []
    for number in tqdm(range(count), desc="heads", unit="head"):
        rng = np.random.default_rng((seed, number))
        colour = np.broadcast_to(rng.integers(30, 220, 3, np.uint8), (8, 8, 3)).copy()
        head = render(
            *(rng, model, [colour], SIZE_PX),
            yaw_deg=YAW_DEG,
            pitch_deg=PITCH_DEG,
            roll_deg=ROLL_DEG,
            extent=EXTENT,
            expressions=_at_rest,
        )
        heads.append(head)
    return heads


def _at_rest(_: np.random.Generator, model: HeadModel) -> Floats:
    return np.zeros(len(model.expression_names), np.float32)


def teacher_points(views: Views | ImageError) -> Floats | None:
    """Return the mean (478, 2) of a teacher's points in both views of a picture; None for no face."""
    if isinstance(views, ImageError) or not len(views.plain) or not len(views.mirrored):
        return None
    back = views.mirrored[0][topology.mirror(), :2] * (-1, 1) + (views.width - 1, 0)
    return np.asarray((views.plain[0][:, :2] + back) / 2)


def moves(heads: Sequence[Sample], points_px: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Return how far the teacher's points lie from the heads' own.

    Args:
        heads: N rendered heads.
        points_px: N of (478, 2), the teacher's.

    Returns:
        Moves (478, 3), head frame, millimetres, alike on both sides, by least squares over the pictures; what
        they leave (478,), % of the eye distance, mean over the pictures.
    """
    normal, right, rest = np.zeros((478, 3, 3)), np.zeros((478, 3)), []
    for head, points in zip(heads, points_px, strict=True):
        seen, slopes = _projected(head)
        eyes = np.linalg.norm(np.subtract(*seen[list(MESH478_EYE_CORNERS)]))
        difference, slopes = (points - seen) / eyes, slopes / eyes
        normal += np.einsum("pua,pub->pab", slopes, slopes)
        right += np.einsum("pua,pu->pa", slopes, difference)
        rest.append((difference, slopes))
    normal += RIDGE * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(3)
    move = np.linalg.solve(normal, right[..., None])[..., 0]
    move = (move + move[topology.mirror()] * (-1, 1, 1)) / 2
    left = [np.linalg.norm(d - np.einsum("pua,pa->pu", s, move), axis=1) for d, s in rest]
    return move, 100 * np.mean(left, axis=0)


def _projected(head: Sample) -> tuple[Floats, Floats]:
    """Return the head's mesh (478, 2) in the picture, and its slopes (478, 2, 3) by moves of the head."""
    if head.mesh_mm is None:
        raise InputError("expected heads with their mesh, got one without")
    height, width = head.image.shape[:2]
    camera = Camera(width, height, head.fov_deg)
    x, y, z = head.mesh_mm.astype(np.float64).T
    nothing = np.zeros_like(z)
    slopes = np.array([[1 / z, nothing, -x / z**2], [nothing, 1 / z, -y / z**2]]) * camera.focal_px
    return camera.project(head.mesh_mm), np.moveaxis(slopes, 2, 0) @ head.rotation


def write_placement(
    model: HeadModel,
    find: Callable[[list[Path]], Iterable[Views | ImageError]],
    out: Path,
    count: int = 120,
    seed: int = 0,
) -> dict[str, float]:
    """Move the placement in use to where a teacher puts its points; again, until it stays.

    Args:
        model: the head.
        find: the teacher: pictures to meshes.
        out: npz to write: ``offset_mm`` (478, 3) and ``trust`` (478,).
        count: number of heads.
        seed: of the heads.

    Returns:
        Mean size of the moves, mm, and what they leave, % of the eye distance.

    Raises:
        InputError: the teacher finds too few of the faces.
    """
    heads = neutral_heads(model, count, seed)
    with TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number:04d}.png" for number in range(count)]
        for file, head in zip(files, heads, strict=True):
            PillowImage.fromarray(head.image).save(file)
        points = [teacher_points(views) for views in find(files)]
    both = [(head, each) for head, each in zip(heads, points, strict=True) if each is not None]
    if len(both) < count / 2:
        raise InputError(f"expected the teacher to find most of {count} faces, it found {len(both)}")
    move, left = moves(*zip(*both, strict=True))
    left = (left + left[topology.mirror()]) / 2
    here = find_anatomy(model).mesh(model.neutral_mm)
    offset = here + move - warp_canonical(model, model.neutral_mm)
    trust = np.clip((PLAIN_ERROR / left) ** 2, LEAST_TRUST, 1)
    save_npz(out, offset_mm=offset.astype(np.float16), trust=trust.astype(np.float16))
    return {"move_mm": float(np.linalg.norm(move, axis=1).mean()), "left_percent": float(left.mean())}

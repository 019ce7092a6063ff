"""Mesh labels of the data pack by MediaPipe 0.10.21, run in an environment of its own.

Each picture is meshed twice, as it is and mirrored (see ``consistency``). The mirror map of the 478 points
follows from the pairs: which point of one answer lies on which point of the other.
"""

import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from facegeom.errors import FacegeomError, ImageError
from facegeom.geometry.schemes import SCHEMES
from facegeom_lab.datasets.published.pack import FaceRow, face_landmarks, face_rows
from facegeom_lab.files import save_npz
from facegeom_lab.teachers import consistency
from facegeom_lab.teachers.linear_map import LinearMap, fit_linear_map
from facegeom_lab.teachers.mesher import SHAPE, meshers

REQUIREMENT = "mediapipe==0.10.21"
MAX_MIRROR_ERROR = 0.05  # of the mesh's eye distance, mean over the points
MAX_HUMAN_ERROR = 0.10  # of the inter-ocular distance, mean over the 68 points
HUMAN_SOURCES = ("helen", "lfpw")
MESH = SCHEMES["mesh478"]

MOST = 3
"""Faces looked for in a picture; the one nearest to the middle counts."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What the teacher said of N pictures with one face in the middle of each.

    Attributes:
        mesh: (N, 478, 3) pixels; NaN where no face was found.
        mirrored: (N, 478, 3) pixels of the mirrored picture.
        widths: (N,) of the pictures, pixels.
        edges: (E, 2) published edges of the mesh.
    """

    mesh: np.ndarray
    mirrored: np.ndarray
    widths: np.ndarray
    edges: np.ndarray


def ensure_python(directory: Path) -> Path:
    """An interpreter that can import MediaPipe 0.10.21, made in ``directory`` when it is not there."""
    python = directory / "bin" / "python"
    if not python.exists():
        venv.create(directory, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", REQUIREMENT], check=True)
    return python


def ask(pictures: Sequence[Path], python: Path, workers: int) -> Answers:
    """Mesh the central face of every picture; a progress bar on stderr.

    Raises:
        ImageError: a picture cannot be read.
        FacegeomError: a worker process has stopped.
    """
    mesh = np.full((len(pictures), *SHAPE), np.nan, np.float32)
    mirrored, widths = mesh.copy(), np.zeros(len(pictures), int)
    with meshers(python, workers, MOST) as teacher:
        seen = tqdm(teacher.ask(pictures), "mediapipe", len(pictures), unit="picture", file=sys.stderr)
        for row, views in enumerate(seen):
            if isinstance(views, ImageError):
                raise views
            widths[row] = views.width
            mesh[row] = central(views.plain, views.width, views.height)
            mirrored[row] = central(views.mirrored, views.width, views.height)
    return Answers(mesh, mirrored, widths, teacher.edges)


def central(meshes: np.ndarray, width: int, height: int) -> np.ndarray:
    """(478, 3) of the face whose mean point lies nearest to the picture's middle; NaN when there is none.

    Args:
        meshes: (F, 478, 3) pixels.
        width: of the picture.
        height: of the picture.
    """
    if not len(meshes):
        return np.full(SHAPE, np.nan, np.float32)
    share = (meshes[..., :2].mean(axis=1) + 0.5) / (width, height)
    return meshes[np.linalg.norm(share - 0.5, axis=1).argmin()]


def derive_mirror(mesh: np.ndarray, back: np.ndarray) -> np.ndarray:
    """(478,) the mirror map: the assignment that puts one answer's points onto the other's.

    Args:
        mesh: (N, 478, 3) pixels.
        back: (N, 478, 3) answers for the mirrored pictures, turned back, in the order of the teacher.

    Raises:
        FacegeomError: when the assignment is not its own inverse (too few faces to decide).
    """
    scale = consistency.face_size(mesh, MESH)
    cost = np.zeros((mesh.shape[1], mesh.shape[1]))
    for first, second, size in zip(back[:800], mesh[:800], scale[:800], strict=True):
        cost += np.linalg.norm(first[:, None, :2] - second[None, :, :2], axis=-1) / size
    mirror = linear_sum_assignment(cost)[1]
    if (mirror[mirror] != np.arange(len(mirror))).any():
        raise FacegeomError(f"the mirror map of {len(mesh)} faces is ambiguous; label more pictures")
    return mirror


def human_error(mesh: np.ndarray, landmarks: np.ndarray, linear_map: LinearMap) -> np.ndarray:
    """(N,) mean distance of the mesh's 68 points from given ones (NaN where none), inter-ocular."""
    return consistency.distance(landmarks, linear_map.apply(mesh[..., :2]), SCHEMES["ibug68"])


def label(data: Path, out: Path, python: Path, workers: int = 2) -> dict[str, int]:
    """Label ``data/faces`` and write ``out`` (npz): files, mesh, keep, mirror, edges,
    linear map, the faces it was fitted on and their points.

    A label is kept when the teacher found the face in both views, agrees with itself within 5 % of the eye
    distance and with the human points, where there are any, within 10 %.

    Returns:
        Counts: pictures, found, kept, and those dropped for each reason.
    """
    rows = face_rows(data)
    answers = ask([data / "faces" / row.file for row in rows], python, workers)
    found = np.isfinite(answers.mesh[:, 0, 0]) & np.isfinite(answers.mirrored[:, 0, 0])
    back = consistency.unmirror(answers.mirrored, answers.widths, np.arange(SHAPE[0]))
    mirror = derive_mirror(answers.mesh[found], back[found])
    both = consistency.agreement(answers.mesh, back[:, mirror], MESH)
    landmarks = _known_landmarks(data, rows)
    sure = both.kept(MAX_MIRROR_ERROR)
    fitted = sure & np.array([row.source in HUMAN_SOURCES and row.split == "train" for row in rows])
    linear_map = fit_linear_map(both.points[fitted], landmarks[fitted])
    disagree = human_error(both.points, landmarks, linear_map) > MAX_HUMAN_ERROR
    keep = sure & ~disagree
    save_npz(
        out,
        files=np.array([row.file for row in rows]),
        mesh=both.points,
        keep=keep,
        mirror=mirror.astype(np.int16),
        edges=answers.edges,
        map_indices=linear_map.indices,
        map_weights=linear_map.weights,
        fitted=fitted,
        landmarks=landmarks,
    )
    return {
        "pictures": len(rows),
        "found": int(found.sum()),
        "unsure": int((found & ~sure).sum()),
        "against the human points": int((found & disagree).sum()),
        "kept": int(keep.sum()),
    }


def _known_landmarks(data: Path, rows: Sequence[FaceRow]) -> np.ndarray:
    """(N, 68, 2) human points of the pictures, NaN where there are none."""
    known = face_landmarks(data)
    nothing = np.full((68, 2), np.nan, np.float32)
    return np.stack([known.get(row.file, nothing) for row in rows])

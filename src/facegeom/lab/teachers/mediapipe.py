"""Mesh labels by MediaPipe Face Mesh 0.10.21, run in an environment of its own.

Each picture is meshed twice, as it is and mirrored. The mirror map of the 478 points follows from the
pairs (which point of one answer lies on which point of the other), the label is the mean of the two
answers, and their distance says how sure the teacher is.
"""

import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from facegeom.errors import FacegeomError
from facegeom.geometry.schemes import IBUG68_EYE_CORNERS, MESH478_EYE_CORNERS
from facegeom.lab.datasets.pack import face_landmarks, face_rows
from facegeom.lab.files import save_npz
from facegeom.lab.teachers.linear_map import LinearMap, fit_linear_map

REQUIREMENT = "mediapipe==0.10.21"
MAX_MIRROR_ERROR = 0.05  # of the mesh's eye distance, mean over the points
MAX_HUMAN_ERROR = 0.10  # of the inter-ocular distance, mean over the 68 points
HUMAN_SOURCES = ("helen", "lfpw")


@dataclass(frozen=True)
class Answers:
    """What the teacher said of N pictures.

    Attributes:
        mesh: (N, 478, 3) pixels; NaN where no face was found.
        mirrored: (N, 478, 3) pixels of the mirrored picture.
        edges: (E, 2) published edges of the mesh.
    """

    mesh: np.ndarray
    mirrored: np.ndarray
    edges: np.ndarray


def ensure_python(directory: Path) -> Path:
    """An interpreter that can import MediaPipe 0.10.21, made in ``directory`` when it is not there."""
    python = directory / "bin" / "python"
    if not python.exists():
        venv.create(directory, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", REQUIREMENT], check=True)
    return python


def ask(pictures: list[Path], python: Path, workers: int) -> Answers:
    """Mesh every picture, ``workers`` processes side by side; a progress bar on stderr."""
    shards = [pictures[k::workers] for k in range(workers)]
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder) / f"{k}.npz" for k in range(workers)]
        running = [_start(python, shard, out) for shard, out in zip(shards, outputs, strict=True)]
        _watch(running, [out.with_suffix(".log") for out in outputs], len(pictures))
        parts = [dict(np.load(out)) for out in outputs]
    mesh = np.full((len(pictures), 478, 3), np.nan, np.float32)
    mirrored = mesh.copy()
    for k, part in enumerate(parts):
        mesh[k::workers], mirrored[k::workers] = part["mesh"], part["mirrored"]
    return Answers(mesh, mirrored, parts[0]["edges"])


def _start(python: Path, shard: list[Path], out: Path) -> subprocess.Popen:
    listing = out.with_suffix(".txt")
    listing.write_text("".join(f"{path}\n" for path in shard), encoding="utf-8")
    script = Path(__file__).with_name("mediapipe_worker.py")
    with out.with_suffix(".log").open("w") as log:
        return subprocess.Popen(
            [str(python), str(script), str(listing), str(out)], stdout=subprocess.PIPE, stderr=log, text=True
        )


def _watch(running: list[subprocess.Popen], logs: list[Path], total: int) -> None:
    with tqdm(total=total, desc="mediapipe", unit="picture", file=sys.stderr) as bar:
        for process, log in zip(running, logs, strict=True):
            with process:
                for _ in process.stdout or ():
                    bar.update()
            if process.returncode != 0:
                said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise FacegeomError(
                    f"the teacher stopped with exit code {process.returncode}; it said:\n{said}"
                )


def unmirror(mirrored: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Meshes of mirrored pictures (N, 478, 3) carried back onto pictures of the given widths (N,)."""
    back = mirrored.copy()
    back[..., 0] = widths[:, None] - 1 - back[..., 0]
    return back


def derive_mirror(mesh: np.ndarray, back: np.ndarray) -> np.ndarray:
    """(478,) the mirror map: the assignment that puts one answer's points onto the other's.

    Raises:
        FacegeomError: when the assignment is not its own inverse (too few faces to decide).
    """
    scale = _eye_distance(mesh)
    cost = np.zeros((mesh.shape[1], mesh.shape[1]))
    for first, second, size in zip(back[:800], mesh[:800], scale[:800], strict=True):
        cost += np.linalg.norm(first[:, None, :2] - second[None, :, :2], axis=-1) / size
    mirror = linear_sum_assignment(cost)[1]
    if (mirror[mirror] != np.arange(len(mirror))).any():
        raise FacegeomError(f"the mirror map of {len(mesh)} faces is ambiguous; label more pictures")
    return mirror


def _eye_distance(mesh: np.ndarray) -> np.ndarray:
    right, left = MESH478_EYE_CORNERS
    return np.linalg.norm(mesh[:, right, :2] - mesh[:, left, :2], axis=-1)


def mirror_error(mesh: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(N,) mean 2D distance of two answers for the same faces, of the eye distance."""
    distance = np.linalg.norm(mesh[..., :2] - other[..., :2], axis=-1).mean(axis=1)
    return distance / np.maximum(_eye_distance(mesh), 1e-6)


def human_error(mesh: np.ndarray, landmarks: np.ndarray, linear_map: LinearMap) -> np.ndarray:
    """(N,) mean distance of the mesh's 68 points from given ones (NaN where none), inter-ocular."""
    points = linear_map.apply(mesh[..., :2])
    right, left = IBUG68_EYE_CORNERS
    size = np.linalg.norm(landmarks[:, right] - landmarks[:, left], axis=-1)
    return np.linalg.norm(points - landmarks, axis=-1).mean(axis=1) / size


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
    back = unmirror(answers.mirrored, np.array([row.size_px for row in rows]))
    found = np.isfinite(answers.mesh[:, 0, 0]) & np.isfinite(back[:, 0, 0])
    mirror = derive_mirror(answers.mesh[found], back[found])
    other = back[:, mirror]
    mesh = (answers.mesh + other) / 2
    unsure = mirror_error(answers.mesh, other) > MAX_MIRROR_ERROR
    known = face_landmarks(data)
    landmarks = np.stack([known.get(row.file, np.full((68, 2), np.nan, np.float32)) for row in rows])
    by_hand = np.array([row.source in HUMAN_SOURCES and row.split == "train" for row in rows])
    fitted = found & by_hand & ~unsure
    linear_map = fit_linear_map(mesh[fitted], landmarks[fitted])
    disagree = human_error(mesh, landmarks, linear_map) > MAX_HUMAN_ERROR
    keep = found & ~unsure & ~disagree
    save_npz(
        out,
        files=np.array([row.file for row in rows]),
        mesh=mesh,
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
        "unsure": int((found & unsure).sum()),
        "against the human points": int((found & disagree).sum()),
        "kept": int(keep.sum()),
    }

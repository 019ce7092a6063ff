"""MediaPipe 0.10.21 as a teacher of meshes: worker pool, labels of whole photos, labels of the data pack.

Each image is meshed twice, as it is and mirrored (see ``consistency``).
"""

import hashlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from facegeom.errors import FacegeomError, ImageError, InputError
from facegeom.geometry.schemes import Scheme
from facegeom.image import reading
from facegeom_lab.datasets.published.pack import FaceRow, face_landmarks, face_rows
from facegeom_lab.datasets.schemes import SCHEMES
from facegeom_lab.external.environments import PACKAGE_SETS
from facegeom_lab.external.process import WorkerProcess
from facegeom_lab.files import save_npz
from facegeom_lab.teachers import consistency
from facegeom_lab.teachers.labels import PhotoLabels
from facegeom_lab.teachers.linear_map import LinearMap, fit_linear_map

NAME = "mediapipe"
MESH = SCHEMES["mesh478"]
SHAPE = (478, 3)

MAX_MIRROR_ERROR = 0.05  # of the mesh's eye distance, mean over the points
MAX_HUMAN_ERROR = 0.10  # of the inter-ocular distance, mean over the 68 points
HUMAN_SOURCES = ("helen", "lfpw")

MAX_FACES_OF_PHOTO = 50
"""Most faces looked for in a whole photo."""

MAX_FACES_OF_CROP = 3
"""Most faces looked for in an image of the data pack; the one nearest to the middle is taken."""


@dataclass(frozen=True, eq=False)
class Views:
    """Meshes found in one image.

    Attributes:
        plain: (F, 478, 3) pixels.
        mirrored: (G, 478, 3) found in the mirrored image, pixels of that.
        width: of the image, pixels.
        height: of the image, pixels.
    """

    plain: np.ndarray
    mirrored: np.ndarray
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class MeshWorkers:
    """A pool of worker processes.

    Attributes:
        processes: all of them running.
        options: of the worker's model.
        edges: (E, 2) published edges of the mesh.
    """

    processes: Sequence[WorkerProcess]
    options: dict[str, Any]
    edges: np.ndarray

    def find(self, images: Iterable[Path]) -> Iterator[Views | ImageError]:
        """Yield the meshes of each image, in order; the error for one that cannot be read.

        Raises:
            ExternalError: a worker has stopped.
        """
        idle: SimpleQueue[WorkerProcess] = SimpleQueue()
        for process in self.processes:
            idle.put(process)

        def find_in(path: Path) -> Views | ImageError:
            try:
                rgb = reading.read(path)
            except ImageError as error:
                return error
            process = idle.get()
            try:
                found = process.ask(op="find", model="mesh_of_both_views", options=self.options, array=rgb)
            finally:
                idle.put(process)
            return Views(found["plain"], found["mirrored"], rgb.shape[1], rgb.shape[0])

        with ThreadPoolExecutor(len(self.processes) + 1) as threads:  # one reads while the others wait
            yield from threads.map(find_in, images)


@contextmanager
def mesh_workers(
    python: Path, workers: int, max_faces: int, model: Path | None = None
) -> Iterator[MeshWorkers]:
    """Run worker processes inside the block.

    Args:
        python: an interpreter that can import MediaPipe 0.10.21.
        workers: number of processes.
        max_faces: most faces looked for in an image.
        model: a ``.task`` file of the Face Landmarker; None for the Face Mesh of the package.

    Raises:
        ExternalError: a worker did not start.
    """
    options = {"max_faces": max_faces, "model_file": str(model) if model else None}
    with ExitStack() as stack:
        processes = [stack.enter_context(closing(WorkerProcess(NAME, python))) for _ in range(workers)]
        for process in processes:
            process.start()
        for process in processes:
            process.ask(op="load", model="mesh_of_both_views", options=options)
        edges = processes[0].ask(op="about")["edges"]
        yield MeshWorkers(processes, options, np.array(edges, np.int16))


@dataclass(frozen=True)
class MediaPipeTeacher:
    """A :class:`facegeom_lab.teachers.labels.Teacher` of the 478 points.

    Attributes:
        python: an interpreter that can import MediaPipe 0.10.21.
        model: a ``.task`` file of its Face Landmarker; None for the Face Mesh of the package.
        workers: number of processes.
        max_flip_error: labels of photo and mirror image that differ by more are not kept.

    Raises:
        InputError: the model's file is missing.
    """

    python: Path
    model: Path | None = None
    workers: int = 2
    max_flip_error: float = MAX_MIRROR_ERROR
    scheme: ClassVar[Scheme] = MESH
    dimensions: ClassVar[int] = 3

    def __post_init__(self) -> None:
        if self.model is not None and not self.model.is_file():
            raise InputError(
                f"expected a model file at {self.model}, found nothing; get face_landmarker.task from"
                " https://ai.google.dev/edge/mediapipe/solutions/vision/face_landmarker#models"
            )

    def settings(self) -> dict[str, Any]:
        """Return the package's version or the model file's hash, and the threshold."""
        (requirement,) = PACKAGE_SETS[NAME].requirements
        model = hashlib.sha256(self.model.read_bytes()).hexdigest() if self.model else requirement
        return {"teacher": NAME, "model": model, "max_flip_error": self.max_flip_error}

    def __call__(self, photos: Sequence[Path]) -> Iterator[PhotoLabels | ImageError]:
        """Yield the faces of each photo, in order; the error for one that cannot be read."""
        with mesh_workers(self.python, self.workers, MAX_FACES_OF_PHOTO, self.model) as pool:
            for views in pool.find(photos):
                yield views if isinstance(views, ImageError) else self._labels(views)

    def _labels(self, views: Views) -> PhotoLabels:
        back = consistency.unmirror(views.mirrored, views.width, self.scheme.mirror)
        both = consistency.matched_agreement(views.plain, back, self.scheme)
        kept = both.kept(self.max_flip_error)
        return PhotoLabels(views.width, views.height, both.points, both.error, kept)


@dataclass(frozen=True, eq=False)
class CentralMeshes:
    """Meshes of the central faces of N images.

    Attributes:
        mesh: (N, 478, 3) pixels; NaN where no face was found.
        mirrored: (N, 478, 3) pixels of the mirrored image.
        widths: (N,) of the images, pixels.
        edges: (E, 2) published edges of the mesh.
    """

    mesh: np.ndarray
    mirrored: np.ndarray
    widths: np.ndarray
    edges: np.ndarray


def find_central(images: Sequence[Path], python: Path, workers: int) -> CentralMeshes:
    """Mesh the central face of every image, with a progress bar on stderr.

    Raises:
        ImageError: an image cannot be read.
        ExternalError: a worker process has stopped.
    """
    mesh = np.full((len(images), *SHAPE), np.nan, np.float32)
    mirrored, widths = mesh.copy(), np.zeros(len(images), int)
    with mesh_workers(python, workers, MAX_FACES_OF_CROP) as pool:
        found = tqdm(pool.find(images), NAME, len(images), unit="picture", file=sys.stderr)
        for row, views in enumerate(found):
            if isinstance(views, ImageError):
                raise views
            widths[row] = views.width
            mesh[row] = central(views.plain, views.width, views.height)
            mirrored[row] = central(views.mirrored, views.width, views.height)
    return CentralMeshes(mesh, mirrored, widths, pool.edges)


def central(meshes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return the mesh (478, 3) whose mean point lies nearest to the image's middle; NaN when there is none.

    Args:
        meshes: (F, 478, 3) pixels.
        width: of the image, pixels.
        height: of the image, pixels.
    """
    if not len(meshes):
        return np.full(SHAPE, np.nan, np.float32)
    relative = (meshes[..., :2].mean(axis=1) + 0.5) / (width, height)
    return meshes[np.linalg.norm(relative - 0.5, axis=1).argmin()]


def derive_mirror(mesh: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Return the mirror map (478,): the assignment that puts points of mirrored images onto the others.

    Args:
        mesh: (N, 478, 3) pixels.
        back: (N, 478, 3) points of the mirrored images, mirrored back, in the order of the teacher.

    Raises:
        FacegeomError: the assignment is not its own inverse (too few faces).
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
    """Return mean distances (N,) of the 68 points from human annotations, inter-ocular; NaN without any."""
    return consistency.distance(landmarks, linear_map.apply(mesh[..., :2]), SCHEMES["ibug68"])


def label_pack(data: Path, out: Path, python: Path, workers: int = 2) -> dict[str, int]:
    """Label ``data/faces`` and write ``out`` (npz): what ``facegeom lab label`` does.

    Arrays: files, mesh, keep, mirror, edges, the linear map, the faces it was fitted on and their points. A
    label is kept when a face was found in both views, the two agree within 5 % of the eye distance, and they
    agree with human annotations, where there are any, within 10 %.

    Returns:
        Counts: pictures, found, kept, and those dropped for each reason.
    """
    rows = face_rows(data)
    found = find_central([data / "faces" / row.file for row in rows], python, workers)
    in_both = np.isfinite(found.mesh[:, 0, 0]) & np.isfinite(found.mirrored[:, 0, 0])
    back = consistency.unmirror(found.mirrored, found.widths, np.arange(SHAPE[0]))
    mirror = derive_mirror(found.mesh[in_both], back[in_both])
    both = consistency.agreement(found.mesh, back[:, mirror], MESH)
    landmarks = _human_landmarks(data, rows)
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
        edges=found.edges,
        map_indices=linear_map.indices,
        map_weights=linear_map.weights,
        fitted=fitted,
        landmarks=landmarks,
    )
    return {
        "pictures": len(rows),
        "found": int(in_both.sum()),
        "unsure": int((in_both & ~sure).sum()),
        "against the human points": int((in_both & disagree).sum()),
        "kept": int(keep.sum()),
    }


def _human_landmarks(data: Path, rows: Sequence[FaceRow]) -> np.ndarray:
    """Return the annotated points (N, 68, 2) of the images, NaN where there are none."""
    known = face_landmarks(data)
    nothing = np.full((68, 2), np.nan, np.float32)
    return np.stack([known.get(row.file, nothing) for row in rows])

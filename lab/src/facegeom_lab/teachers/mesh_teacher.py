"""Meshes of all faces of whole photos by MediaPipe, for the labelling of a folder."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from facegeom.errors import ImageError, InputError
from facegeom.geometry.schemes import SCHEMES, Scheme
from facegeom_lab.teachers.consistency import matched_agreement, unmirror
from facegeom_lab.teachers.labels import PhotoLabels
from facegeom_lab.teachers.mediapipe import MAX_MIRROR_ERROR, REQUIREMENT
from facegeom_lab.teachers.mesher import Views, meshers

MOST = 50
"""Faces looked for in a photo."""


@dataclass(frozen=True)
class MeshTeacher:
    """A :class:`facegeom_lab.teachers.labels.Teacher` of the 478 points.

    Attributes:
        python: an interpreter that can import MediaPipe 0.10.21.
        model: a ``.task`` file of its Face Landmarker; None for the Face Mesh of the package.
        workers: processes side by side.
        max_flip_error: labels whose two answers differ by more are not kept.

    Raises:
        InputError: the model's file is missing.
    """

    python: Path
    model: Path | None = None
    workers: int = 2
    max_flip_error: float = MAX_MIRROR_ERROR
    scheme: ClassVar[Scheme] = SCHEMES["mesh478"]
    dimensions: ClassVar[int] = 3

    def __post_init__(self) -> None:
        if self.model is not None and not self.model.is_file():
            raise InputError(
                f"expected a model file at {self.model}, found nothing; get face_landmarker.task from"
                " https://ai.google.dev/edge/mediapipe/solutions/vision/face_landmarker#models"
            )

    def settings(self) -> dict[str, Any]:
        """The package or the file's hash, and the threshold."""
        model = hashlib.sha256(self.model.read_bytes()).hexdigest() if self.model else REQUIREMENT
        return {"teacher": "mediapipe", "model": model, "max_flip_error": self.max_flip_error}

    def __call__(self, photos: Sequence[Path]) -> Iterator[PhotoLabels | ImageError]:
        """The faces of each photo, in their order; its error for one that cannot be read."""
        with meshers(self.python, self.workers, MOST, self.model) as teacher:
            for seen in teacher.ask(photos):
                yield seen if isinstance(seen, ImageError) else self._labels(seen)

    def _labels(self, seen: Views) -> PhotoLabels:
        back = unmirror(seen.mirrored, seen.width, self.scheme.mirror)
        both = matched_agreement(seen.plain, back, self.scheme)
        return PhotoLabels(seen.width, seen.height, both.points, both.error, both.kept(self.max_flip_error))

"""The teachers of ``facegeom lab label-folder`` by name."""

from pathlib import Path

from facegeom.errors import InputError
from facegeom_lab.teachers.labels import Teacher
from facegeom_lab.teachers.mediapipe import ensure_python
from facegeom_lab.teachers.mesh_teacher import MeshTeacher

NAMES = ("mediapipe", "mediapipe-task", "heatmap")
WITH_MODEL = {"mediapipe-task": "a face_landmarker.task file", "heatmap": "a checkpoint in its run folder"}
ENVIRONMENT = Path.home() / ".cache" / "facegeom" / "mediapipe"
"""Where an interpreter with MediaPipe is made when none is given."""


def teacher(
    name: str, model: Path | None, python: Path | None, workers: int, max_flip_error: float
) -> Teacher:
    """Build a teacher.

    Args:
        name: one of ``NAMES``.
        model: file of those in ``WITH_MODEL``, None for the others.
        python: interpreter with MediaPipe 0.10.21; made on demand when None.
        workers: MediaPipe's processes side by side.
        max_flip_error: labels whose two answers differ by more are not kept.

    Raises:
        InputError: an unknown name; a model that is missing, damaged or not asked for.
    """
    if name not in NAMES:
        raise InputError(f"expected one of the teachers {', '.join(NAMES)}, got {name!r}")
    if model is None and name in WITH_MODEL:
        raise InputError(f"the teacher {name} needs {WITH_MODEL[name]}; give it with --model")
    if model is not None and name not in WITH_MODEL:
        raise InputError(f"the teacher {name} brings its own model, got --model {model}; leave that out")
    if name == "heatmap" and model:
        from facegeom_lab.teachers.heatmap_teacher import HeatmapTeacher  # torch and timm, only when needed

        return HeatmapTeacher(model, max_flip_error)
    return MeshTeacher(python or ensure_python(ENVIRONMENT), model, workers, max_flip_error)

"""MediaPipe 0.10.21: its face detectors, and its meshes of 478 points for benchmarks and for labels."""

from collections.abc import Callable
from typing import Any

import mediapipe
import numpy as np
from mediapipe.python.solutions import face_detection, face_mesh, face_mesh_connections

POINTS = 478
MIN_LABEL_SCORE = 0.3


def detector(**options: Any) -> tuple[Any, Any]:
    """Build FaceDetection: ``model_selection`` 0 is the short range, 1 the full range."""
    return face_detection.FaceDetection(**options).process, _read_detections


def mesh(**options: Any) -> tuple[Any, Any]:
    """Build FaceMesh with the options of its constructor."""
    return face_mesh.FaceMesh(**options).process, _read_meshes


def mesh_of_both_views(max_faces: int, model_file: str | None = None) -> tuple[Any, Any]:
    """Build the teacher: meshes of an image and of its mirror image, as arrays.

    Args:
        max_faces: most faces looked for in an image.
        model_file: a ``.task`` file of the Face Landmarker; None for the Face Mesh of the package.
    """
    find = _face_landmarker(max_faces, model_file) if model_file else _face_mesh(max_faces)

    def run(rgb: Any) -> Any:
        return _meshes(find, rgb), _meshes(find, np.ascontiguousarray(rgb[:, ::-1]))

    return run, _read_views


def _face_mesh(max_faces: int) -> Callable[[Any], Any]:
    """Return a function from an image to the points of each face."""
    network = face_mesh.FaceMesh(
        static_image_mode=True,
        refine_landmarks=True,
        max_num_faces=max_faces,
        min_detection_confidence=MIN_LABEL_SCORE,
    )
    return lambda rgb: [face.landmark for face in network.process(rgb).multi_face_landmarks or []]


def _face_landmarker(max_faces: int, model_file: str) -> Callable[[Any], Any]:
    """Return the same function for the Face Landmarker of a ``.task`` file."""
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=model_file),
        num_faces=max_faces,
        min_face_detection_confidence=MIN_LABEL_SCORE,
        min_face_presence_confidence=MIN_LABEL_SCORE,
    )
    landmarker = vision.FaceLandmarker.create_from_options(options)
    rgb_format = mediapipe.ImageFormat.SRGB
    return lambda rgb: landmarker.detect(mediapipe.Image(image_format=rgb_format, data=rgb)).face_landmarks


def _meshes(find: Callable[[Any], Any], rgb: Any) -> Any:
    """Return meshes (F, 478, 3) float32, pixels, pixel centres at integers, z on the scale of x."""
    height, width = rgb.shape[:2]
    faces = [[(point.x, point.y, point.z) for point in face] for face in find(rgb)]
    found = np.array(faces, np.float32).reshape(-1, POINTS, 3)
    found *= (width, height, width)
    found[..., :2] -= 0.5  # MediaPipe's frame spans [0, 1] from edge to edge
    return found


def _read_views(output: Any, width: int, height: int) -> dict[str, Any]:
    plain, mirrored = output
    return {"plain": plain, "mirrored": mirrored}


def _read_detections(output: Any, width: int, height: int) -> dict[str, Any]:
    boxes, scores = [], []
    for found in output.detections or []:
        box = found.location_data.relative_bounding_box
        left, top = box.xmin * width - 0.5, box.ymin * height - 0.5
        boxes.append([left, top, left + box.width * width, top + box.height * height])
        scores.append(found.score[0])
    return {"box_xyxy": boxes, "score": scores}


def _read_meshes(output: Any, width: int, height: int) -> dict[str, Any]:
    """Return meshes in pixels (z by the width, as MediaPipe defines it), their extents as boxes, scores 1."""
    faces = [[(p.x, p.y, p.z) for p in face.landmark] for face in output.multi_face_landmarks or []]
    meshes = [np.array(face) * (width, height, width) - (0.5, 0.5, 0) for face in faces]
    boxes = [[*m[:, :2].min(axis=0), *m[:, :2].max(axis=0)] for m in meshes]
    return {"box_xyxy": boxes, "score": [1.0] * len(boxes), "mesh_px": [m.round(4).tolist() for m in meshes]}


MODELS = {"detector": detector, "mesh": mesh, "mesh_of_both_views": mesh_of_both_views}
VERSIONS = {"mediapipe": mediapipe.__version__}
ABOUT = {"edges": sorted(face_mesh_connections.FACEMESH_TESSELATION)}

"""MediaPipe 0.10.21 as a peer: its two face detectors and its face mesh, in its own interpreter."""

from typing import Any

import mediapipe
import numpy as np
from protocol import Model, serve  # type: ignore[import-not-found]


def detector(**options: Any) -> Model:
    """FaceDetection: ``model_selection`` 0 is the short range, 1 the full range."""
    solution = mediapipe.solutions.face_detection.FaceDetection(**options)
    return Model(solution.process, _read_detections)


def mesh(**options: Any) -> Model:
    """FaceMesh with the options of its constructor."""
    solution = mediapipe.solutions.face_mesh.FaceMesh(**options)
    return Model(solution.process, _read_meshes)


def _read_detections(answer: Any, width: int, height: int) -> dict[str, Any]:
    boxes, scores = [], []
    for found in answer.detections or []:
        box = found.location_data.relative_bounding_box
        left, top = box.xmin * width - 0.5, box.ymin * height - 0.5
        boxes.append([left, top, left + box.width * width, top + box.height * height])
        scores.append(found.score[0])
    return {"box_xyxy": boxes, "score": scores}


def _read_meshes(answer: Any, width: int, height: int) -> dict[str, Any]:
    """Meshes in pixels (z by the width, as MediaPipe defines it); boxes are their extents, scores all 1."""
    faces = [[(p.x, p.y, p.z) for p in face.landmark] for face in answer.multi_face_landmarks or []]
    meshes = [np.array(face) * (width, height, width) - (0.5, 0.5, 0) for face in faces]
    boxes = [[*m[:, :2].min(axis=0), *m[:, :2].max(axis=0)] for m in meshes]
    return {"box_xyxy": boxes, "score": [1.0] * len(boxes), "mesh_px": [m.round(4).tolist() for m in meshes]}


if __name__ == "__main__":
    serve({"detector": detector, "mesh": mesh}, {"mediapipe": mediapipe.__version__})

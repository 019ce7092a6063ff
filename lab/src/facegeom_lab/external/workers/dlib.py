"""dlib's frontal face detector (HOG)."""

from functools import partial
from typing import Any

import dlib


def detector(upsample: int = 1) -> tuple[Any, Any]:
    """Build the detector; it enlarges the image ``upsample`` times by two (1 in dlib's examples)."""
    return partial(_run, dlib.get_frontal_face_detector(), upsample), _read


def _run(network: Any, upsample: int, image: Any) -> Any:
    boxes, scores, _ = network.run(image, upsample, 0.0)
    return boxes, scores


def _read(output: Any, width: int, height: int) -> dict[str, Any]:
    boxes, scores = output
    edges = [[box.left(), box.top(), box.right(), box.bottom()] for box in boxes]  # the last pixels inside
    return {"box_xyxy": edges, "score": [float(score) for score in scores]}


MODELS = {"detector": detector}
VERSIONS = {"dlib": dlib.__version__}

"""dlib's frontal face detector (HOG) as a peer, in its own interpreter."""

from functools import partial
from typing import Any

import dlib
from protocol import Model, serve  # type: ignore[import-not-found]


def detector(upsample: int = 1) -> Model:
    """The detector over the picture enlarged so many times by two; dlib's examples use 1."""
    return Model(partial(_run, dlib.get_frontal_face_detector(), upsample), _read)


def _run(network: Any, upsample: int, picture: Any) -> Any:
    boxes, scores, _ = network.run(picture, upsample, 0.0)
    return boxes, scores


def _read(answer: Any, width: int, height: int) -> dict[str, Any]:
    boxes, scores = answer
    edges = [[box.left(), box.top(), box.right(), box.bottom()] for box in boxes]  # the last pixels inside
    return {"box_xyxy": edges, "score": [float(score) for score in scores]}


if __name__ == "__main__":
    serve({"detector": detector}, {"dlib": dlib.__version__})

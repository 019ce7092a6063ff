"""MTCNN of facenet-pytorch, on the CPU."""

from importlib.metadata import version
from typing import Any

from facenet_pytorch import MTCNN  # type: ignore[import-not-found]


def detector(**options: Any) -> tuple[Any, Any]:
    """Build MTCNN with the options of its constructor; it finds all faces."""
    network = MTCNN(keep_all=True, device="cpu", **options)
    return network.detect, _read


def _read(output: Any, width: int, height: int) -> dict[str, Any]:
    boxes, scores = output
    if boxes is None:
        return {"box_xyxy": [], "score": []}
    return {"box_xyxy": [list(map(float, box)) for box in boxes], "score": [float(score) for score in scores]}


MODELS = {"detector": detector}
VERSIONS = {name: version(name) for name in ("facenet-pytorch", "torch")}

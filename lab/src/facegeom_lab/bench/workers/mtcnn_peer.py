"""MTCNN of facenet-pytorch as a peer, in its own interpreter, on the CPU."""

from importlib.metadata import version
from typing import Any

from facenet_pytorch import MTCNN  # type: ignore[import-not-found]
from protocol import Model, serve  # type: ignore[import-not-found]


def detector(**options: Any) -> Model:
    """MTCNN with the options of its constructor; finds all faces."""
    network = MTCNN(keep_all=True, device="cpu", **options)
    return Model(network.detect, _read)


def _read(answer: Any, width: int, height: int) -> dict[str, Any]:
    boxes, scores = answer
    if boxes is None:
        return {"box_xyxy": [], "score": []}
    return {"box_xyxy": [list(map(float, box)) for box in boxes], "score": [float(score) for score in scores]}


if __name__ == "__main__":
    serve({"detector": detector}, {name: version(name) for name in ("facenet-pytorch", "torch")})

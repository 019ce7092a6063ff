"""The one-pass detector in eight bits, beside the float one."""

from pathlib import Path

import numpy as np
from PIL import Image

from facegeom.models.detector import GRAIN, to_canvas
from facegeom_lab.datasets.published.pack import scene_entries
from facegeom_lab.measures.tables import Cell, Table
from facegeom_lab.quantization.int8 import quantise
from facegeom_lab.quantization.onnx_costs import onnx_ms, onnx_outputs

VIEW_HW = (5 * GRAIN, 7 * GRAIN)
REDUCED = (1, 2)
CALIBRATION, COMPARED, ROUNDS = 256, 64, 60

_PROTOCOL = (
    f"Views of {VIEW_HW[1]} x {VIEW_HW[0]} pixels of scenes: train's for the ranges of int8, validation's "
    "for the comparison. Score: largest and mean difference from the float network's over all cells. Times: "
    "median of one view, the variants taking turns in one process, ONNX Runtime. What detection loses: "
    "`facegeom bench accuracy --only detection`."
)


def made(content: bytes, data: Path) -> dict[str, bytes]:
    """The variants by name, the float one first; calibrated on train scenes of the data pack."""
    return {"float32": content, "int8": quantise(content, views(data, "train", CALIBRATION))}


def views(data: Path, split: str, most: int) -> np.ndarray:
    """(N, H, W, 3) uint8 the top left of what the detector sees of a split's scenes, whole and reduced."""
    found: list[np.ndarray] = []
    for entry in scene_entries(data, split):
        photo = Image.open(data / "scenes" / entry["file"]).convert("RGB")
        canvases = (to_canvas(photo.reduce(factor)) for factor in REDUCED)
        found += [canvas for canvas in canvases if (np.array(canvas.shape[:2]) >= VIEW_HW).all()]
        if len(found) >= most:
            break
    return np.stack([canvas[: VIEW_HW[0], : VIEW_HW[1]] for canvas in found[:most]])


def compare(variants: dict[str, bytes], data: Path) -> Table:
    """The table of the variants."""
    seen = views(data, "val", COMPARED)
    scores = {name: onnx_outputs(content, seen)[0] for name, content in variants.items()}
    times = {threads: onnx_ms(variants, seen[:1], threads, ROUNDS) for threads in (1, 2)}
    rows: list[tuple[Cell, ...]] = []
    for name, content in variants.items():
        apart = np.abs(scores[name] - scores["float32"])
        measured = [times[threads][name] for threads in times]
        rows.append((name, len(content) / 1e6, float(apart.max()), float(apart.mean()), *measured))
    columns = ("variant", "MB", "score, largest", "score, mean", "ms, 1 thread", "ms, 2 threads")
    return Table("Accuracy and time", _PROTOCOL, columns, rows)

"""The cascade's stages in eight and sixteen bits and with zeros, beside the float ones."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from facegeom.geometry.boxes import face_box, square
from facegeom.geometry.rotation import geodesic_deg, rotation_from_6d
from facegeom.image.crop import crop_squares
from facegeom.models.cascade import REFINE_PX, SMALLEST_IN_WINDOW, WINDOW, paint_pyramid, plan_pyramid
from facegeom.models.fpnet import WINDOW_PX
from facegeom_lab.datasets.published import pack
from facegeom_lab.datasets.published.pack import background_files, read_face_rgba, read_images, scene_entries
from facegeom_lab.datasets.training.augment import random_patch
from facegeom_lab.measures.tables import Cell, Table
from facegeom_lab.quantization.half import halve
from facegeom_lab.quantization.int8 import quantise
from facegeom_lab.quantization.onnx_costs import megabytes, onnx_ms, onnx_outputs
from facegeom_lab.quantization.zeros import pruned

STAGES = {"pnet": 128, "rnet": REFINE_PX, "fpnet": WINDOW_PX}
"""Side of a picture of each stage; P-Net's are pieces of its packed pyramid."""

SOURCES = ("helen", "lfpw")
CALIBRATION, COMPARED, ROUNDS = 256, 400, 200
MIN_FACE_PX = 40
TOLD = 0.5

_PROTOCOL = (
    "Pictures of 128 pixels of P-Net's packed pyramid (scenes), of 24 and 48 pixels for R-Net and FPNet: "
    "half around people's points, off by up to a tenth in place and a fifth in size, half from photos "
    "without a face; train's for the ranges of int8, validation's for the comparison. Told alike: share of "
    "the answers on the same side of a score of 0.5 as the float network's. Rotation: mean turn from the "
    "float network's on the faces. Deflated: the file packed by zlib. Times: median of one picture, the "
    "variants taking turns in one process, ONNX Runtime."
)


def made(network: str, content: bytes, data: Path) -> dict[str, bytes]:
    """The variants by name, the float one first; calibrated on train pictures of the data pack."""
    return {
        "float32": content,
        "int8": quantise(content, pictures(network, data, "train", CALIBRATION)),
        "fp16": halve(content),
        **pruned(content),
    }


def pictures(network: str, data: Path, split: str, count: int) -> np.ndarray:
    """(N, S, S, 3) uint8 as a stage sees them: for R-Net and FPNet faces first, then as many others."""
    rng = np.random.default_rng(len(split))
    if network == "pnet":
        return _canvases(rng, data, split, count)
    size_px = STAGES[network]
    faces = pack.face_photos(data, split, SOURCES)
    faces = [face for face in faces if len(face.landmarks_px)][:: max(1, 2 * len(faces) // count)]
    windows = [_window(rng, face, size_px) for face in faces[: count // 2]]
    photos = read_images(background_files(data, "train" if split == "train" else "val"))
    return np.stack([*windows, *(random_patch(rng, photos, size_px) for _ in windows)])


def _window(rng: np.random.Generator, face: pack.LabelledPhoto, size_px: int) -> np.ndarray:
    box = square(face_box(face.landmarks_px), float(rng.uniform(0.8, 1.2)))
    shift = rng.uniform(-0.1, 0.1, 2) * (box[0, 2] - box[0, 0])
    return crop_squares(
        np.ascontiguousarray(read_face_rgba(face.path)[..., :3]), box + np.tile(shift, 2), size_px
    )[0]


def _canvases(rng: np.random.Generator, data: Path, split: str, count: int) -> np.ndarray:
    side, found = STAGES["pnet"], []
    for entry in scene_entries(data, split):
        photo = Image.open(data / "scenes" / entry["file"]).convert("RGB")
        canvas = paint_pyramid(photo, plan_pyramid(*photo.size, SMALLEST_IN_WINDOW / MIN_FACE_PX, WINDOW))
        canvas = np.pad(canvas, [(0, max(0, side - length)) for length in canvas.shape[:2]] + [(0, 0)])
        top, left = (int(rng.integers(length - side + 1)) for length in canvas.shape[:2])
        found.append(canvas[top : top + side, left : left + side])
        if len(found) == count:
            break
    return np.stack(found)


def compare(network: str, variants: dict[str, bytes], data: Path) -> Table:
    """The table of the variants."""
    seen = pictures(network, data, "val", COMPARED)
    answers = {name: onnx_outputs(content, seen) for name, content in variants.items()}
    times = {threads: onnx_ms(variants, seen[:1], threads, ROUNDS) for threads in (1, 2)}
    reference = answers["float32"]
    rows: list[tuple[Cell, ...]] = []
    for name, content in variants.items():
        apart = np.abs(answers[name][0] - reference[0])
        alike = 100 * float(((answers[name][0] > TOLD) == (reference[0] > TOLD)).mean())
        measured = [times[threads][name] for threads in times]
        turn = _turn(answers[name], reference) if network == "fpnet" else None
        rows.append((name, *megabytes(content), float(apart.mean()), alike, turn, *measured))
    columns = ("variant", "MB", "MB deflated", "score, mean", "told alike, %", "rotation, °")
    return Table("Accuracy and time", _PROTOCOL, (*columns, "ms, 1 thread", "ms, 2 threads"), rows)


def _turn(found: Sequence[np.ndarray], reference: Sequence[np.ndarray]) -> float:
    faces = len(reference[0]) // 2
    turns = [rotation_from_6d(answer[2][:faces].astype(np.float64)) for answer in (found, reference)]
    return float(geodesic_deg(*turns).mean())

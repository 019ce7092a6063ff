"""Variants of the cascade's stages and of the one-pass detector, compared with the float networks."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from facegeom.geometry.boxes import face_box, square
from facegeom.geometry.rotation import geodesic_deg, rotation_from_6d
from facegeom.image.crop import crop_squares
from facegeom.models.cascade import REFINE_PX, SMALLEST_IN_WINDOW, WINDOW, paint_pyramid, plan_pyramid
from facegeom.models.detector import GRAIN, to_canvas
from facegeom.models.fpnet import WINDOW_PX
from facegeom_lab.datasets.published import pack
from facegeom_lab.datasets.published.pack import background_files, read_face_rgba, read_images, scene_entries
from facegeom_lab.datasets.training.augment import random_patch
from facegeom_lab.measures.tables import Cell, Table
from facegeom_lab.quantization.convert import halve, pruned, quantise
from facegeom_lab.quantization.onnx_costs import megabytes, onnx_ms, onnx_outputs

STAGES = {"pnet": 128, "rnet": REFINE_PX, "fpnet": WINDOW_PX}
"""Side of an image of each stage; P-Net's are cut out of its packed pyramid."""

SOURCES = ("helen", "lfpw")
CALIBRATION = 256
STAGE_IMAGES, STAGE_ROUNDS = 400, 200
MIN_FACE_PX = 40
SCORE_THRESHOLD = 0.5

VIEW_HW = (5 * GRAIN, 7 * GRAIN)
DOWNSCALE_FACTORS = (1, 2)
VIEWS, VIEW_ROUNDS = 64, 60

FLOAT_LAYERS = 5
"""Last layers of the one-pass detector that stay floats in eight bits: on its coarsest maps, at no cost."""

_STAGE_PROTOCOL = (
    "Images of 128 pixels of P-Net's packed pyramid (scenes), of 24 and 48 pixels for R-Net and FPNet: "
    "half around annotated points, with jitter of up to a tenth in position and a fifth in size, half from "
    "photos without a face; those of train calibrate int8, those of validation are compared. Same decision: "
    "fraction of scores on the same side of 0.5 as the float network's. Rotation: mean angle to the float "
    "network's, on the faces. Deflated: the file compressed by zlib. Times: median of one image, variants "
    "interleaved in one process, ONNX Runtime."
)

_VIEW_PROTOCOL = (
    f"Views of {VIEW_HW[1]} x {VIEW_HW[0]} pixels of scenes: those of train calibrate int8, those of "
    "validation are compared. Score: largest and mean difference from the float network's over all cells. "
    "Times: median of one view, variants interleaved in one process, ONNX Runtime. Accuracy of detection: "
    "`facegeom bench accuracy --only detection`."
)


def stage_variants(network: str, content: bytes, data: Path) -> dict[str, bytes]:
    """Make the variants of a stage by name, the float one first; calibrated on train images."""
    return {
        "float32": content,
        "int8": quantise(content, stage_images(network, data, "train", CALIBRATION)),
        "fp16": halve(content),
        **pruned(content),
    }


def stage_images(network: str, data: Path, split: str, count: int) -> np.ndarray:
    """Return input images (N, S, S, 3) uint8 of a stage; for R-Net and FPNet faces, then as many others."""
    rng = np.random.default_rng(len(split))
    if network == "pnet":
        return _pyramid_crops(rng, data, split, count)
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


def _pyramid_crops(rng: np.random.Generator, data: Path, split: str, count: int) -> np.ndarray:
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


def compare_stage(network: str, variants: dict[str, bytes], data: Path) -> Table:
    """Compare the variants of a stage in a table."""
    images = stage_images(network, data, "val", STAGE_IMAGES)
    outputs = {name: onnx_outputs(content, images) for name, content in variants.items()}
    times = {threads: onnx_ms(variants, images[:1], threads, STAGE_ROUNDS) for threads in (1, 2)}
    reference = outputs["float32"]
    rows: list[tuple[Cell, ...]] = []
    for name, content in variants.items():
        change = np.abs(outputs[name][0] - reference[0])
        same = 100 * float(((outputs[name][0] > SCORE_THRESHOLD) == (reference[0] > SCORE_THRESHOLD)).mean())
        measured = [times[threads][name] for threads in times]
        angle = _mean_angle(outputs[name], reference) if network == "fpnet" else None
        rows.append((name, *megabytes(content), float(change.mean()), same, angle, *measured))
    columns = ("variant", "MB", "MB deflated", "score, mean", "same decision, %", "rotation, °")
    return Table("Accuracy and time", _STAGE_PROTOCOL, (*columns, "ms, 1 thread", "ms, 2 threads"), rows)


def _mean_angle(found: Sequence[np.ndarray], reference: Sequence[np.ndarray]) -> float:
    faces = len(reference[0]) // 2
    rotations = [rotation_from_6d(each[2][:faces].astype(np.float64)) for each in (found, reference)]
    return float(geodesic_deg(*rotations).mean())


def onepass_variants(content: bytes, data: Path) -> dict[str, bytes]:
    """Make the variants of the one-pass detector by name, the float one first; calibrated on train scenes."""
    images = onepass_images(data, "train", CALIBRATION)
    return {"float32": content, "int8": quantise(content, images, floats=(0, FLOAT_LAYERS))}


def onepass_images(data: Path, split: str, count: int) -> np.ndarray:
    """Return the top left (N, H, W, 3) uint8 of a split's input images, full size and downscaled."""
    found: list[np.ndarray] = []
    for entry in scene_entries(data, split):
        photo = Image.open(data / "scenes" / entry["file"]).convert("RGB")
        canvases = (to_canvas(photo.reduce(factor)) for factor in DOWNSCALE_FACTORS)
        found += [canvas for canvas in canvases if (np.array(canvas.shape[:2]) >= VIEW_HW).all()]
        if len(found) >= count:
            break
    return np.stack([canvas[: VIEW_HW[0], : VIEW_HW[1]] for canvas in found[:count]])


def compare_onepass(variants: dict[str, bytes], data: Path) -> Table:
    """Compare the variants of the one-pass detector in a table."""
    images = onepass_images(data, "val", VIEWS)
    scores = {name: onnx_outputs(content, images)[0] for name, content in variants.items()}
    times = {threads: onnx_ms(variants, images[:1], threads, VIEW_ROUNDS) for threads in (1, 2)}
    rows: list[tuple[Cell, ...]] = []
    for name, content in variants.items():
        change = np.abs(scores[name] - scores["float32"])
        measured = [times[threads][name] for threads in times]
        rows.append((name, len(content) / 1e6, float(change.max()), float(change.mean()), *measured))
    columns = ("variant", "MB", "score, largest", "score, mean", "ms, 1 thread", "ms, 2 threads")
    return Table("Accuracy and time", _VIEW_PROTOCOL, columns, rows)

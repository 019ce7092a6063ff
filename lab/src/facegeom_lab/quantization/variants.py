"""Smaller and faster variants of the networks that ship: ``facegeom lab quantise``."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facegeom.errors import InputError
from facegeom.export.files import write
from facegeom.geometry.boxes import face_box, square
from facegeom.geometry.rotation import geodesic_deg, rotation_from_6d
from facegeom.geometry.schemes import IBUG68_EYE_CORNERS, MESH478_EYE_CORNERS
from facegeom.image.crop import OUTSIDE, crop_squares
from facegeom.models import weights
from facegeom.models.face import CROP_PX, CROP_SCALE
from facegeom_lab.datasets.published import pack
from facegeom_lab.datasets.published.pack import LabelledPhoto, read_face_rgba
from facegeom_lab.export import read_manifest, write_manifest
from facegeom_lab.measures.about import machine
from facegeom_lab.measures.tables import Cell, Report, Table
from facegeom_lab.quantization import detectors
from facegeom_lab.quantization.convert import halve, pruned, quantise
from facegeom_lab.quantization.onnx_costs import megabytes, onnx_ms, onnx_outputs

NETWORKS = ("face", "onepass", *detectors.STAGES)
CALIBRATION = 320
SETS = {"validation": ("val", ("helen", "lfpw")), "AFW": ("test", ("afw",))}
ROUNDS = 200

FLOAT_LAYERS = 3
"""Last layers of the face network that stay floats in eight bits: its points then jump half as far."""

_PROTOCOL = (
    "68 points against human annotations on crops around the annotated points: mean distance over the "
    "distance of the outer eye corners, %. Mesh, rotation: mean difference from the float network's "
    "prediction on the AFW crops. Times: median of one crop, variants interleaved in one process, ONNX "
    "Runtime. int8 has weights of seven bits, so that CPUs without dot products of bytes cannot overflow, "
    "and floats in its last layers; int8-full has eight bits everywhere. pruned: the smallest weights are "
    "zeros, not trained afterwards. Deflated: the file compressed by zlib."
)


@dataclass(frozen=True, eq=False)
class AnnotatedCrops:
    """Crops (N, 128, 128, 3) uint8 and annotated points (N, 68, 2): 0 in the centre, ±0.5 at the edges."""

    crops: np.ndarray
    points: np.ndarray


def run(network: str, data: Path, out: Path, model: Path | None = None) -> str:
    """Write the variants of a network, and compare their accuracy, size and time.

    Args:
        network: one of :data:`NETWORKS`.
        data: the data pack: train images to calibrate with, validation and AFW to measure.
        out: folder; see :func:`write_variants`.
        model: the float ONNX file; the one that ships by default.

    Returns:
        The table as Markdown.

    Raises:
        InputError: another network; missing data.
    """
    if network not in NETWORKS:
        raise InputError(f"expected one of {', '.join(NETWORKS)}, got {network!r}")
    content = (model or weights.path(network)).read_bytes()
    if network == "face":
        made = _face_variants(content, data)
        table = compare(made, {title: annotated_crops(data, *which) for title, which in SETS.items()})
    elif network == "onepass":
        made = detectors.onepass_variants(content, data)
        table = detectors.compare_onepass(made, data)
    else:
        made = detectors.stage_variants(network, content, data)
        table = detectors.compare_stage(network, made, data)
    write_variants(network, made, out)
    report = Report(f"Variants of the network {network}", machine(), [table])
    if not read_manifest(out):
        report.save(out, "quantise")
    return report.markdown()


def _face_variants(content: bytes, data: Path) -> dict[str, bytes]:
    train = annotated_crops(data, "train", ("helen", "lfpw", "ytf"), CALIBRATION)
    return {
        "float32": content,
        "int8": quantise(content, train.crops, floats=(0, FLOAT_LAYERS)),
        "int8-full": quantise(content, train.crops, portable=False),
        "fp16": halve(content),
        **pruned(content),
    }


def write_variants(network: str, made: dict[str, bytes], out: Path) -> None:
    """Write all variants as ``NETWORK.VARIANT.onnx``; beside a manifest, those it names and their hashes."""
    entries = read_manifest(out)
    named = entries.get(network, {}).get("variants", {})
    for name in named or made:
        write(out / f"{network}.{name}.onnx", made[name])
        if name in named:
            named[name]["sha256"] = hashlib.sha256(made[name]).hexdigest()
    if named:
        write_manifest(out, entries)


def annotated_crops(
    data: Path, split: str, sources: Sequence[str], count: int | None = None
) -> AnnotatedCrops:
    """Cut crops as in the runtime around annotated points of some sources of a split, evenly spaced."""
    found = [photo for photo in pack.face_photos(data, split, sources) if len(photo.landmarks_px)]
    step = max(1, len(found) // count) if count else 1
    parts = [_crop(photo) for photo in found[::step][:count]]
    if not parts:
        raise InputError(f"expected {split} faces of {', '.join(sources)} in {data}, found none")
    return AnnotatedCrops(*(np.stack(column) for column in zip(*parts, strict=True)))


def _crop(photo: LabelledPhoto) -> tuple[np.ndarray, np.ndarray]:
    rgba = read_face_rgba(photo.path)
    filled = np.where(rgba[..., 3:] > 0, rgba[..., :3], np.uint8(OUTSIDE))
    frame = square(square(face_box(photo.landmarks_px)), CROP_SCALE)
    centre, side = (frame[0, :2] + frame[0, 2:]) / 2, frame[0, 2] - frame[0, 0]
    return crop_squares(filled, frame, CROP_PX)[0], (photo.landmarks_px[0] - centre) / side


def compare(made: dict[str, bytes], sets: dict[str, AnnotatedCrops]) -> Table:
    """Compare variants with the first of them in a table."""
    outputs = {
        name: [onnx_outputs(content, each.crops) for each in sets.values()] for name, content in made.items()
    }
    reference = next(iter(outputs.values()))[-1]
    one = next(iter(sets.values())).crops[:1]
    times = {threads: onnx_ms(made, one, threads, ROUNDS) for threads in (1, 2)}
    rows: list[tuple[Cell, ...]] = []
    for name, content in made.items():
        errors = [
            nme(found[3], each.points) for found, each in zip(outputs[name], sets.values(), strict=True)
        ]
        rows.append(
            (
                name,
                *megabytes(content),
                *errors,
                *_differences(outputs[name][-1], reference),
                *(times[threads][name] for threads in times),
            )
        )
    columns = (
        "variant",
        "MB",
        "MB deflated",
        *(f"NME, {title}, %" for title in sets),
        "mesh, %",
        "rotation, °",
    )
    return Table("Accuracy and time", _PROTOCOL, (*columns, "ms, 1 thread", "ms, 2 threads"), rows)


def nme(landmarks: np.ndarray, truth: np.ndarray) -> float:
    """Compute the NME of points (N, 68, 2) by the outer eye corners' distance, in per cent."""
    first, second = IBUG68_EYE_CORNERS
    eyes = np.linalg.norm(truth[:, first] - truth[:, second], axis=1)
    return 100 * float((np.linalg.norm(landmarks - truth, axis=2).mean(axis=1) / eyes).mean())


def _differences(found: Sequence[np.ndarray], reference: Sequence[np.ndarray]) -> tuple[float, float]:
    first, second = MESH478_EYE_CORNERS
    mesh, other = found[4], reference[4]
    eyes = np.linalg.norm(other[:, first, :2] - other[:, second, :2], axis=1)
    change = np.linalg.norm(mesh[..., :2] - other[..., :2], axis=2).mean(axis=1) / eyes
    angle = geodesic_deg(rotation_from_6d(found[2]), rotation_from_6d(reference[2]))
    return 100 * float(change.mean()), float(angle.mean())

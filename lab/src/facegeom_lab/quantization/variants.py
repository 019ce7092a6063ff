"""Smaller and faster variants of the networks that ship, measured beside the float one in one process."""

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
from facegeom_lab.quantization import cascade_variants, detector_variants
from facegeom_lab.quantization.half import halve
from facegeom_lab.quantization.int8 import quantise
from facegeom_lab.quantization.onnx_costs import megabytes, onnx_ms, onnx_outputs
from facegeom_lab.quantization.zeros import pruned

NETWORKS = ("face", "onepass", *cascade_variants.STAGES)
CALIBRATION = 320
SETS = {"validation": ("val", ("helen", "lfpw")), "AFW": ("test", ("afw",))}
ROUNDS = 200

_PROTOCOL = (
    "68 points against people's on crops around their own square: mean distance over the distance of the "
    "outer eye corners, %. Mesh, rotation: mean difference from the float network's answer on the AFW crops. "
    "Times: median of one crop, the variants taking turns in one process, ONNX Runtime. int8 keeps "
    "weights to seven bits, so that processors without dot products of bytes cannot overflow; int8-full has "
    "all eight. pruned: the smallest weights are zeros, nothing trained afterwards. Deflated: the file "
    "packed by zlib."
)


@dataclass(frozen=True, eq=False)
class Crops:
    """Crops (N, 128, 128, 3) uint8 and people's points (N, 68, 2): 0 in the middle, ±0.5 at the edges."""

    crops: np.ndarray
    points: np.ndarray


def run(network: str, data: Path, out: Path, model: Path | None = None) -> str:
    """Write the variants of a network and what they cost and gain.

    Args:
        network: of :data:`NETWORKS`.
        data: the data pack: train pictures to calibrate with, validation and AFW to measure.
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
        made, table = _of_face(content, data)
    elif network == "onepass":
        made, table = _of_detector(content, data)
    else:
        made = cascade_variants.made(network, content, data)
        table = cascade_variants.compare(network, made, data)
    write_variants(network, made, out)
    report = Report(f"Variants of the network {network}", machine(), [table])
    if not read_manifest(out):
        report.save(out, "quantise")
    return report.markdown()


def _of_face(content: bytes, data: Path) -> tuple[dict[str, bytes], Table]:
    train = crops_of(data, "train", ("helen", "lfpw", "ytf"), CALIBRATION)
    made = {
        "float32": content,
        "int8": quantise(content, train.crops),
        "int8-full": quantise(content, train.crops, portable=False),
        "fp16": halve(content),
        **pruned(content),
    }
    return made, compare(made, {title: crops_of(data, *which) for title, which in SETS.items()})


def _of_detector(content: bytes, data: Path) -> tuple[dict[str, bytes], Table]:
    made = detector_variants.made(content, data)
    return made, detector_variants.compare(made, data)


def write_variants(network: str, made: dict[str, bytes], out: Path) -> None:
    """All variants as ``NETWORK.VARIANT.onnx``; beside a manifest those that it names, and their hashes."""
    entries = read_manifest(out)
    named = entries.get(network, {}).get("variants", {})
    for name in named or made:
        write(out / f"{network}.{name}.onnx", made[name])
        if name in named:
            named[name]["sha256"] = hashlib.sha256(made[name]).hexdigest()
    if named:
        write_manifest(out, entries)


def crops_of(data: Path, split: str, sources: Sequence[str], most: int | None = None) -> Crops:
    """Crops as the runtime cuts them around people's points, of some sources of a split, spread evenly."""
    found = [picture for picture in pack.face_photos(data, split, sources) if len(picture.landmarks_px)]
    step = max(1, len(found) // most) if most else 1
    parts = [_crop(picture) for picture in found[::step][:most]]
    if not parts:
        raise InputError(f"expected {split} faces of {', '.join(sources)} in {data}, found none")
    return Crops(*(np.stack(column) for column in zip(*parts, strict=True)))


def _crop(picture: LabelledPhoto) -> tuple[np.ndarray, np.ndarray]:
    rgba = read_face_rgba(picture.path)
    filled = np.where(rgba[..., 3:] > 0, rgba[..., :3], np.uint8(OUTSIDE))
    frame = square(square(face_box(picture.landmarks_px)), CROP_SCALE)
    middle, side = (frame[0, :2] + frame[0, 2:]) / 2, frame[0, 2] - frame[0, 0]
    return crop_squares(filled, frame, CROP_PX)[0], (picture.landmarks_px[0] - middle) / side


def compare(made: dict[str, bytes], sets: dict[str, Crops]) -> Table:
    """The table of variants by name; the first is the one that the others are compared with."""
    answers = {
        name: [onnx_outputs(content, each.crops) for each in sets.values()] for name, content in made.items()
    }
    reference = next(iter(answers.values()))[-1]
    one = next(iter(sets.values())).crops[:1]
    times = {threads: onnx_ms(made, one, threads, ROUNDS) for threads in (1, 2)}
    rows: list[tuple[Cell, ...]] = []
    for name, content in made.items():
        errors = [
            nme(found[3], each.points) for found, each in zip(answers[name], sets.values(), strict=True)
        ]
        rows.append(
            (
                name,
                *megabytes(content),
                *errors,
                *_differences(answers[name][-1], reference),
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
    """Mean distance of points (N, 68, 2) over that of the true outer eye corners, in per cent."""
    first, second = IBUG68_EYE_CORNERS
    eyes = np.linalg.norm(truth[:, first] - truth[:, second], axis=1)
    return 100 * float((np.linalg.norm(landmarks - truth, axis=2).mean(axis=1) / eyes).mean())


def _differences(found: Sequence[np.ndarray], reference: Sequence[np.ndarray]) -> tuple[float, float]:
    first, second = MESH478_EYE_CORNERS
    mesh, other = found[4], reference[4]
    eyes = np.linalg.norm(other[:, first, :2] - other[:, second, :2], axis=1)
    apart = np.linalg.norm(mesh[..., :2] - other[..., :2], axis=2).mean(axis=1) / eyes
    turned = geodesic_deg(rotation_from_6d(found[2]), rotation_from_6d(reference[2]))
    return 100 * float(apart.mean()), float(turned.mean())

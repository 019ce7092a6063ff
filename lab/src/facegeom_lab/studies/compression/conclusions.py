"""What the measured rows say: each against its baseline, the published conclusions, and two explanations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from facegeom_lab.studies.compression.methods import METHODS
from facegeom_lab.studies.compression.study import Row
from facegeom_lab.studies.reports.comparison import bootstrap_interval

BASELINE = "vgg-s"
AGAIN = {"vgg-s": "vgg-s-longer", "squeezenet": "squeezenet-longer"}
"""The row *the same training again* of each network that others start from."""

CLAIMS = (
    (
        "**Published: binarised weights are of no practical use; hardware and software cannot use them.**",
        ("binary-weights", "xnor", "xnor-real", "binarynet"),
    ),
    (
        "**Published: tensor decompositions are simple, give a steady gain of speed at a small loss, and "
        "need nothing on the target.**",
        ("cp", "cp-vgg-s", "tensor-train"),
    ),
    (
        "**Published: quantisation and hashing guarantee a large saving of memory; speed depends on the "
        "platform.**",
        ("deep-compression", "hashednets", "int8"),
    ),
)
"""The published conclusions, and the rows that speak of each."""


@dataclass(frozen=True, eq=False)
class MeasuredRow:
    """One finished row.

    Attributes:
        row: of the study.
        figures: the content of its result.json.
        onnx_ms: milliseconds in ONNX Runtime; None where not measured.
        classes: (N,) ground truth of the validation faces.
        correct: (N,) whether each was classified correctly.
    """

    row: Row
    figures: dict[str, Any]
    onnx_ms: float | None
    classes: np.ndarray
    correct: np.ndarray

    @property
    def title(self) -> str:
        """Method and, where it is not VGG-S, network."""
        network = METHODS[self.figures["network"]].title
        own = METHODS[self.row.method].title
        return own if own == network or self.figures["network"] == BASELINE else f"{own}, {network}"


def baseline(row: MeasuredRow, rows: dict[str, MeasuredRow]) -> MeasuredRow | None:
    """Return what a row is compared with.

    A row that was trained after its start had twice the training, so it stands against the row *the same
    training again* of its network; where that was not run, and for rows without further training, against its
    start, and for rows from random weights against VGG-S.
    """
    start = row.row.start or BASELINE
    trained_again = bool(row.row.start and row.figures["samples"] and row.row.method != "longer")
    return rows.get(AGAIN[start], rows.get(start)) if trained_again else rows.get(start)


def interval(row: MeasuredRow, base: MeasuredRow) -> tuple[float, float]:
    """Return the interval of the difference in accuracy; faces are weighted so that classes count equally."""
    counts = np.bincount(row.classes)
    weight = 100 * len(row.classes) / (np.count_nonzero(counts) * counts[row.classes])
    return bootstrap_interval(weight * (row.correct.astype(float) - base.correct.astype(float)))


def conclusions(rows: dict[str, MeasuredRow], bits: dict[str, dict[str, float]]) -> list[str]:
    """Discuss the published conclusions one by one with the measured rows."""
    (binary, *names), *others = ((claim, *names) for claim, names in CLAIMS)
    first = f"{binary} {_evidence(rows, names)}{_of_bits(bits)}"
    return [first, *(f"{claim} {_evidence(rows, names)}" for claim, *names in others)]


def _evidence(rows: dict[str, MeasuredRow], names: Sequence[str]) -> str:
    """Return what the rows of a claim say: size, time and accuracy against their baselines."""
    found = [_one_line(rows[name], rows) for name in names if name in rows]
    return "Here: " + ("; ".join(each for each in found if each) or "not run") + "."


def _one_line(row: MeasuredRow, rows: dict[str, MeasuredRow]) -> str:
    base = baseline(row, rows)
    if base is None:
        return ""
    smaller = base.figures["file_bytes"] / row.figures["file_bytes"]
    faster = "time not measured"
    if base.onnx_ms and row.onnx_ms:
        faster = f"{base.onnx_ms / row.onnx_ms:.1f} times as fast"
    low, high = interval(row, base)
    change = row.figures["accuracy"] - base.figures["accuracy"]
    gain = f"{change:+.1f} points ({low:+.1f} to {high:+.1f})"
    return f"{row.title}, {smaller:.1f} times smaller, {faster}, {gain}"


def _of_bits(bits: dict[str, dict[str, float]]) -> str:
    if not bits:
        return ""
    ratios = [row["floats_ms"] / row["bits_ms"] for row in bits.values()]
    return (
        " ONNX Runtime has no products of bits, so that a network of bits is no faster in it; compiled bit "
        f"products alone are {min(ratios):.0f} to {max(ratios):.0f} times as fast as floats."
    )


def notes(rows: dict[str, MeasuredRow], steps_ms: dict[str, float]) -> list[str]:
    """Return what explains two things that the tables show: BinaryNet beside XNOR-Net, times of training.

    Args:
        rows: measured ones by name.
        steps_ms: processor time of training steps, all methods taking turns; empty where not measured.
    """
    lines = []
    if {"binarynet", "xnor"} <= rows.keys():
        first, second = (rows[name].figures["accuracy"] for name in ("binarynet", "xnor"))
        lines.append(
            f"BinaryNet {first:.1f} %, XNOR-Net {second:.1f} %. They differ in more than the scales: "
            "BinaryNet normalises between each layer and the sign after it, and its logits; its weights are "
            "clipped to [-1, 1] after every step, as published. XNOR-Net's block normalises before the sign, "
            "drops what followed the layer, pools real sums, and keeps the first and the last layer real."
        )
    if steps_ms:
        each = ", ".join(f"{METHODS[name].title} {ms:.1f}" for name, ms in steps_ms.items())
        lines.append(
            "Times of training in the table are medians of runs at different times of a shared machine. In "
            f"one process, taking turns, a step costs, in processor milliseconds for each picture: {each}."
        )
    return lines

"""Finished rows of the comparison of small and fast networks."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facegeom.errors import InputError
from facegeom_lab.evaluation.run import RESULT
from facegeom_lab.studies.compression.methods import METHODS
from facegeom_lab.studies.compression.study import ROWS, TIMES, Row

BASELINE, MEGA = "vgg-s", 1e6


@dataclass(frozen=True, eq=False)
class Measured:
    """One finished row: result.json, milliseconds in ONNX Runtime, right or not for each validation face."""

    row: Row
    figures: dict[str, Any]
    onnx_ms: float | None
    classes: np.ndarray
    right: np.ndarray

    @property
    def title(self) -> str:
        """Method and, where it is not VGG-S, network."""
        network = METHODS[self.figures["network"]].title
        own = METHODS[self.row.method].title
        return own if own == network or self.figures["network"] == BASELINE else f"{own}, {network}"


def collect(runs: Path) -> tuple[dict[str, Measured], dict[str, str], dict[str, dict[str, float]]]:
    """The finished rows by name, the machine, the bit products.

    Raises:
        InputError: there is none.
    """
    finished = [row for row in ROWS if (runs / row.name / RESULT).is_file()]
    if not finished:
        raise InputError(f"expected rows of `facegeom lab compress-study` in {runs}, found none")
    file = runs / TIMES
    times = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return (
        {row.name: _measured(row, runs, times.get("onnx_ms", {}).get(row.name)) for row in finished},
        times.get("about", {}),
        times.get("bits", {}),
    )


def _measured(row: Row, runs: Path, onnx_ms: float | None) -> Measured:
    figures = json.loads((runs / row.name / RESULT).read_text(encoding="utf-8"))
    with np.load(runs / row.name / "predictions_val.npz") as arrays:
        classes, answers = arrays["classes"], arrays["answers"]
    return Measured(row, figures, onnx_ms, classes, answers == classes)

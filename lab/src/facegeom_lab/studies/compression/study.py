"""The whole comparison: every method on one task with an equal budget, then all times in one run; resumes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tqdm import tqdm

from facegeom.errors import InputError
from facegeom.export.files import write
from facegeom_lab.datasets.training import directions
from facegeom_lab.evaluation.run import RESULT
from facegeom_lab.measures.about import machine
from facegeom_lab.studies.compression import bits, costs
from facegeom_lab.studies.compression.run import FILE, compress
from facegeom_lab.studies.compression.training import Budget

PACKED, TIMES = "directions.npz", "times.json"


@dataclass(frozen=True)
class Row:
    """One row of the tables: a method and the row whose network it starts from."""

    name: str
    method: str
    start: str = ""


ROWS = (
    Row("vgg-s", "vgg-s"),
    Row("squeezenet", "squeezenet"),
    Row("cp", "cp", "squeezenet"),
    Row("squeezenet-longer", "longer", "squeezenet"),
    Row("deep-compression", "deep-compression", "vgg-s"),
    Row("fitnets", "fitnets", "vgg-s"),
    Row("tiny-darknet", "tiny-darknet"),
    Row("cp-vgg-s", "cp", "vgg-s"),
    Row("tensor-train", "tensor-train", "vgg-s"),
    Row("branchynet", "branchynet", "vgg-s"),
    Row("binary-weights", "binary-weights"),
    Row("xnor", "xnor"),
    Row("xnor-real", "xnor-real"),
    Row("binarynet", "binarynet"),
    Row("int8", "int8", "vgg-s"),
    Row("vgg-s-longer", "longer", "vgg-s"),
    Row("hashednets", "hashednets"),
)
"""In the order in which they run: those that others start from come first."""


def study(
    data: Path,
    labels: Path,
    rendered: Path | None,
    out: Path,
    only: Sequence[str] = (),
    budget: Budget | None = None,
) -> list[str]:
    """Run the rows that are not finished and measure the times of all; the names of the finished rows.

    Args:
        data: the data pack.
        labels: mesh labels.
        rendered: folder of ``facegeom lab synth`` and ``profile``.
        out: folder of the runs, one folder a row, ``directions.npz``, ``times.json``.
        only: patterns of the rows wanted, as of a shell; those that they start from come along.
        budget: of each row.

    Raises:
        InputError: a pattern that fits no row; missing data; a folder with runs of another budget.
    """
    chosen = select(only)
    packed = directions.build(data, labels, rendered, out / PACKED)
    for row in tqdm(chosen, desc="rows"):
        start = out / row.start / FILE if row.start else None
        compress(row.method, start, packed, out / row.name, budget)
    write(out / TIMES, (json.dumps(times(out), indent=2) + "\n").encode())
    return [row.name for row in chosen]


def select(only: Sequence[str]) -> list[Row]:
    """The rows that fit a pattern, and those that they start from; all without patterns."""
    wanted = {row.name for row in ROWS if not only or any(fnmatch(row.name, each) for each in only)}
    if not wanted:
        raise InputError(f"no row fits {', '.join(only)}; there are {', '.join(row.name for row in ROWS)}")
    wanted |= {row.start for row in ROWS if row.name in wanted}
    return [row for row in ROWS if row.name in wanted]


def times(out: Path) -> dict[str, Any]:
    """Milliseconds of one picture for every finished row, taking turns on one thread, and the bit products.

    BranchyNet's are those of its parts, each weighed by the share of the inputs that reach it.
    """
    finished = [row for row in ROWS if (out / row.name / RESULT).is_file()]
    files = {
        f"{row.name}/{file.name}": file
        for row in finished
        for file in sorted((out / row.name).glob("network*.onnx"))
    }
    pictures = directions.middle(directions.load(out / PACKED, "val").crops[:1])
    measured = costs.onnx_ms(files, pictures)
    return {
        "about": machine(("facegeom", "torch", "onnxruntime", "numpy")),
        "threads": 1,
        "onnx_ms": {row.name: _whole(out / row.name, row.name, measured) for row in finished},
        "bits": bits.compare(),
    }


def _whole(folder: Path, name: str, measured: dict[str, float]) -> float:
    parts = [ms for key, ms in measured.items() if key.startswith(f"{name}/")]
    shares = json.loads((folder / RESULT).read_text(encoding="utf-8")).get("exit_shares", [1.0])
    reached = [sum(shares[number:]) for number in range(len(parts))]
    return sum(ms * share for ms, share in zip(parts, reached, strict=True))

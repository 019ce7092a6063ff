"""The whole comparison: every method on one task with an equal budget, then all times in one process."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from facegeom.errors import InputError
from facegeom.export.files import write
from facegeom_lab.datasets.training import directions
from facegeom_lab.evaluation.run import RESULT
from facegeom_lab.measures.about import machine
from facegeom_lab.quantization.onnx_costs import onnx_ms
from facegeom_lab.studies.compression.binary import binary_weights
from facegeom_lab.studies.compression.networks import create
from facegeom_lab.studies.compression.run import FILE, compress
from facegeom_lab.studies.compression.training import Budget
from facegeom_lab.studies.compression.xnor import compare_products, xnor_net

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
"""In the order of running: rows that others start from come first."""


def study(
    data: Path,
    labels: Path,
    rendered: Path | None,
    out: Path,
    only: Sequence[str] = (),
    budget: Budget | None = None,
) -> list[str]:
    """Run the unfinished rows, measure the times of all, and return the names of the finished rows.

    Args:
        data: the data pack.
        labels: mesh labels.
        rendered: folder of ``facegeom lab synth`` and ``profile``.
        out: folder of the runs, one folder a row, ``directions.npz``, ``times.json``.
        only: shell patterns of rows; the rows that they start from are added.
        budget: of each row.

    Raises:
        InputError: a pattern that matches no row; missing data; a folder with runs of another budget.
    """
    chosen = select(only)
    packed = directions.build(data, labels, rendered, out / PACKED)
    for row in tqdm(chosen, desc="rows"):
        start = out / row.start / FILE if row.start else None
        compress(row.method, start, packed, out / row.name, budget)
    write(out / TIMES, (json.dumps(times(out), indent=2) + "\n").encode())
    return [row.name for row in chosen]


def select(only: Sequence[str]) -> list[Row]:
    """Return the rows that match a pattern, and those that they start from; all without patterns."""
    wanted = {row.name for row in ROWS if not only or any(fnmatch(row.name, each) for each in only)}
    if not wanted:
        raise InputError(f"no row matches {', '.join(only)}; there are {', '.join(row.name for row in ROWS)}")
    wanted |= {row.start for row in ROWS if row.name in wanted}
    return [row for row in ROWS if row.name in wanted]


def times(out: Path) -> dict[str, Any]:
    """Measure one image on one thread for every finished row, interleaved, and the bit products.

    BranchyNet's time is that of its parts, each weighted by the fraction of the inputs that reach it.

    Returns:
        The content of ``times.json``.
    """
    finished = [row for row in ROWS if (out / row.name / RESULT).is_file()]
    files = {
        f"{row.name}/{file.name}": file
        for row in finished
        for file in sorted((out / row.name).glob("network*.onnx"))
    }
    images = directions.centre_crops(directions.load(out / PACKED, "val").crops[:1])
    measured = onnx_ms(files, images)
    return {
        "about": machine(("facegeom", "torch", "onnxruntime", "numpy")),
        "threads": 1,
        "onnx_ms": {row.name: _mean_ms(out / row.name, row.name, measured) for row in finished},
        "bits": compare_products(),
        "steps_ms": training_steps(),
    }


def training_steps(rounds: int = 3, images: int = 4) -> dict[str, float]:
    """Return the least processor time of a training step of the binary methods and VGG-S, ms for each image.

    All take turns in this process, on one thread, so that nothing but their work differs.
    """
    nets = {
        "vgg-s": create("vgg-s"),
        "binary-weights": binary_weights(create("vgg-s")),
        "xnor": xnor_net(create("vgg-s")),
        "xnor-real": xnor_net(create("vgg-s"), binary_activations=False),
    }
    threads, batch = torch.get_num_threads(), torch.zeros(images, 3, directions.SIZE_PX, directions.SIZE_PX)
    classes = torch.zeros(images, dtype=torch.long)
    torch.set_num_threads(1)
    found: dict[str, list[float]] = {name: [] for name in nets}
    for _ in range(rounds + 1):
        for name, net in nets.items():
            start = time.thread_time()
            torch.nn.functional.cross_entropy(net.train()(batch), classes).backward()
            found[name].append(1e3 * (time.thread_time() - start) / images)
    torch.set_num_threads(threads)
    return {name: min(each[1:]) for name, each in found.items()}


def _mean_ms(folder: Path, name: str, measured: dict[str, float]) -> float:
    """Return a row's mean time from those of its parts, by ``row/file``."""
    parts = [ms for key, ms in measured.items() if key.startswith(f"{name}/")]
    shares = json.loads((folder / RESULT).read_text(encoding="utf-8")).get("exit_shares", [1.0])
    reached = [sum(shares[number:]) for number in range(len(parts))]
    return sum(ms * share for ms, share in zip(parts, reached, strict=True))

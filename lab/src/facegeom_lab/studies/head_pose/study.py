"""The study of FPNet: mining against all samples, raw vectors against angles, student against teacher.

Four trainings of one budget, each a run folder. Then all systems are measured on the same windows: the
validation part of the distillation set, and rendered heads that none was trained on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from facegeom.errors import InputError
from facegeom.geometry.rotation import angles_from_rotation, geodesic_deg, rotation_from_6d
from facegeom_lab.datasets.training.pose_photos import rendered_photos
from facegeom_lab.datasets.training.pose_windows import PoseWindows
from facegeom_lab.evaluation.run import read_recipe, read_result, write_result
from facegeom_lab.networks.cascade import FPNet
from facegeom_lab.networks.checkpoint import network_from_checkpoint
from facegeom_lab.studies import jobs as machinery
from facegeom_lab.studies.jobs import Job
from facegeom_lab.studies.reports.comparison import bootstrap_interval
from facegeom_lab.teachers import distillation
from facegeom_lab.teachers.distillation import FACE
from facegeom_lab.teachers.pose import pose_teachers, raw_to_rotation
from facegeom_lab.training import loop
from facegeom_lab.training.provenance import CASCADE, DETECTORS, KEY, stamp
from facegeom_lab.training.tasks.fpnet import BANDS, errors_deg, predict, target_size, to_rotations

FILE = "study.json"
TARGETS = ("vectors", "angles")
FRACTIONS: dict[str, float] = {"mined": 0.6, "all": 1.0}
"""Middle fraction of each batch that counts in the loss: the method's 60 %, or everything."""

TEACHER, FACE_NETWORK = "teacher", "face network"
SETS = {"val": "validation windows", "heads": "rendered heads"}


@dataclass(frozen=True)
class Plan:
    """Inputs and outputs of the study.

    Attributes:
        data: distillation sets ``train`` and ``val``.
        out: folder of the runs.
        teacher: name of the teacher whose vectors are learned.
        epochs: of each run.
        heads: shards of ``facegeom lab synth --split test``, rendered heads; None for none.
        model: checkpoint of 6drepnet, if it is among the set's teachers and heads are given.
        rows: folders of finished FPNet runs to measure beside the four, under the names of the folders.
    """

    data: Path
    out: Path
    teacher: str
    epochs: int
    heads: Path | None = None
    model: Path | None = None
    rows: tuple[Path, ...] = ()

    def students(self) -> dict[str, Path]:
        """Return the folders of all FPNet runs by name: the study's four, and further ones."""
        return {job.name: self.out / job.name for job in jobs(self)} | {row.name: row for row in self.rows}


def name_of(target: str, mining: str) -> str:
    """Return the name of a run."""
    return f"{target}-{mining}"


def jobs(plan: Plan) -> list[Job]:
    """Return the four runs, which differ only in target and mining."""
    same = {"teacher": plan.teacher, "epochs": plan.epochs}
    return [
        Job(name_of(target, mining), "fpnet", {**same, "target": target, "middle_share": FRACTIONS[mining]})
        for target, mining in product(TARGETS, FRACTIONS)
    ]


def study(plan: Plan, processes: int = 2) -> Path:
    """Run the trainings that are not finished, measure all, and write ``out/study.json``.

    Raises:
        InputError: a set or the teacher's predictions are missing; a run folder belongs to another plan.
        FacegeomError: a training has failed; its output is in its ``run.log``.
    """
    folders = {"val": plan.data / "val"}
    if plan.heads is not None:
        folders["heads"] = _head_windows(plan, plan.heads)
    chosen = jobs(plan)
    labels = Path("runs/labels.npz")  # the default of the command; distillation sets do not need it
    machinery.run_jobs(
        chosen, lambda job: machinery.run(job, plan.data, labels, plan.out), plan.out, processes
    )
    figures = {
        "teacher": plan.teacher,
        "epochs": plan.epochs,
        "runs": {name: read_result(folder) for name, folder in plan.students().items()},
        KEY: stamp(
            ["recipe fpnet", *(f"recipe {recipe_of(row)}" for row in plan.rows), *CASCADE, *DETECTORS]
        ),
        "sets": {name: measure(plan, folder) for name, folder in folders.items()},
    }
    write_result(plan.out, figures, FILE)
    return plan.out / FILE


def _head_windows(plan: Plan, heads: Path) -> Path:
    """Cut windows of the rendered heads, labelled by the validation set's teachers; return their folder."""
    photos = rendered_photos(heads)
    teachers = pose_teachers(known_teachers(plan.data / "val"), plan.model)
    distillation.build(photos, plan.out / "heads", teachers)
    return plan.out / "heads"


def known_teachers(folder: Path) -> list[str]:
    """Return the names of the teachers that have labelled a distillation set.

    Raises:
        InputError: no set in the folder.
    """
    files = sorted(folder.glob("poses_*.npz"))
    if not files:
        raise InputError(f"expected the shards of `facegeom lab build-pose-set` in {folder}, found none")
    with np.load(files[0]) as arrays:
        return [name.removeprefix("raw_") for name in arrays.files if name.startswith("raw_")]


def measure(plan: Plan, folder: Path) -> dict[str, Any]:
    """Return the errors of every system on a set by range of yaw, and the intervals of their differences."""
    windows = PoseWindows(folder, plan.teacher, plain=True)
    known = (windows.kind == FACE) & np.isfinite(windows.rotation).all(axis=(1, 2))
    if not known.any():
        raise InputError(f"expected faces with a known rotation in {folder}, found none")
    truth = windows.rotation[known].astype(np.float64)
    predicted = {name: each[known] for name, each in _predictions(plan, folder, windows).items()}
    errors = {name: geodesic_deg(each, truth) for name, each in predicted.items()}
    return {
        "faces": len(truth),
        "systems": {name: _figures(each, truth, predicted[TEACHER]) for name, each in predicted.items()},
        "differences": [_difference(title, *pair, errors) for title, pair in _pairs(errors).items()],
    }


def _predictions(plan: Plan, folder: Path, windows: PoseWindows) -> dict[str, np.ndarray]:
    """Return rotations (N, 3, 3) of the set's windows by system; invalid for windows without a face."""
    rotations = {name: _student(run, windows) for name, run in plan.students().items()}
    rotations[TEACHER] = raw_to_rotation(plan.teacher, windows.raw)
    if plan.teacher != "face" and "face" in known_teachers(folder):
        rotations[FACE_NETWORK] = rotation_from_6d(windows.predictions_of("face").astype(np.float64))
    return rotations


def _student(run: Path, windows: PoseWindows) -> np.ndarray:
    recipe = read_recipe(run)
    net = network_from_checkpoint(run / loop.BEST, FPNet(target_size(recipe["target"]), recipe["dropout"]))
    return to_rotations(predict(net, windows)[1], recipe["teacher"])


def recipe_of(run: Path) -> str:
    """Return the name of the recipe of a run."""
    return str(read_recipe(run)["recipe"])


def _figures(predicted: np.ndarray, truth: np.ndarray, teacher: np.ndarray) -> dict[str, Any]:
    """Return errors in degrees overall and by true |yaw|; ``to_teacher``: mean angle to the teacher's."""
    yaw = np.abs(angles_from_rotation(truth)[:, 0])
    ranges = {"all": np.ones(len(truth), bool)}
    ranges |= {f"{low}-{high}": (yaw >= low) & (yaw < high) for low, high in BANDS}
    return {
        name: {
            **{
                key: value
                for key, value in errors_deg(predicted[inside], truth[inside]).items()
                if key != "by_yaw"
            },
            "to_teacher": float(geodesic_deg(predicted[inside], teacher[inside]).mean()),
            "faces": int(inside.sum()),
        }
        for name, inside in ranges.items()
        if inside.any()
    }


def _pairs(errors: Mapping[str, np.ndarray]) -> dict[str, tuple[str, str]]:
    """Return the compared systems by the title of the comparison."""
    mining = {
        f"middle 60 % of each batch against all of it, {target}": (
            name_of(target, "mined"),
            name_of(target, "all"),
        )
        for target in TARGETS
    }
    targets = {
        f"vectors against angles, {words}": (name_of("vectors", key), name_of("angles", key))
        for key, words in (("mined", "middle 60 %"), ("all", "all samples"))
    }
    students = [name for name in errors if name not in (TEACHER, FACE_NETWORK) and "angles" not in name]
    best = min(students, key=lambda name: errors[name].mean())
    extra = [name for name in students if name not in {name_of("vectors", key) for key in FRACTIONS}]
    published = {f"{name} against vectors-all": (name, name_of("vectors", "all")) for name in extra}
    others = {
        f"FPNet ({best}) against the {name}": (best, name)
        for name in (TEACHER, FACE_NETWORK)
        if name in errors
    }
    return {**mining, **targets, **published, **others}


def _difference(title: str, run: str, base: str, errors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return two systems' mean geodesic errors, degrees, and the 95 % interval of their difference."""
    low, high = bootstrap_interval(errors[run] - errors[base])
    means = {"error": float(errors[run].mean()), "baseline": float(errors[base].mean())}
    return {"title": title, **means, "low": low, "high": high, "faces": len(errors[run])}

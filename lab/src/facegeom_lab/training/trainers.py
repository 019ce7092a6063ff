"""Train and evaluate by a recipe's name: ``facegeom lab train`` and ``facegeom lab evaluate``."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from facegeom.errors import InputError
from facegeom_lab.datasets import registry
from facegeom_lab.datasets.published import pack
from facegeom_lab.evaluation.run import RECIPE, read_metrics, read_recipe, save_recipe, write_result
from facegeom_lab.training import provenance, recipes

DEPTH_SETS = ("texas3dfrd", "eurecom", "biwi", "superface")
TRAINERS: dict[str, tuple[str, str]] = {
    "body": ("facegeom_lab.training.tasks.backbone", "BackboneRecipe"),
    "depth1": ("facegeom_lab.training.tasks.depth1", "Depth1Recipe"),
    "depth2": ("facegeom_lab.training.tasks.depth2", "Depth2Recipe"),
    "detector": ("facegeom_lab.training.tasks.detector", "DetectorRecipe"),
    "expression": ("facegeom_lab.training.tasks.expression", "ExpressionRecipe"),
    "expression-free": ("facegeom_lab.training.tasks.free", "ExpressionRecipe"),
    "face": ("facegeom_lab.training.tasks.face", "FaceRecipe"),
    "face-free": ("facegeom_lab.training.tasks.free", "FaceRecipe"),
    "face-score": ("facegeom_lab.training.tasks.face_score", "FaceScoreRecipe"),
    "fpnet": ("facegeom_lab.training.tasks.fpnet", "FPNetRecipe"),
    "heatmap": ("facegeom_lab.training.tasks.heatmap", "HeatmapRecipe"),
    "keypoints14": ("facegeom_lab.keypoints14.evaluate", "Keypoints14Recipe"),
    "landmarks": ("facegeom_lab.training.tasks.landmarks", "LandmarksRecipe"),
    "mesh478": ("facegeom_lab.training.tasks.mesh478", "Mesh478Recipe"),
    "mtcnn": ("facegeom_lab.training.tasks.mtcnn", "MtcnnRecipe"),
    "onepass": ("facegeom_lab.training.tasks.onepass", "OnePassRecipe"),
    "onepass-free": ("facegeom_lab.training.tasks.free", "OnePassRecipe"),
    "region": ("facegeom_lab.training.tasks.regions", "RegionRecipe"),
    "region-free": ("facegeom_lab.training.tasks.free", "RegionRecipe"),
    "sixdrepnet": ("facegeom_lab.training.tasks.sixdrepnet", "SixDRepNetRecipe"),
    "trees": ("facegeom_lab.studies.baselines.trees", "TreesRecipe"),
}
"""Module and recipe type by kind; ``train(recipe, inputs)`` of the module returns one or more checkpoints."""

PACK = "pack"
ANY_POINTS = ("landmarks", "heatmap", "trees")
"""Kinds that read every data set with points."""

OTHER_SETS = {
    "mesh478": ("ffhq",),
    "depth1": DEPTH_SETS,
    "depth2": DEPTH_SETS,
    "keypoints14": ("facepoints14",),
}
"""Data sets of the other kinds beside the data pack; a kind that is not here reads the pack alone."""

PACK_KINDS = (
    "body",
    "face",
    "face-score",
    "heatmap",
    "landmarks",
    "mesh478",
    "mtcnn",
    "region",
    "sixdrepnet",
    "trees",
)
"""Kinds that learn from ``data/faces`` of the data pack."""

READERS = {
    "start": (
        *("depth1", "depth2", "expression", "expression-free", "face", "face-free", "face-score", "fpnet"),
        *("onepass", "onepass-free", "region", "region-free"),
    ),
    "rendered": (
        *("depth1", "depth2", "detector", "expression", "expression-free", "face", "face-free"),
        *("face-score", "mtcnn", "onepass", "onepass-free", "region", "region-free", "sixdrepnet"),
    ),
    "hard_negatives": ("face", "face-free", "onepass-free"),
}
"""Kinds that read each of the inputs that may be left out."""

EVALUATED_SETS = {"sixdrepnet": ("aflw2000", "300w-lp", "biwi")}
"""Further data sets that a kind is evaluated on."""


@dataclass(frozen=True)
class Inputs:
    """Inputs of a training beside its recipe.

    Attributes:
        data: root of the data set.
        out: folder of the run.
        dataset: key of ``facegeom_lab.datasets.registry.DATASETS``; see :func:`check_dataset`.
        labels: mesh labels, the file of ``facegeom lab label``; for FFHQ that of ``label-folder``.
        rendered: folder of ``facegeom lab synth``, or ``lab expressions``; None for none.
        hard_negatives: file of ``facegeom lab mine``; None for none.
        start: checkpoint with the initial weights; None for random ones.
        workers: processes that prepare samples.
        processes: training processes, or GPUs.
    """

    data: Path
    out: Path
    dataset: str = PACK
    labels: Path = Path("runs/labels.npz")
    rendered: Path | None = None
    hard_negatives: Path | None = None
    start: Path | None = None
    workers: int = 2
    processes: int = 1

    @property
    def heads(self) -> list[Path]:
        """Shards of the rendered heads, none without ``rendered``."""
        return sorted(self.rendered.glob("synth_*.npz")) if self.rendered else []


def train(name: str, inputs: Inputs, overrides: Mapping[str, object] | None = None) -> dict[str, Path]:
    """Train the recipe ``name``, some of its values replaced, and return the checkpoints by network.

    Raises:
        InputError: an unknown recipe, key or value; a folder that holds another run; missing data.
    """
    kind = recipes.kind(name)
    check_dataset(kind, inputs.dataset)
    check_inputs(kind, inputs)
    recipes.check_keys(name, overrides or {})
    if inputs.dataset == PACK and kind in PACK_KINDS:
        check_pack(inputs.data, {**recipes.values(name), **(overrides or {})})
    module, recipe_type = _trainer(kind)
    recipe: Any = recipes.load(recipe_type, name, **overrides or {})
    save_recipe(inputs.out, name, kind, recipe)
    made = module.train(recipe, inputs)
    return made if isinstance(made, dict) else {name: made}


def evaluate(inputs: Inputs) -> dict[str, Any]:
    """Evaluate the finished run in ``inputs.out`` and write its ``result.json``.

    Raises:
        InputError: the folder holds no run, one of another version, or one without an evaluation.
    """
    values = read_recipe(inputs.out)
    name, kind = values.pop("recipe"), values.pop("kind")
    if inputs.dataset not in EVALUATED_SETS.get(kind, ()):
        check_dataset(kind, inputs.dataset)
    module, recipe_type = _trainer(kind)
    if not hasattr(module, "evaluate"):
        raise InputError(f"{inputs.out} is a run of {name}; `facegeom bench accuracy` measures what it makes")
    recipe = _recipe_of_run(recipe_type, values, inputs.out)
    figures = {"recipe": name, **module.evaluate(recipe, inputs), **training_cost(inputs.out)}
    figures[provenance.KEY] = provenance.recipe_stamp(name)
    write_result(inputs.out, figures)
    return figures


def check_dataset(kind: str, dataset: str) -> None:
    """Refuse a data set that the trainings of a kind cannot read.

    Raises:
        InputError: there is no such data set, or it has not what the kind learns from.
    """
    found = registry.info(dataset)
    if kind in ANY_POINTS:
        fitting = [
            name
            for name, each in registry.DATASETS.items()
            if each.scheme and "train" in each.splits and name not in DEPTH_SETS
        ]
        if dataset not in fitting:
            raise InputError(
                f"the kind {kind} learns points, and {found.title} has none to train on; "
                f"expected --dataset one of {', '.join(fitting)}"
            )
        return
    known = (PACK, *OTHER_SETS.get(kind, ()))
    if dataset not in known:
        raise InputError(
            f"the kind {kind} cannot be trained on {found.title}; expected --dataset {' or '.join(known)}"
        )


def check_inputs(kind: str, inputs: Inputs) -> None:
    """Refuse files and folders that are missing, or that the kind does not read.

    Raises:
        InputError: one of them is given.
    """
    for name, kinds in READERS.items():
        given = getattr(inputs, name)
        option = f"--{name.replace('_', '-')}"
        if given is not None and kind not in kinds:
            raise InputError(f"{option}: trainings of the kind {kind} do not read it; leave it out")
        if given is not None and not given.exists():
            raise InputError(f"{option}: expected {given}, found nothing; check the path")


def check_pack(data: Path, values: Mapping[str, object]) -> None:
    """Refuse a data pack that is too small for a training, before PyTorch is imported and images are read.

    Args:
        data: the data pack; one without ``faces/faces.csv`` is refused where it is read.
        values: of the recipe.

    Raises:
        InputError: a split without faces, or fewer of them than a batch.
    """
    if not (data / "faces" / "faces.csv").is_file():
        return
    counts = Counter(row.split for row in pack.face_rows(data))
    for split in ("train", "val"):
        if not counts[split]:
            raise InputError(
                f"expected faces of the splits train and val in {data / 'faces' / 'faces.csv'}, found none "
                f"of {split} ({dict(counts)}); docs/data.md says how the pack is laid out"
            )
    batch = values.get("batch")
    drawn = any(values.get(key) for key in ("samples_per_epoch", "steps", "windows_per_photo"))
    if isinstance(batch, int) and not drawn and counts["train"] < batch:
        raise InputError(
            f"expected at least {batch} training faces to fill a batch, found {counts['train']} in {data}; "
            f"give --set batch={counts['train']}, or more faces"
        )


def _trainer(kind: str) -> tuple[Any, type]:
    if kind not in TRAINERS:
        raise InputError(f"expected one of the kinds {', '.join(TRAINERS)}, got {kind!r}")
    module_name, type_name = TRAINERS[kind]
    module = import_module(module_name)
    return module, getattr(module, type_name)


def _recipe_of_run(recipe_type: Any, values: dict[str, Any], run: Path) -> Any:
    known = set(recipe_type.__dataclass_fields__)
    if wrong := sorted(known ^ set(values)):
        raise InputError(
            f"{run / RECIPE} is of another version, which differs in {', '.join(wrong)}; train again"
        )
    return recipe_type(**values)


def training_cost(out: Path) -> dict[str, Any]:
    """Return epochs, seconds and samples of a training so far, from its log."""
    log = read_metrics(out)
    if not log:
        return {}
    return {
        "epochs": len(log["epoch"]),
        "train_seconds": float(np.nansum(log["seconds"])),
        "samples": int(np.nansum(log["samples"])),
    }

"""The run of the regression trees: grown on a data set, made small, measured whole and small."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from tqdm import tqdm

from facegeom.errors import InputError
from facegeom.export.files import write
from facegeom.geometry.boxes import from_points
from facegeom_lab.datasets import registry
from facegeom_lab.datasets.records import FaceRecord
from facegeom_lab.datasets.training.boxes import detected_boxes
from facegeom_lab.evaluation import points, run
from facegeom_lab.measures.timing import calls_ms
from facegeom_lab.studies.baselines import compact, dlib_file
from facegeom_lab.studies.baselines.dlib_trees import (
    TreesRecipe,
    grow,
    load_dlib,
    points_of,
    rectangle,
)
from facegeom_lab.studies.baselines.shape_predictor import ShapePredictor
from facegeom_lab.training.trainers import Inputs

TREES, COMPACT = "trees.dat", "trees.compact"
"""Files of a run: dlib's own, and the small one."""

TIMED_FACES = 100


@dataclass(frozen=True, eq=False)
class Faces:
    """Labelled faces of one point scheme.

    Attributes:
        records: with points.
        boxes_xyxy: (N, 4) pixels: where a detector found them, or the extent of the points.
        undetected: faces that the detector did not find.
    """

    records: Sequence[FaceRecord]
    boxes_xyxy: np.ndarray
    undetected: int = 0


def train(recipe: TreesRecipe, inputs: Inputs) -> Path:
    """Grow the trees on the split train in the detector's boxes; dlib's file."""
    return fit(recipe, load_faces(inputs, "train"), inputs.out)


def evaluate(recipe: TreesRecipe, inputs: Inputs) -> dict[str, Any]:
    """Measure a run on val and test in the detector's boxes; see :func:`measure`."""
    return measure(inputs.out, {split: load_faces(inputs, split) for split in ("val", "test")})


def load_faces(inputs: Inputs, split: str) -> Faces:
    """The faces of a split that have points, in the boxes that the networks get."""
    every = registry.load(inputs.dataset, inputs.data, split)
    records = [record for record in every if record.points is not None]
    if not records:
        raise InputError(
            f"expected faces with points in the split {split}, got none; see `facegeom lab inspect`"
        )
    boxes = detected_boxes(records, inputs.out.parent / "boxes").astype(np.float64)
    missed = ~np.isfinite(boxes).all(axis=1)
    for index in np.flatnonzero(missed):
        truth = points_of(records[index])
        boxes[index] = from_points(truth[np.isfinite(truth).all(axis=1)])
    return Faces(records, boxes, int(missed.sum()))


def fit(recipe: TreesRecipe, faces: Faces, out: Path) -> Path:
    """Grow the trees and round them; dlib's file, ``out/trees.dat``. Those already there are not grown again.

    Raises:
        InputError: a face without points.
        FacegeomError: dlib is not installed.
    """
    file = out / TREES
    if not file.exists():
        start = time.perf_counter()
        content = grow(recipe, faces.records, faces.boxes_xyxy)
        _log(out, recipe, time.perf_counter() - start, len(faces.records))
        write(file, content)
    write(out / COMPACT, compact.encode(compact.quantise(dlib_file.read(file), recipe.leaf_unit)))
    return file


def _log(out: Path, recipe: TreesRecipe, seconds: float, faces: int) -> None:
    """One row in place of a network's learning curve; a face counts once for each shape it starts from."""
    trees = recipe.cascade_depth * recipe.num_trees_per_cascade_level
    row = f"0,{trees},{seconds:.1f},{faces * recipe.oversampling_amount}"
    write(out / "log" / "version_0" / "metrics.csv", f"epoch,step,seconds,samples\n{row}\n".encode())


def measure(out: Path, splits: Mapping[str, Faces]) -> dict[str, Any]:
    """Everything measured of a run for ``result.json``; keeps the predictions of the whole trees.

    Args:
        out: folder with the files of :func:`fit`.
        splits: faces by split, ``test`` among them.

    Returns:
        By split the figures of :func:`points.measure` of the whole trees; ``quantised``, those of the small
        ones on test, and ``nme_quantised``, the first of them; ``bytes`` and ``bytes_quantised`` of the two
        files; ``cpu_ms`` by :func:`latency_ms`.
    """
    whole = dlib_file.read(out / TREES)
    small = compact.decode((out / COMPACT).read_bytes()).predictor()
    figures: dict[str, Any] = {}
    for split, faces in splits.items():
        told = predict(whole, faces)
        run.write_predictions(out, split, told)
        figures[split] = _figures(told) | {"undetected": faces.undetected}
    figures["quantised"] = _figures(predict(small, splits["test"]))
    return figures | {
        "nme_quantised": figures["quantised"][f"nme_{figures['quantised']['normaliser']}"],
        "bytes": (out / TREES).stat().st_size,
        "bytes_quantised": (out / COMPACT).stat().st_size,
        "cpu_ms": latency_ms(out / TREES, splits["test"]),
        "cpu_threads": 1,
    }


def _figures(told: run.Predictions) -> dict[str, Any]:
    return points.measure(told.predicted, told.truth, told.scheme, told.sizes_wh)


def predict(predictor: ShapePredictor, faces: Faces) -> run.Predictions:
    """The points of every face, not rounded to whole pixels as dlib does."""
    rows = zip(faces.records, faces.boxes_xyxy, strict=True)
    photos = ((record.read(), box) for record, box in rows)
    told = [
        (predictor.predict(photo, box), photo.shape[1::-1])
        for photo, box in tqdm(photos, desc="predictions", total=len(faces.records))
    ]
    return run.Predictions(
        files=np.array([record.name for record in faces.records]),
        predicted=np.stack([each for each, _ in told]),
        truth=np.stack([points_of(record) for record in faces.records]),
        sizes_wh=np.array([size for _, size in told]),
        scheme=faces.records[0].scheme,
    )


def latency_ms(file: Path, faces: Faces, repetitions: int = 5) -> float:
    """Median milliseconds of dlib itself for one face in a decoded photo; it uses one thread."""
    model = load_dlib().shape_predictor(str(file))
    times: list[float] = []
    for record, box in zip(faces.records[:TIMED_FACES], faces.boxes_xyxy, strict=False):
        times += calls_ms(partial(model, record.read(), rectangle(box)), repetitions, warm=2)
    return median(times)

"""A run of the regression trees: trained on a data set, compacted, both versions measured."""

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
from facegeom_lab.datasets.training.landmark_crops import detected_boxes
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
"""Files of a run: dlib's own, and the compact one."""

TIMED_FACES = 100


@dataclass(frozen=True, eq=False)
class BoxedFaces:
    """Labelled faces of one point scheme.

    Attributes:
        records: with points.
        boxes_xyxy: (N, 4) pixels: the detector's, or the extent of the points.
        undetected: number of faces that the detector did not find.
    """

    records: Sequence[FaceRecord]
    boxes_xyxy: np.ndarray
    undetected: int = 0


def train(recipe: TreesRecipe, inputs: Inputs) -> Path:
    """Train on the split train in the detector's boxes; return dlib's file."""
    return fit(recipe, load_faces(inputs, "train"), inputs.out)


def evaluate(recipe: TreesRecipe, inputs: Inputs) -> dict[str, Any]:
    """Measure a run on val and test in the detector's boxes; see :func:`measure`."""
    splits = registry.measured_splits(inputs.dataset)
    return measure(inputs.out, {split: load_faces(inputs, split) for split in splits})


def load_faces(inputs: Inputs, split: str) -> BoxedFaces:
    """Load the faces of a split that have points, in the boxes that the networks use."""
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
    return BoxedFaces(records, boxes, int(missed.sum()))


def fit(recipe: TreesRecipe, faces: BoxedFaces, out: Path) -> Path:
    """Train the trees and write both files; return dlib's, ``out/trees.dat``, which is kept if it exists.

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
    """Log the training as one epoch; a face counts once for each initial shape."""
    trees = recipe.cascade_depth * recipe.num_trees_per_cascade_level
    row = f"0,{trees},{seconds:.1f},{faces * recipe.oversampling_amount}"
    write(out / "log" / "version_0" / "metrics.csv", f"epoch,step,seconds,samples\n{row}\n".encode())


def measure(out: Path, splits: Mapping[str, BoxedFaces]) -> dict[str, Any]:
    """Measure a run for ``result.json``; write the predictions of the unrounded trees.

    Args:
        out: folder with the files of :func:`fit`.
        splits: faces by split, those of ``test`` last where there are any.

    Returns:
        By split, the figures of :func:`points.measure` of the unrounded trees; ``quantised``, those of the
        compact ones on the last split, and ``nme_quantised``, their NME; ``bytes`` and ``bytes_quantised`` of
        the two files; ``cpu_ms`` by :func:`latency_ms`.
    """
    whole = dlib_file.read(out / TREES)
    small = compact.decode((out / COMPACT).read_bytes()).predictor()
    figures: dict[str, Any] = {}
    for split, faces in splits.items():
        predictions = predict(whole, faces)
        run.write_predictions(out, split, predictions)
        figures[split] = _figures(predictions) | {"undetected": faces.undetected}
    last = list(splits.values())[-1]
    figures["quantised"] = _figures(predict(small, last))
    return figures | {
        "nme_quantised": figures["quantised"][f"nme_{figures['quantised']['normaliser']}"],
        "bytes": (out / TREES).stat().st_size,
        "bytes_quantised": (out / COMPACT).stat().st_size,
        "cpu_ms": latency_ms(out / TREES, last),
        "cpu_threads": 1,
    }


def _figures(each: run.Predictions) -> dict[str, Any]:
    return points.measure(each.predicted, each.truth, each.scheme, each.sizes_wh)


def predict(predictor: ShapePredictor, faces: BoxedFaces) -> run.Predictions:
    """Predict the points of every face, not rounded to whole pixels as dlib does."""
    rows = zip(faces.records, faces.boxes_xyxy, strict=True)
    photos = ((record.read(), box) for record, box in rows)
    predictions = [
        (predictor.predict(photo, box), photo.shape[1::-1])
        for photo, box in tqdm(photos, desc="predictions", total=len(faces.records))
    ]
    return run.Predictions(
        files=np.array([record.name for record in faces.records]),
        predicted=np.stack([each for each, _ in predictions]),
        truth=np.stack([points_of(record) for record in faces.records]),
        sizes_wh=np.array([size for _, size in predictions]),
        scheme=faces.records[0].scheme,
    )


def latency_ms(file: Path, faces: BoxedFaces, repetitions: int = 5) -> float:
    """Return dlib's median milliseconds for one face in a decoded photo; it uses one thread."""
    model = load_dlib().shape_predictor(str(file))
    times: list[float] = []
    for record, box in zip(faces.records[:TIMED_FACES], faces.boxes_xyxy, strict=False):
        times += calls_ms(partial(model, record.read(), rectangle(box)), repetitions, warm=2)
    return median(times)

"""Training of an ensemble of regression trees for face alignment by dlib's own trainer.

V. Kazemi and J. Sullivan, "One millisecond face alignment with an ensemble of regression trees", CVPR 2014.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from facegeom.errors import FacegeomError, InputError
from facegeom_lab.datasets.records import FaceRecord
from facegeom_lab.studies.baselines.shape_predictor import intensity

FloatArray = npt.NDArray[np.floating]
UInt8Array = npt.NDArray[np.uint8]

MARGIN = 0.5
"""Margin of the training images around the box on each side, as a fraction of the box's size."""


@dataclass(frozen=True)
class TreesRecipe:
    """Settings by dlib's names; see ``recipes/dlib68.yaml``.

    Attributes:
        leaf_unit: step to which the small model's leaves are rounded, sides of the box; not dlib's.
        others: the fields of ``dlib.shape_predictor_training_options``.
    """

    cascade_depth: int
    tree_depth: int
    num_trees_per_cascade_level: int
    nu: float
    oversampling_amount: int
    oversampling_translation_jitter: float
    feature_pool_size: int
    lambda_param: float
    num_test_splits: int
    feature_pool_region_padding: float
    num_threads: int
    random_seed: int
    leaf_unit: float


def load_dlib() -> Any:
    """Import ``dlib``, an optional dependency.

    Raises:
        FacegeomError: it is not installed.
    """
    try:
        import dlib
    except ImportError as error:
        raise FacegeomError(
            "regression trees need dlib: pip install 'facegeom[baselines]', or pip install dlib-bin"
        ) from error
    return dlib


def grow(recipe: TreesRecipe, records: Sequence[FaceRecord], boxes_xyxy: FloatArray) -> bytes:
    """Train on labelled faces; return the content of dlib's file.

    Args:
        recipe: settings.
        records: with points, all of one scheme; dlib skips points that are not annotated (NaN).
        boxes_xyxy: (N, 4) pixels; rounded to whole pixels, as dlib rounds everything.

    Raises:
        InputError: no faces.
        FacegeomError: dlib is not installed.
    """
    dlib = load_dlib()
    if not records:
        raise InputError("expected labelled faces to train on, got none")
    with TemporaryDirectory() as name:
        folder = Path(name)
        listing, output = write_imglab(folder, records, boxes_xyxy), folder / "trees.dat"
        trees = recipe.cascade_depth * recipe.num_trees_per_cascade_level
        tqdm.write(
            f"dlib grows {trees:,} trees on {len(records):,} faces, without progress reports", file=sys.stderr
        )
        dlib.train_shape_predictor(str(listing), str(output), _options(dlib, recipe))
        return output.read_bytes()


def _options(dlib: Any, recipe: TreesRecipe) -> Any:
    options = dlib.shape_predictor_training_options()
    settings = asdict(recipe) | {"random_seed": str(recipe.random_seed)}
    del settings["leaf_unit"]
    for name, value in settings.items():
        setattr(options, name, value)
    return options


def write_imglab(folder: Path, records: Sequence[FaceRecord], boxes_xyxy: FloatArray) -> Path:
    """Write faces as grey images and dlib's imglab XML; return the path of the XML file."""
    root = ElementTree.Element("dataset")
    images = ElementTree.SubElement(root, "images")
    rows = zip(records, np.rint(boxes_xyxy), strict=True)
    for index, (record, box) in enumerate(tqdm(rows, total=len(records), desc="images for dlib")):
        corner, grey = _cut_around(record.read(), box)
        file = folder / f"{index:06d}.png"
        Image.fromarray(grey).save(file, compress_level=1)
        image = ElementTree.SubElement(images, "image", file=str(file))
        _add_face(image, box - np.tile(corner, 2), np.rint(points_of(record) - corner))
    listing = folder / "faces.xml"
    ElementTree.ElementTree(root).write(listing)
    return listing


def _cut_around(photo: UInt8Array, box_xyxy: FloatArray) -> tuple[FloatArray, UInt8Array]:
    """Return the top left corner (2,) and the grey levels (h, w) of the part of a photo around a box."""
    margin = np.ceil((box_xyxy[2:] - box_xyxy[:2]) * MARGIN)
    low = np.maximum(box_xyxy[:2] - margin, 0).astype(int)
    high = (box_xyxy[2:] + margin).astype(int) + 1
    return low.astype(np.float64), intensity(photo[low[1] : high[1], low[0] : high[0]])


def _add_face(image: ElementTree.Element, box_xyxy: FloatArray, points: FloatArray) -> None:
    left, top, right, bottom = box_xyxy.astype(int)
    edges = {"left": left, "top": top, "width": right - left + 1, "height": bottom - top + 1}
    box = ElementTree.SubElement(image, "box", {name: str(value) for name, value in edges.items()})
    for index in np.flatnonzero(np.isfinite(points).all(axis=1)):
        x, y = points[index].astype(int)
        ElementTree.SubElement(box, "part", name=f"{index:03d}", x=str(x), y=str(y))


def rectangle(box_xyxy: FloatArray) -> Any:
    """Convert a box (4,) to dlib's rectangle, in whole pixels."""
    return load_dlib().rectangle(*np.rint(box_xyxy).astype(int).tolist())


def predict(model: Any, image: UInt8Array, box_xyxy: FloatArray) -> FloatArray:
    """Return the points (K, 2) that dlib predicts, whole pixels.

    Args:
        model: ``dlib.shape_predictor``.
        image: (H, W, 3) uint8 RGB or (H, W) grey.
        box_xyxy: (4,) pixels, rounded.
    """
    return np.array([(part.x, part.y) for part in model(image, rectangle(box_xyxy)).parts()], np.float64)


def points_of(record: FaceRecord) -> FloatArray:
    """Return the points (K, 2) of a face, NaN where not annotated.

    Raises:
        InputError: the face has no points.
    """
    if record.points is None:
        raise InputError(f"expected faces with points, got {record.name} without")
    return record.points.astype(np.float64)

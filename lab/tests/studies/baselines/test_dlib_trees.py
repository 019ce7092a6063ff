"""What dlib's trainer is given, what it gives, and what is said without it."""

import sys
from dataclasses import asdict, replace
from pathlib import Path
from xml.etree import ElementTree

import dlib
import numpy as np
import pytest
from PIL import Image

from facegeom.errors import FacegeomError, InputError
from facegeom_lab.datasets.records import FaceRecord
from facegeom_lab.studies.baselines import dlib_trees
from facegeom_lab.studies.baselines.dlib_trees import TreesRecipe
from facegeom_lab.studies.baselines.trees import TREES, BoxedFaces
from facegeom_lab.training import recipes


def test_the_recipe_that_ships() -> None:
    recipe = recipes.load(TreesRecipe, "dlib68")
    known = {name for name in dir(dlib.shape_predictor_training_options) if not name.startswith("_")}
    assert set(asdict(recipe)) - {"leaf_unit"} <= known
    assert recipe.leaf_unit > 0


def test_faces_for_imglab(tmp_path: Path) -> None:
    photo = np.zeros((100, 200, 3), np.uint8)
    photo[40:60, 60:90] = (30, 60, 91)
    points = np.array([[61.6, 40.2], [np.nan, np.nan], [88, 70]])
    record = FaceRecord("a.png", lambda: photo, "train", points=points)
    listing = dlib_trees.write_imglab(tmp_path, [record], np.array([[59.6, 40.1, 89.7, 61.0]]))
    image, *others = ElementTree.parse(listing).getroot().iter("image")
    grey = np.asarray(Image.open(image.attrib["file"]))
    box = image.find("box")
    assert not others and box is not None
    left, top = 60 - 15, 40 - 11  # half the box's size remains around it
    assert grey.shape == (61 + 11 + 1 - top, 90 + 15 + 1 - left)
    assert grey[40 - top, 60 - left] == 60 and grey[39 - top, 60 - left] == 0
    assert box.attrib == {"left": str(60 - left), "top": str(40 - top), "width": "31", "height": "22"}
    parts = [part.attrib for part in box.iter("part")]
    assert parts == [
        {"name": "000", "x": str(62 - left), "y": str(40 - top)},
        {"name": "002", "x": str(88 - left), "y": str(70 - top)},
    ]


def test_pictures_end_where_the_photo_ends(tmp_path: Path) -> None:
    photo = np.zeros((50, 40, 3), np.uint8)
    record = FaceRecord("a.png", lambda: photo, "train", points=np.ones((1, 2)))
    listing = dlib_trees.write_imglab(tmp_path, [record], np.array([[-3.0, 5, 30, 60]]))
    box = next(ElementTree.parse(listing).getroot().iter("box"))
    assert box.attrib == {"left": "-3", "top": "5", "width": "34", "height": "56"}
    assert np.asarray(Image.open(tmp_path / "000000.png")).shape == (50, 40)


def test_the_trees_have_learned(run_folder: Path, train_faces: BoxedFaces, test_faces: BoxedFaces) -> None:
    model = dlib.shape_predictor(str(run_folder / TREES))
    mean = np.mean([_in_box(r.points, b) for r, b in _rows(train_faces)], axis=0)
    found = [dlib_trees.predict(model, record.read(), box) for record, box in _rows(test_faces)]
    error = [
        np.abs(_in_box(f, b) - _in_box(r.points, b))
        for f, (r, b) in zip(found, _rows(test_faces), strict=True)
    ]
    blind = [np.abs(mean - _in_box(r.points, b)) for r, b in _rows(test_faces)]
    assert np.mean(error) < 0.7 * np.mean(blind)


def _rows(faces: BoxedFaces) -> list[tuple[FaceRecord, np.ndarray]]:
    return list(zip(faces.records, faces.boxes_xyxy, strict=True))


def _in_box(points: np.ndarray | None, box: np.ndarray) -> np.ndarray:
    assert points is not None
    return (points - box[:2]) / (box[2:] - box[:2])


def test_the_same_seed_gives_the_same_trees(recipe: TreesRecipe, train_faces: BoxedFaces) -> None:
    quick = replace(recipe, cascade_depth=1, num_trees_per_cascade_level=2)
    first, again, other = (
        dlib_trees.grow(replace(quick, random_seed=seed), train_faces.records[:9], train_faces.boxes_xyxy[:9])
        for seed in (5, 5, 6)
    )
    assert first == again != other


def test_points_that_are_not_annotated(recipe: TreesRecipe, train_faces: BoxedFaces) -> None:
    quick = replace(recipe, cascade_depth=1, num_trees_per_cascade_level=2)
    records = []
    for index, record in enumerate(train_faces.records[:9]):
        points = dlib_trees.points_of(record)
        points[index % 5] = np.nan
        records.append(replace(record, points=points))
    assert dlib_trees.grow(quick, records, train_faces.boxes_xyxy[:9])


def test_faces_without_points(recipe: TreesRecipe, train_faces: BoxedFaces) -> None:
    with pytest.raises(InputError, match="labelled faces to train on, got none"):
        dlib_trees.grow(recipe, [], np.zeros((0, 4)))
    bare = replace(train_faces.records[0], points=None)
    with pytest.raises(InputError, match=r"expected faces with points, got 0.png without"):
        dlib_trees.grow(recipe, [bare], train_faces.boxes_xyxy[:1])


def test_without_dlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(FacegeomError, match=r"need dlib: pip install 'facegeom\[baselines\]'"):
        dlib_trees.load_dlib()

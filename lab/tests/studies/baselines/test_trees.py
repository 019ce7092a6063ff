"""The run: files, figures, boxes, and what is not done twice."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom_lab.evaluation.run import read_predictions
from facegeom_lab.studies.baselines import dlib_file, trees
from facegeom_lab.studies.baselines.dlib_trees import TreesRecipe
from facegeom_lab.studies.baselines.trees import COMPACT, TREES, BoxedFaces
from facegeom_lab.training.trainers import Inputs, training_cost


def test_files_of_a_run(run_folder: Path, recipe: TreesRecipe, train_faces: BoxedFaces) -> None:
    assert {path.name for path in run_folder.iterdir()} == {TREES, COMPACT, "log"}
    spent = training_cost(run_folder)
    assert spent["epochs"] == 1 and spent["train_seconds"] >= 0
    assert spent["samples"] == len(train_faces.records) * recipe.oversampling_amount


def test_grown_trees_are_only_rounded_anew(
    run_folder: Path,
    recipe: TreesRecipe,
    train_faces: BoxedFaces,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / TREES).write_bytes((run_folder / TREES).read_bytes())
    monkeypatch.setattr(trees, "grow", None)
    trees.fit(replace(recipe, leaf_unit=0.05), train_faces, tmp_path)
    assert (tmp_path / TREES).read_bytes() == (run_folder / TREES).read_bytes()
    assert (tmp_path / COMPACT).stat().st_size < (run_folder / COMPACT).stat().st_size


def test_figures(run_folder: Path, train_faces: BoxedFaces, test_faces: BoxedFaces, tmp_path: Path) -> None:
    for name in (TREES, COMPACT):
        (tmp_path / name).write_bytes((run_folder / name).read_bytes())
    figures = trees.measure(tmp_path, {"val": train_faces, "test": replace(test_faces, undetected=2)})
    json.dumps(figures, allow_nan=False)
    assert figures["bytes"] == (run_folder / TREES).stat().st_size
    assert figures["bytes_quantised"] == (run_folder / COMPACT).stat().st_size
    assert figures["val"]["faces"] == 60 and figures["test"]["faces"] == 12
    assert (figures["val"]["undetected"], figures["test"]["undetected"]) == (0, 2)
    assert figures["val"]["nme_interpupil"] < figures["test"]["nme_interpupil"] < 0.2
    assert (
        figures["nme_quantised"]
        == figures["quantised"]["nme_interpupil"]
        != figures["test"]["nme_interpupil"]
    )
    assert 0 < figures["cpu_ms"] < 1000 and figures["cpu_threads"] == 1


def test_predictions_are_kept(run_folder: Path, test_faces: BoxedFaces) -> None:
    trees.measure(run_folder, {"test": test_faces})
    told = read_predictions(run_folder, "test")
    assert told.files.tolist() == [record.name for record in test_faces.records]
    assert told.scheme == "celeba5" and told.sizes_wh.tolist() == [[90, 80]] * 12
    first = dlib_file.read(run_folder / TREES).predict(test_faces.records[0].read(), test_faces.boxes_xyxy[0])
    np.testing.assert_array_equal(told.predicted[0], first)
    (run_folder / "predictions_test.npz").unlink()


def test_boxes_of_the_detector_else_of_the_points(
    train_faces: BoxedFaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = np.array([[3.0, 8], [np.nan, np.nan], [9, 2], [5, 5], [6, 6]])
    bare, odd = (replace(train_faces.records[0], points=value) for value in (None, points))
    monkeypatch.setattr(trees.registry, "load", lambda *_: [bare, train_faces.records[1], odd])
    found = np.array([[1, 2, 3, 4], [np.nan] * 4], np.float32)
    monkeypatch.setattr(trees, "detected_boxes", lambda records, cache: found)
    faces = trees.load_faces(Inputs(tmp_path, tmp_path / "runs" / "a"), "train")
    assert [record.name for record in faces.records] == ["1.png", "0.png"]
    assert faces.boxes_xyxy.tolist() == [[1, 2, 3, 4], [3, 2, 9, 8]]
    assert faces.undetected == 1


def test_a_split_without_points(
    train_faces: BoxedFaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = replace(train_faces.records[0], points=None)
    monkeypatch.setattr(trees.registry, "load", lambda *_: [bare])
    with pytest.raises(InputError, match="faces with points in the split test, got none"):
        trees.load_faces(Inputs(tmp_path, tmp_path), "test")


def test_train_and_evaluate(
    recipe: TreesRecipe, train_faces: BoxedFaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "load_faces", lambda inputs, split: train_faces)
    inputs = Inputs(tmp_path, tmp_path / "run")
    quick = replace(recipe, cascade_depth=1, num_trees_per_cascade_level=2)
    assert trees.train(quick, inputs) == tmp_path / "run" / TREES
    assert {"val", "test", "quantised", "bytes"} <= set(trees.evaluate(quick, inputs))

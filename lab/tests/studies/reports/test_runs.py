"""Collecting runs from folders, and their figures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom_lab.evaluation.run import read_result, write_result
from facegeom_lab.studies.reports.runs import Run, Runs, collect

WriteRuns = Callable[..., Path]
NAME, OTHER = "landmarks106-resnet18-mse", "dlib68"


def test_a_folder_of_runs_and_a_run_itself(write_runs: WriteRuns, tmp_path: Path) -> None:
    root = write_runs(tmp_path, NAME, OTHER)
    (root / "begun").mkdir()
    (root / "begun" / "recipe.yaml").write_text("")
    (root / "no run").mkdir()
    runs = collect([root])
    assert sorted(runs.finished) == [OTHER, NAME]
    assert runs.unfinished == ("begun",)
    assert list(collect([root / NAME]).finished) == [NAME]


def test_the_recipe_names_the_run(write_runs: WriteRuns, tmp_path: Path) -> None:
    (write_runs(tmp_path, NAME) / NAME).rename(tmp_path / "second try")
    runs = collect([tmp_path])
    assert list(runs.finished) == [NAME]
    assert runs.unfinished == ()


def test_what_is_no_run_is_an_input_error(write_runs: WriteRuns, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found none in"):
        collect([tmp_path])
    with pytest.raises(InputError, match="expected a folder of runs"):
        collect([tmp_path / "none"])
    write_runs(tmp_path, NAME)
    write_result(tmp_path / "again", read_result(tmp_path / NAME))
    with pytest.raises(InputError, match=f"{NAME} was given twice"):
        collect([tmp_path])


def test_figures_of_splits_and_of_the_whole_run() -> None:
    run = Run(
        "r", Path(), {"val": {"auc": 0.5, "nme_box": None, "regions": {"jaw": 0.1, "nose": None}}, "macs": 7}
    )
    assert run.figure("auc", "val") == 0.5
    assert run.figure("macs", "val") == run.figure("macs") == 7
    assert run.figure("nme_box", "val") is run.figure("auc") is None
    assert run.regions("val") == {"jaw": 0.1}


def test_a_run_that_is_not_there_says_nothing() -> None:
    run = Runs({})["wished for"]
    assert not run.finished
    assert run.figure("auc") is run.face_errors("interocular") is None
    assert run.curves == run.regions() == {}


def test_errors_of_faces_are_those_of_the_result(write_runs: WriteRuns, tmp_path: Path) -> None:
    run = collect([write_runs(tmp_path, NAME)])[NAME]
    errors = run.face_errors("interpupil", "val")
    assert errors is not None
    assert list(errors)[:2] == ["val/0.jpg", "val/1.jpg"]
    assert np.mean(list(errors.values())) == pytest.approx(run.figure("nme_interpupil", "val"))

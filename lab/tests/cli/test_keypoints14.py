"""``facegeom lab keypoints14`` as a user types it."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from facegeom.errors import FacegeomError
from facegeom_lab.cli import keypoints14 as cli
from facegeom_lab.cli.keypoints14 import app
from facegeom_lab.datasets.published.facepoints14 import HEADER
from facegeom_lab.keypoints14.network import KeypointNet, TrainingCost, save_network
from facegeom_lab.keypoints14.task import CHOICES, Keypoints14Recipe
from facegeom_lab.training import recipes

COMMANDS = ["prepare", "train", "detect", "evaluate"]


def run(*arguments: object) -> str:
    """Return stdout."""
    result = CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "200"})
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.fixture
def given(tmp_path: Path) -> tuple[Path, Path]:
    """Make a table of four images, and their folder."""
    rng, images = np.random.default_rng(0), tmp_path / "images"
    images.mkdir()
    lines = [",".join(HEADER)]
    for index in range(4):
        cv2.imwrite(str(images / f"{index}.png"), rng.integers(0, 256, (40, 50, 3), dtype=np.uint8))
        lines.append(f"{index}.png," + ",".join(f"{value:.1f}" for value in rng.uniform(5, 35, 28)))
    (tmp_path / "gt.csv").write_text("\n".join(lines))
    return tmp_path / "gt.csv", images


@pytest.mark.parametrize("name", COMMANDS)
def test_help_with_an_example(name: str) -> None:
    printed = run(name, "--help")
    example = re.search(rf"Example: facegeom lab keypoints14 {name} (.*)", printed)
    assert example is not None
    known = set(re.findall(r"--?[a-z][a-z-]*", printed.replace(example[0], "")))
    assert set(re.findall(r"(?<= )--?[a-z][a-z-]*", example[1])) <= known


def test_detect_and_evaluate(given: tuple[Path, Path], tmp_path: Path) -> None:
    gt, images = given
    torch.manual_seed(0)
    model, answers = tmp_path / "model.ckpt", tmp_path / "answers.csv"
    save_network(model, KeypointNet(32).state_dict(), TrainingCost(1, 4, 1.0, 9.0))
    assert "wrote 4 images' points" in run("detect", model, images, "-o", answers)
    assert answers.read_text().splitlines()[0] == ",".join(HEADER)
    printed = run("evaluate", answers, gt, images, "-o", tmp_path / "run", "--name", "afw", "--model", model)
    error = float(re.search(r"error ([\d.]+) on 4 images, mark 0", printed)[1])
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["error_100x100_afw"] == pytest.approx(error, abs=1e-3)
    assert result["samples"] == 4 and result["macs"] > 0
    assert "mark 10" in run("evaluate", gt, gt, images)


def test_train_passes_its_arguments_on(given: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(
        "facegeom_lab.keypoints14.train_detector", lambda *values, **names: calls.append((values, names))
    )
    assert "nothing was written" in run("train", *given, "--fast")
    assert "wrote a.ckpt" in run("train", *given, "-o", "a.ckpt", "--workers", "2", "--loss", "mse")
    plain = recipes.load(Keypoints14Recipe, "keypoints14")
    assert calls == [
        ((*given, True), {"out": Path("facepoints_model.ckpt"), "recipe": plain, "workers": 0}),
        ((*given, False), {"out": Path("a.ckpt"), "recipe": replace(plain, loss="mse"), "workers": 2}),
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["prepare", "--data", "{0}/nowhere", "-o", "{0}/out"],
        ["train", "{0}/nowhere.csv", "{0}"],
        ["detect", "{0}/nowhere.ckpt", "{0}"],
        ["evaluate", "{0}/nowhere.csv", "{0}/nowhere.csv", "{0}"],
    ],
)
def test_what_is_missing_is_named(arguments: list[str], tmp_path: Path) -> None:
    with pytest.raises(FacegeomError, match="nowhere"):
        run(*(part.format(tmp_path) for part in arguments))
    assert not list(tmp_path.iterdir())


def test_choices_are_those_of_the_recipe() -> None:
    assert get_args(cli.Loss) == CHOICES["loss"] and get_args(cli.Optimizer) == CHOICES["optimizer"]

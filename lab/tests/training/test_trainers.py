"""Training and evaluation by a recipe's name."""

import sys
from dataclasses import asdict
from functools import partial
from importlib import import_module
from inspect import signature
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom_lab.evaluation.cost import cost
from facegeom_lab.evaluation.run import RECIPE, read_predictions, read_recipe, read_result
from facegeom_lab.training import recipes, trainers
from facegeom_lab.training.tasks import landmarks
from facegeom_lab.training.tasks.landmarks import LandmarksRecipe
from facegeom_lab.training.trainers import (
    TRAINERS,
    Inputs,
    evaluate,
    train,
    training_cost,
)

NAME = "landmarks106-mobilenetv3-wing"


@pytest.mark.parametrize("kind", TRAINERS)
def test_every_kind_has_its_training(kind: str) -> None:
    module, recipe_type = (import_module(TRAINERS[kind][0]), TRAINERS[kind][1])
    assert list(signature(module.train).parameters) == ["recipe", "inputs"]
    assert hasattr(getattr(module, recipe_type), "__dataclass_fields__")
    if hasattr(module, "evaluate"):
        assert list(signature(module.evaluate).parameters) == ["recipe", "inputs"]


class Trainer(ModuleType):
    """Replaces the module of the keypoints; keeps its arguments."""

    LandmarksRecipe = LandmarksRecipe

    def __init__(self) -> None:
        super().__init__("trainer")
        self.calls: list[tuple[LandmarksRecipe, Inputs]] = []
        self.result: Path | dict[str, Path] = Path("best.ckpt")

    def train(self, recipe: LandmarksRecipe, inputs: Inputs) -> Path | dict[str, Path]:
        assert (inputs.out / RECIPE).exists()  # a run says from its start what it is
        self.calls.append((recipe, inputs))
        return self.result


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    made = Trainer()
    monkeypatch.setitem(sys.modules, "trainer", made)
    monkeypatch.setitem(TRAINERS, "landmarks", ("trainer", "LandmarksRecipe"))
    return made


def test_a_recipe_is_trained_with_its_changes(trainer: Trainer, tmp_path: Path) -> None:
    inputs = Inputs(tmp_path, tmp_path / "run")
    assert train(NAME, inputs, {"batch": 8, "learning_rate": 0.5}) == {NAME: Path("best.ckpt")}
    expected = recipes.load(LandmarksRecipe, NAME, batch=8, learning_rate=0.5)
    assert trainer.calls == [(expected, inputs)]
    assert read_recipe(inputs.out) == {"recipe": NAME, "kind": "landmarks", **asdict(expected)}


def test_trainings_of_several_networks(trainer: Trainer, tmp_path: Path) -> None:
    trainer.result = {"pnet": Path("p.ckpt"), "rnet": Path("r.ckpt")}
    assert train(NAME, Inputs(tmp_path, tmp_path / "run")) == trainer.result


def test_the_folder_of_another_run(trainer: Trainer, tmp_path: Path) -> None:
    inputs = Inputs(tmp_path, tmp_path / "run")
    train(NAME, inputs)
    train(NAME, inputs)  # goes on
    with pytest.raises(InputError, match=r"holds a run with other settings \(batch\)"):
        train(NAME, inputs, {"batch": 8})
    with pytest.raises(InputError, match=r"other settings \(loss, recipe\)"):
        train("landmarks106-mobilenetv3-mse", inputs)
    assert len(trainer.calls) == 2


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("onet", {}, r"expected one of the recipes .*face.*, got 'onet'"),
        (NAME, {"bach": 8}, r"unknown keys \['bach'\]"),
        (NAME, {"batch": "many"}, "batch must be int, got 'many'"),
    ],
)
def test_what_cannot_be_trained(
    trainer: Trainer, tmp_path: Path, name: str, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        train(name, Inputs(tmp_path, tmp_path / "run"), changes)
    assert not trainer.calls and not (tmp_path / "run").exists()


def test_an_unknown_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainers.recipes, "kind", lambda name: "poem")
    with pytest.raises(InputError, match=r"expected one of the kinds body, .*landmarks, .*, got 'poem'"):
        train(NAME, Inputs(tmp_path, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_measured(trainer: Trainer, tmp_path: Path) -> None:
    inputs = Inputs(tmp_path, tmp_path / "run")
    with pytest.raises(InputError, match=r"but recipe\.yaml is missing there"):
        evaluate(inputs)
    train(NAME, inputs)
    with pytest.raises(InputError, match=rf"run of {NAME}; `facegeom bench accuracy` measures what it makes"):
        evaluate(inputs)


@pytest.mark.parametrize(("old", "new"), [("batch: 16\n", ""), ("batch: 16", "batch: 16\nheads: 3")])
def test_a_run_of_another_version(trainer: Trainer, tmp_path: Path, old: str, new: str) -> None:
    inputs = Inputs(tmp_path, tmp_path / "run")
    train(NAME, inputs)
    trainer.evaluate = lambda recipe, inputs: {}
    file = inputs.out / RECIPE
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(InputError, match=r"recipe\.yaml .*(batch|heads)"):
        evaluate(inputs)


def test_training_cost(tmp_path: Path) -> None:
    assert training_cost(tmp_path) == {}
    (tmp_path / "log" / "version_0").mkdir(parents=True)
    rows = "epoch,step,seconds,samples\n0,3,1.5,6\n1,7,2.0,6\n2,11,,\n"
    (tmp_path / "log" / "version_0" / "metrics.csv").write_text(rows)
    assert training_cost(tmp_path) == {"epochs": 3, "train_seconds": 3.5, "samples": 12}


@pytest.mark.slow
def test_train_and_evaluate(labelled_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landmarks, "cost", partial(cost, repeats=2))
    changes = {"pretrained": "none", "size_px": 32, "batch": 3, "max_epochs": 1, "precision": "32-true"}
    inputs = Inputs(labelled_pack, tmp_path / "run", workers=0)
    made = train(NAME, inputs, changes)
    assert made == {NAME: inputs.out / "best.ckpt"} and made[NAME].exists()
    figures = evaluate(inputs)
    assert read_result(inputs.out) == figures
    assert (figures["recipe"], figures["epochs"], figures["samples"]) == (NAME, 1, 6)
    predictions = read_predictions(inputs.out, "test")
    assert predictions.files.tolist() == ["faces/8.png", "faces/9.png"]
    distance = np.linalg.norm(predictions.predicted - predictions.truth, axis=2).mean(axis=1)
    eyes = np.linalg.norm(predictions.truth[:, 36] - predictions.truth[:, 45], axis=1)
    assert figures["test"]["nme_interocular"] == pytest.approx((distance / eyes).mean())

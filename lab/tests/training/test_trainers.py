"""Training and evaluation by a recipe's name."""

import subprocess
import sys
from dataclasses import asdict, replace
from functools import partial
from importlib import import_module
from inspect import signature
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom_lab.datasets import registry
from facegeom_lab.evaluation.cost import cost
from facegeom_lab.evaluation.run import RECIPE, read_predictions, read_recipe, read_result
from facegeom_lab.training import recipes, trainers
from facegeom_lab.training.tasks import landmarks
from facegeom_lab.training.tasks.landmarks import LandmarksRecipe
from facegeom_lab.training.trainers import (
    ANY_POINTS,
    OTHER_SETS,
    TRAINERS,
    Inputs,
    check_dataset,
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


@pytest.mark.parametrize(
    ("recipe", "dataset", "message"),
    [
        ("face", "ffhq", "the kind face cannot be trained on FFHQ; expected --dataset pack"),
        ("mesh478-efficientnetv2b0", "lapa", r"kind mesh478 cannot .* LaPa; expected --dataset pack or ffhq"),
        ("depth1", "wflw", "expected --dataset pack or texas3dfrd or eurecom or biwi or superface"),
        ("fpnet", "celeba", "kind fpnet cannot be trained on CelebA"),
        (
            NAME,
            "biwi",
            "kind landmarks learns points, and BIWI .* has none to train on; .* one of lapa",
        ),
        (NAME, "aflw2000", "kind landmarks learns points, and AFLW2000.* has none to train on"),
        ("heatmap68", "superface", "has none"),
        (NAME, "lfw", "expected one of lapa, .* as the data set, got 'lfw'"),
    ],
)
def test_a_data_set_that_a_kind_cannot_read(recipe: str, dataset: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        train(recipe, Inputs(tmp_path, tmp_path / "run", dataset))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("recipe", "name", "exists", "message"),
    [
        (NAME, "start", True, "--start: trainings of the kind landmarks do not read it"),
        (NAME, "rendered", True, "--rendered: trainings of the kind landmarks do not read it"),
        ("onepass", "hard_negatives", True, "--hard-negatives: trainings of the kind onepass do not read it"),
        (
            "face",
            "hard_negatives",
            False,
            "--hard-negatives: expected .*given, found nothing; check the path",
        ),
        ("face", "rendered", False, "--rendered: expected .*given, found nothing"),
        ("eyes", "start", False, "--start: expected .*given, found nothing"),
    ],
)
def test_inputs_that_are_not_read_or_not_there(
    recipe: str, name: str, exists: bool, message: str, tmp_path: Path
) -> None:
    given = tmp_path / "given"
    if exists:
        given.mkdir()
    with pytest.raises(InputError, match=message):
        train(recipe, replace(Inputs(tmp_path, tmp_path / "run"), **{name: given}))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", TRAINERS)
def test_no_kind_ignores_a_data_set(kind: str) -> None:
    """A data set other than the pack is read or refused; only kinds that name it get through."""
    accepted = set()
    for dataset in registry.DATASETS:
        try:
            check_dataset(kind, dataset)
            accepted.add(dataset)
        except InputError:
            pass
    assert accepted == {"pack", *OTHER_SETS.get(kind, ())} or kind in ANY_POINTS


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        (["train"] * 20, r"found none of val \({'train': 20}\); docs/data.md says"),
        (["train"] * 3 + ["val"], "at least 16 training faces .*, found 3 in .*; give --set batch=3"),
    ],
)
def test_small_packs_get_advice_at_once(
    trainer: Trainer, tmp_path: Path, splits: list[str], message: str
) -> None:
    (tmp_path / "faces").mkdir()
    rows = [f"{index}.png,helen,{split},160,68,o,p" for index, split in enumerate(splits)]
    head = "file,source,split,size_px,landmarks,origin,person"
    (tmp_path / "faces" / "faces.csv").write_text("\n".join([head, *rows]))
    with pytest.raises(InputError, match=message):
        train(NAME, Inputs(tmp_path, tmp_path / "run"))
    assert not trainer.calls and not (tmp_path / "run").exists()
    if "val" in splits:
        train(NAME, Inputs(tmp_path, tmp_path / "run"), {"batch": 3})
        assert len(trainer.calls) == 1


def test_unknown_keys_are_told_before_imports(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from facegeom.errors import InputError\n"
        "from facegeom_lab.training.trainers import Inputs, train\n"
        "try: train('face', Inputs(Path(), Path()), {'bach': 1})\n"
        "except InputError as error: print(error, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "unknown keys ['bach']" in done.stdout and done.stdout.strip().endswith("False")


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

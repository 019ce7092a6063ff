"""Key points by regression: losses and errors by hand, the rates, and that a killed training goes on."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from math import log
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from facegeom.cli.root import app
from facegeom.errors import InputError
from facegeom_lab.datasets.records import FaceRecord
from facegeom_lab.datasets.training.landmark_crops import LandmarkCrops
from facegeom_lab.evaluation.run import read_metrics, read_predictions, read_result
from facegeom_lab.training import loop, recipes
from facegeom_lab.training.tasks import landmarks
from facegeom_lab.training.tasks.landmarks import LandmarksRecipe, LandmarksTask, predict, with_points
from facegeom_lab.training.trainers import Inputs

RECIPE = "landmarks106-mobilenetv3-mse"
TINY: dict[str, object] = {"pretrained": "none", "size_px": 32, "batch": 2, "precision": "32-true"}
STEPS = 3  # of an epoch: six faces, two at once


def recipe(**changes: object) -> LandmarksRecipe:
    return recipes.load(LandmarksRecipe, RECIPE, **TINY | changes)


@pytest.fixture
def make_task(monkeypatch: pytest.MonkeyPatch) -> Callable[..., LandmarksTask]:
    """Build a task around a dummy network."""
    monkeypatch.setattr(landmarks, "Regressor", lambda *_, **__: nn.Linear(1, 1))
    return lambda scheme="celeba5", **changes: LandmarksTask(recipe(**changes), scheme)


def batch_of(points: list[list[float]], weight: list[float], half_px: list[float]) -> dict[str, torch.Tensor]:
    return {
        "points": torch.tensor([points]),
        "weight": torch.tensor([weight]),
        "half_px": torch.tensor([half_px]),
    }


ERRORS = [[0.1, -0.3], [-0.5, 0.0], [9.0, 9.0], [0.0, 0.0], [0.0, 0.0]]
ANNOTATED = [1.0, 1.0, 0.0, 1.0, 1.0]


def test_squared_error_by_hand(make_task: Callable[..., LandmarksTask]) -> None:
    loss = make_task().loss(torch.zeros(1, 5, 2), batch_of(ERRORS, ANNOTATED, [50.0, 50.0]))
    assert loss.item() == pytest.approx((0.01 + 0.09 + 0.25) / 2 / 4)


@pytest.mark.parametrize("size_px", [32, 224])
def test_wing_by_hand(make_task: Callable[..., LandmarksTask], size_px: int) -> None:
    """Errors of 11.2, 33.6 and 56 pixels of a crop of 224 px; w = 15, ε = 3, C = 15 - 15 ln 6."""
    task = make_task(loss="wing", size_px=size_px)
    loss = task.loss(torch.zeros(1, 5, 2), batch_of(ERRORS, ANNOTATED, [50.0, 50.0]))
    offset = 15 - 15 * log(6)
    expected = 15 * log(1 + 11.2 / 3) + (33.6 - offset) + (56 - offset)
    assert loss.item() == pytest.approx(expected / 2 / 4, rel=1e-5)


def test_error_by_hand(make_task: Callable[..., LandmarksTask]) -> None:
    """Pupils 40 x 30 pixels of the photo apart, answers 5, 0 and 10 pixels off; one point unknown."""
    points = [[-0.4, 0.0], [0.4, 0.3], [0.0, 0.0], [7.0, 7.0], [0.2, 0.5]]
    answer = torch.tensor([points]) + torch.tensor([[[0.06, 0.04], [0, 0], [0.2, 0], [5, 5], [0, 0.1]]])
    batch = batch_of(points, [1, 1, 1, 0, 1], [50.0, 100.0])
    error = make_task()._error(answer, batch)
    assert error.item() == pytest.approx((5 + 0 + 10 + 10) / 4 / 50, rel=1e-5)


@pytest.mark.parametrize("unknown", [[0], [0, 1]])
def test_faces_without_both_pupils_have_no_error(
    make_task: Callable[..., LandmarksTask], unknown: list[int]
) -> None:
    points = [[-0.4, 0.0], [0.4, 0.3], [0.0, 0.0], [0.1, 0.1], [0.2, 0.5]]
    batch = batch_of(points, [1.0] * 5, [50.0, 100.0])
    batch = {name: torch.cat([value, value]) for name, value in batch.items()}
    batch["weight"][1, unknown] = 0
    batch["points"][1, unknown] = -3.0  # where the photo's corner lies
    answer = batch["points"] + torch.tensor([0.06, 0.04])
    assert make_task()._error(answer, batch).item() == pytest.approx(5 / 50, rel=1e-5)


def test_error_without_pupils(make_task: Callable[..., LandmarksTask]) -> None:
    task = make_task()
    task.pupils = None
    batch = batch_of([[0.0, 0.0]] * 5, [1.0] * 5, [30.0, 40.0])
    assert task._error(torch.full((1, 5, 2), 0.1), batch).item() == pytest.approx(0.1, rel=1e-5)


@pytest.mark.parametrize("warmup_epochs", [3, 0])
def test_rates_of_the_first_steps(
    make_task: Callable[..., LandmarksTask], warmup_epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From 1e-5 to 1e-3 in a straight line over the warm-up; from then on nobody touches the rate."""
    task = make_task(warmup_epochs=warmup_epochs)
    group = {"lr": 0.5}
    fake = SimpleNamespace(optimizers=[SimpleNamespace(param_groups=[group])], num_training_batches=4)
    monkeypatch.setattr(LandmarksTask, "trainer", fake)
    rates = []
    for fake.global_step in range(16):
        if fake.global_step == 15:
            group["lr"] = 0.25
        task.on_train_batch_start({}, 0)
        rates.append(group["lr"])
    steps = 4 * warmup_epochs
    np.testing.assert_allclose(rates[:steps], np.linspace(1e-5, 1e-3, steps + 1)[:-1], rtol=1e-6)
    assert set(rates[steps:15]) == {1e-3} and rates[15] == 0.25


def test_adam_learns_what_is_not_frozen() -> None:
    task = LandmarksTask(recipe(frozen_blocks=3), "celeba5")
    optimizer = task.configure_optimizers()
    assert isinstance(optimizer, torch.optim.Adam) and optimizer.param_groups[0]["lr"] == 1e-3
    learned = optimizer.param_groups[0]["params"]
    assert all(parameter.requires_grad for parameter in learned)
    assert len(learned) < len(list(task.parameters()))


class Oracle(nn.Module):
    """Answers what is true, in the order of the crops."""

    def __init__(self, crops: LandmarkCrops) -> None:
        super().__init__()
        self.truth = torch.stack([crops[index]["points"] for index in range(len(crops))])

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        answer, self.truth = self.truth[: len(crops)], self.truth[len(crops) :]
        return answer


def test_predictions_come_back_to_the_photos() -> None:
    rng = np.random.default_rng(1)
    sizes = [(60 + k, 90 - k) for k in range(40)]
    records = [
        FaceRecord(
            name=f"{k}.jpg",
            read=lambda size=size: np.zeros((size[1], size[0], 3), np.uint8),
            split="val",
            scheme="celeba5",
            points=rng.uniform(10, 50, (5, 2)),
        )
        for k, size in enumerate(sizes)
    ]
    boxes = np.where(np.arange(40)[:, None] % 3 == 0, np.nan, [5.0, 8, 55, 60])
    crops = LandmarkCrops(records, boxes, 32, 0.1)
    predictions = predict(Oracle(crops), crops, "celeba5")
    assert predictions.files.tolist() == [record.name for record in records]
    np.testing.assert_allclose(predictions.predicted, predictions.truth, atol=1e-4)
    np.testing.assert_array_equal(predictions.truth, [record.points for record in records])
    np.testing.assert_array_equal(predictions.sizes_wh, sizes)


def test_faces_without_points_are_left_out() -> None:
    labelled, bare = (
        FaceRecord(name, lambda: np.zeros((1, 1, 3), np.uint8), "val", points=points)
        for name, points in (("a", np.zeros((5, 2))), ("b", None))
    )
    assert with_points([bare, labelled], "val") == [labelled]
    with pytest.raises(InputError, match="expected faces with points in the split test, got none"):
        with_points([bare], "test")


def test_an_unknown_loss(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the loss mse, wing, wing-unit, got 'huber'"):
        landmarks.train(recipe(loss="huber"), Inputs(tmp_path, tmp_path / "run"))


@pytest.mark.slow
@pytest.mark.parametrize("statistics_epochs", [200, 1])
def test_two_epochs_learn(labelled_pack: Path, tmp_path: Path, statistics_epochs: int) -> None:
    """With statistics that stay after the first epoch, the second one counts no batch."""
    changes = {"frozen_blocks": 1, "turn_deg": 0.0, "statistics_epochs": statistics_epochs}
    settings = recipe(max_epochs=2, warmup_epochs=1, **changes)
    best = landmarks.train(settings, Inputs(labelled_pack, tmp_path / "run", workers=0))
    assert best == tmp_path / "run" / loop.BEST and best.exists()
    log = read_metrics(tmp_path / "run")
    assert log["train/loss"][1] < 0.9 * log["train/loss"][0]
    assert log["samples"].tolist() == [6, 6]
    np.testing.assert_allclose(log["lr"], [1e-5 + (STEPS - 1) / STEPS * 0.99e-3, 1e-3], rtol=1e-5)
    assert np.isfinite(log["val/nme"]).all() and (tmp_path / "boxes").is_dir()
    state = torch.load(tmp_path / "run" / loop.LAST, weights_only=True)["state_dict"]
    assert state["net.body.bn1.num_batches_tracked"] == 0  # frozen
    assert state["net.body.blocks.1.0.bn1.num_batches_tracked"] == min(2, statistics_epochs) * STEPS


KEYS = {
    *("recipe", "val", "test", "epochs", "train_seconds", "samples", "size_px"),
    *("parameters", "macs", "cpu_ms", "cpu_threads", "gpu_ms"),
}
MEASURES = {
    *("faces", "undetected", "nme_interocular", "nme_interpupil", "nme_box"),
    *("normaliser", "threshold", "failure_rate", "auc", "regions"),
}


KILLED = """
import os, signal, sys
from pathlib import Path
from lightning.pytorch.loggers import CSVLogger
from facegeom.cli.root import app

save, lines = CSVLogger.save, int(sys.argv.pop(1))

def save_and_die(logger):
    save(logger)
    file = Path(logger.log_dir, "metrics.csv")
    if file.exists() and len(file.read_text().splitlines()) > lines:
        os.kill(os.getpid(), signal.SIGKILL)

CSVLogger.save = save_and_die
app()
"""
"""The command, killed as soon as its log has so many lines below the heading."""


@pytest.mark.slow
@pytest.mark.parametrize("lines", [1, 2, 5])  # of each epoch one by validation, one before its end
def test_killed_at_any_moment_it_loses_one_epoch_at_most(
    labelled_pack: Path, tmp_path: Path, lines: int
) -> None:
    epochs, out = 4, tmp_path / "run"
    changes = [f"{key}={value}" for key, value in {**TINY, "max_epochs": epochs}.items()]
    given = ["--data", str(labelled_pack), "--workers", "0"]
    words = ["train", RECIPE, "-o", str(out), *given, *(w for pair in changes for w in ("--set", pair))]
    process = subprocess.run(
        [sys.executable, "-c", KILLED, str(lines), "lab", *words],
        capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert process.returncode == -signal.SIGKILL
    assert len(read_metrics(out)["epoch"]) == (lines + 1) // 2
    again = CliRunner().invoke(app, ["lab", *words], catch_exceptions=False)
    assert again.exit_code == 0 and f"wrote {out / loop.BEST}" in again.stdout
    first = (out / "log" / "version_1" / "metrics.csv").read_text().splitlines()
    column = first[0].split(",").index("epoch")
    begins = min(int(line.split(",")[column]) for line in first[1:] if line.split(",")[column])
    assert begins == lines // 2
    log = read_metrics(out)
    assert log["epoch"].tolist() == list(range(epochs)) and np.isfinite(log["val/loss"]).all()
    measured = CliRunner().invoke(app, ["lab", "evaluate", str(out), *given], catch_exceptions=False)
    assert measured.exit_code == 0
    result = read_result(out)
    assert "nme_interocular" in measured.stdout and set(result) == KEYS | {"about", "detector", "mesh_faces"}
    assert set(result["val"]) == set(result["test"]) == MEASURES
    assert (result["recipe"], result["epochs"], result["samples"]) == (RECIPE, epochs, epochs * 2 * STEPS)
    for split in ("val", "test"):
        predictions = read_predictions(out, split)
        assert (
            predictions.predicted.shape == predictions.truth.shape == (2, 68, 2)
            and predictions.scheme == "ibug68"
        )


def test_faces_of_meshes_join_those_of_people(
    training_pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight faces have people's points, two masked ones those of their meshes; half of the draws each."""
    inputs = Inputs(training_pack.data, tmp_path / "run", labels=training_pack.labels, workers=0)
    settings = recipe(mesh_faces=True, samples_per_epoch=400)
    people = [FaceRecord(f"{k}", lambda: np.zeros(0), "train", points=np.ones((68, 2))) for k in range(8)]
    monkeypatch.setattr(landmarks.registry, "load", lambda name, data, split: people)
    boxes = lambda records, cache, detector: np.full((len(records), 4), np.nan)  # noqa: E731
    monkeypatch.setattr(landmarks, "detected_boxes", boxes)
    crops = landmarks.LandmarksData(settings, inputs).crops("train", landmarks.CropChanges(0, 0, 0, 0))
    sources = [record.source for record in crops.records]
    assert len(sources) == 10 and sources.count("mesh") == 2
    seen = [sources[index] == "mesh" for index in landmarks.drawn(crops, 400)]
    assert len(seen) == 400 and 0.4 < np.mean(seen) < 0.6
    assert landmarks.LandmarksData(settings, inputs).crops("val").records == people  # people's points alone
    other = Inputs(tmp_path, tmp_path / "run", "lapa")
    with pytest.raises(InputError, match="mesh_faces adds faces of the data pack, got the data set lapa"):
        landmarks.train(settings, other)


def test_wing_of_coordinates_from_minus_one_to_one(make_task: Callable[..., LandmarksTask]) -> None:
    """There w = 15 is never reached: the loss is nearly 5 times the error."""
    task = make_task(loss="wing-unit")
    batch = {"points": torch.zeros(1, 5, 2), "weight": torch.ones(1, 5)}
    loss = task.loss(torch.full((1, 5, 2), 0.02), batch).item()
    assert loss == pytest.approx(15 * log(1 + 0.02 / 3)) and loss == pytest.approx(5 * 0.02, rel=0.01)

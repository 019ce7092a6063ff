"""The shared training loop: checkpoints, resume, logs, stopping rule, learning-rate schedule."""

import logging
from collections.abc import Sequence
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import TQDMProgressBar
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from facegeom.errors import FacegeomError, InputError
from facegeom_lab.evaluation.run import read_metrics
from facegeom_lab.training import loop

SAMPLES = 5


class Task(L.LightningModule):
    """One weight; validation losses and learning rates by epoch are given, one epoch may fail."""

    def __init__(self, losses: Sequence[float], rates: Sequence[float] = (), fails_in: int = -1) -> None:
        super().__init__()
        self.net = nn.Linear(1, 1)
        self.losses, self.rates, self.fails_in = losses, rates, fails_in
        self.epochs: list[int] = []
        self.steps = 0

    def on_train_epoch_start(self) -> None:
        if self.rates:
            self.trainer.optimizers[0].param_groups[0]["lr"] = self.rates[self.current_epoch]
        self.epochs.append(self.current_epoch)

    def training_step(self, batch: dict[str, torch.Tensor] | list[torch.Tensor], index: int) -> torch.Tensor:
        if self.current_epoch == self.fails_in and index == 1:
            raise RuntimeError("power cut")
        self.steps += 1
        values = batch["x"] if isinstance(batch, dict) else batch[0]
        loss = self.net(values).mean()
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: object, _: int) -> None:
        self.log("val/loss", self.losses[self.current_epoch], batch_size=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.01)


class Data(L.LightningDataModule):
    """Five samples, as dictionaries or as lists."""

    def __init__(self, named: bool = True) -> None:
        super().__init__()
        self.named = named

    def train_dataloader(self) -> DataLoader:
        values = torch.arange(float(SAMPLES))[:, None]
        return DataLoader([{"x": value} for value in values] if self.named else TensorDataset(values), 2)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(torch.zeros(1, 1))


def fit(out: Path, task: Task, data: Data | None = None, **options: object) -> None:
    plain = {"max_epochs": len(task.losses), "enable_progress_bar": False, "enable_model_summary": False}
    loop.fit(loop.trainer(out, "32-true", **plain | options), task, data or Data(), out)


def epoch(out: Path, name: str) -> int:
    return torch.load(out / name, weights_only=True)["epoch"]


def test_last_and_best(tmp_path: Path) -> None:
    fit(tmp_path, Task([3, 1, 2, 2.5]))
    assert (epoch(tmp_path, loop.LAST), epoch(tmp_path, loop.BEST)) == (3, 1)
    assert sorted(file.name for file in tmp_path.glob("*.ckpt")) == [loop.BEST, loop.LAST]


def test_without_a_measure_the_last_alone_is_kept(tmp_path: Path) -> None:
    fit(tmp_path, Task([0, 0]), monitor=None)
    assert [file.name for file in tmp_path.glob("*.ckpt")] == [loop.LAST]
    assert epoch(tmp_path, loop.LAST) == 1


@pytest.mark.parametrize("fails_in", [2, 3])
def test_an_interrupted_training_loses_the_epoch_it_was_in(tmp_path: Path, fails_in: int) -> None:
    """Epochs that were no better than the best before them are kept as well."""
    losses = [3, 1, 2, 1.5, 2]
    with pytest.raises(RuntimeError, match="power cut"):
        fit(tmp_path, Task(losses, fails_in=fails_in))
    assert (epoch(tmp_path, loop.LAST), epoch(tmp_path, loop.BEST)) == (fails_in - 1, 1)
    again = Task(losses)
    fit(tmp_path, again)
    assert again.epochs == list(range(fails_in, 5))
    assert (epoch(tmp_path, loop.LAST), epoch(tmp_path, loop.BEST)) == (
        4,
        1,
    )  # it remembers how good that was
    log = read_metrics(tmp_path)
    assert log["epoch"].tolist() == [0, 1, 2, 3, 4]
    assert log["val/loss"].tolist() == losses


class Random(torch.utils.data.Dataset):
    """Samples that are random numbers."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"x": torch.rand(1)}


@pytest.mark.parametrize("workers", [0, 1])
def test_a_resumed_training_draws_other_samples(tmp_path: Path, workers: int) -> None:
    class Draws(Task):
        def on_train_batch_start(self, batch: dict[str, torch.Tensor], batch_idx: int) -> None:
            drawn.extend(batch["x"].flatten().tolist())

    class RandomData(Data):
        def train_dataloader(self) -> DataLoader:
            return DataLoader(Random(), 2, num_workers=workers)

    drawn: list[float] = []
    L.seed_everything(5, workers=True)
    with pytest.raises(RuntimeError, match="power cut"):
        fit(tmp_path, Draws([1, 1, 1], fails_in=1), RandomData())
    L.seed_everything(5, workers=True)
    fit(tmp_path, Draws([1, 1, 1]), RandomData())
    assert len(set(drawn)) == len(drawn) > 20


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_rate_that_falls_on_a_plateau_forgets_no_epoch(tmp_path: Path, interrupted: bool) -> None:
    """Two epochs without a better loss halve it, whether each was a run of its own or all were one."""

    def run(epochs: int) -> Task:
        task = Task([3, 1, 2, 1.5, 1.2, 1.1, 1.05][:epochs])
        fit(tmp_path, task, callbacks=[loop.LowerOnPlateau(0.5, 2)])
        return task

    for epochs in range(1, 7) if interrupted else ():
        run(epochs)
    task = run(7)
    assert task.trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.01 / 4)
    assert read_metrics(tmp_path)["lr"].tolist() == pytest.approx([0.01] * 4 + [0.005] * 2 + [0.0025])


def test_a_complete_training_is_not_repeated(tmp_path: Path) -> None:
    fit(tmp_path, Task([2, 1]))
    again = Task([2, 1])
    fit(tmp_path, again)
    assert again.epochs == []


@pytest.mark.parametrize("monitor", ["val/loss", None])
def test_a_training_counted_in_steps_goes_on(tmp_path: Path, monitor: str | None) -> None:
    """Every epoch has three steps; those of the interrupted one are repeated, no other."""
    options = {"max_epochs": -1, "max_steps": 11, "monitor": monitor}
    with pytest.raises(RuntimeError, match="power cut"):
        fit(tmp_path, Task([1] * 4, fails_in=2), **options)
    again = Task([1] * 4)
    fit(tmp_path, again, **options)
    assert again.steps == 11 - 6
    log = read_metrics(tmp_path)
    assert log["samples"].tolist() == [5, 5, 5, 4] and (log["seconds"] > 0).all()
    finished = Task([1] * 4)
    fit(tmp_path, finished, **options)
    assert finished.steps == 0


@pytest.mark.parametrize("named", [True, False])
def test_columns_of_an_epoch(tmp_path: Path, named: bool) -> None:
    fit(tmp_path, Task([2, 1], rates=[0.1, 0.02]), Data(named))
    log = read_metrics(tmp_path)
    assert log["samples"].tolist() == [SAMPLES, SAMPLES]
    np.testing.assert_allclose(log["lr"], [0.1, 0.02])
    assert (log["seconds"] > 0).all() and log["seconds"].sum() < 60
    assert np.isfinite(log["train/loss"]).all()


RATES = [1e-6, 1e-3, 1e-3, 2e-6, 1e-6, 1e-6]


def test_stops_at_a_small_rate_once_warm(tmp_path: Path) -> None:
    task = Task([1] * 6, RATES)
    fit(tmp_path, task, callbacks=[loop.StopAtRate(1e-6, warmup_epochs=1)])
    assert task.epochs == [0, 1, 2, 3, 4]
    again = Task([1] * 6, RATES)
    fit(tmp_path, again, callbacks=[loop.StopAtRate(1e-6, warmup_epochs=1)])
    assert again.epochs == []


def test_stops_at_once_without_a_warm_up(tmp_path: Path) -> None:
    task = Task([1] * 6, RATES)
    fit(tmp_path, task, callbacks=[loop.StopAtRate(1e-6, warmup_epochs=0)])
    assert task.epochs == [0]


GOLDEN_STEPS = (0, 1, 4, 5, 7, 8, 20, 50, 73, 99, 100, 101)
GOLDEN = {
    # Fractions of the peak rate in a training of 100 steps: warm-up, final fraction, expected values.
    "backbone": (
        *(0.075 * 100, 0.01),
        *([0.13333333333333333, 0.26666666666666666, 0.6666666666666666, 0.8, 1.0666666666666667]),
        *([0.9999286291194089, 0.9560581027421272, 0.5678738207747049, 0.20394103619094678]),
        *([0.010285462941343403, 0.01, 0.01]),
    ),
    "heatmap": (
        *(0.05 * 100, 0.01),
        *([0.2, 0.4, 1.0, 1.0, 0.9989177454732934, 0.9975660367597806, 0.940339506847212]),
        *([0.5458767760088046, 0.19454770255559917, 0.010270637616241605, 0.01, 0.01]),
    ),
    "face, depth, keypoints14": (
        *(7, 0.005),
        *([0.14285714285714285, 0.2857142857142857, 0.7142857142857143, 0.8571428571428571, 1.0]),
        *([0.9997161717375347, 0.9527944673570349, 0.561183466782546, 0.1979772736825377]),
        *([0.005283828262465295, 0.005, 0.005]),
    ),
    "sixdrepnet": (
        *(0, 0.01),
        *([1.0, 0.9997557473810371, 0.9960967771506666, 0.9939057285945933, 0.98807879715968]),
        *([0.9844486647586724, 0.905463412215599, 0.505, 0.17765062666479242]),
        *([0.010244252618962859, 0.01, 0.01]),
    ),
}


@pytest.mark.parametrize("task", GOLDEN)
def test_schedule_of_each_task(task: str) -> None:
    """The very numbers of the schedules that the tasks once had of their own."""
    warmup, final, *expected = GOLDEN[task]
    assert [loop.cosine_factor(step, 100, warmup, final) for step in GOLDEN_STEPS] == expected


def rates_of(schedule: torch.optim.lr_scheduler.LRScheduler, steps: int) -> list[float]:
    rates = []
    for _ in range(steps + 1):
        rates.append(schedule.get_last_lr()[0])
        schedule.optimizer.step()
        schedule.step()
    return rates


def test_schedule_of_the_last_layer() -> None:
    """That of torch's ``CosineAnnealingLR``, whose recursion differs from the closed form by rounding."""
    made = []
    for _ in range(2):
        made.append(torch.optim.AdamW([nn.Parameter(torch.zeros(1))], 2e-3))
    expected = rates_of(torch.optim.lr_scheduler.CosineAnnealingLR(made[0], 100), 100)
    np.testing.assert_allclose(rates_of(loop.cosine_schedule(made[1], 100), 100), expected, rtol=1e-12)


@pytest.mark.parametrize(("warmup", "final"), [(10, 0.005), (8.5, 0.01), (0, 0.01)])
def test_rate_warms_up_and_falls(warmup: float, final: float) -> None:
    rates = np.array([loop.cosine_factor(step, 100, warmup, final) for step in range(120)])
    peak = round(warmup + 0.5)
    assert (np.diff(rates[:peak]) > 0).all() and (np.diff(rates[peak:100]) < 0).all()
    assert (rates[100:] == final).all()


@pytest.mark.parametrize(("steps", "warmup"), [(1, 1), (1, 0), (3, 5)])
def test_short_trainings_have_a_rate(steps: int, warmup: int) -> None:
    assert all(0 < loop.cosine_factor(step, steps, warmup, 0.01) <= 1 for step in range(8))


def test_a_moving_average_is_a_callback_of_its_own(tmp_path: Path) -> None:
    kinds = [type(each).__name__ for each in loop.trainer(tmp_path, "32-true", ema_decay=0.5).callbacks]
    assert "EMAWeightAveraging" in kinds
    plain = [type(each).__name__ for each in loop.trainer(tmp_path, "32-true").callbacks]
    assert "EMAWeightAveraging" not in plain


def test_an_older_state_of_a_schedule_is_resumed() -> None:
    """Checkpoints once stored the settings of callable schedules, or an empty dictionary of a method's."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 1.0)
    schedule = loop.cosine_schedule(optimizer, 100, 7, 0.005)
    for kept in ({"steps": 100, "warmup_steps": 7}, {}, None):
        schedule.load_state_dict(schedule.state_dict() | {"lr_lambdas": [kept], "last_epoch": 49})
        optimizer.step()
        schedule.step()
        assert schedule.get_last_lr() == [0.561183466782546]


def test_too_few_samples_are_told_at_once() -> None:
    loop.expect_batch(4, 4, "faces")
    with pytest.raises(
        InputError, match=r"at least 16 faces to fill a batch, got 3; set batch=3, or give more"
    ):
        loop.expect_batch(3, 16, "faces")
    with pytest.raises(InputError, match="got 0; check the data set"):
        loop.expect_batch(0, 16, "faces")


def test_weights_that_are_not_finite_are_refused() -> None:
    net = torch.nn.Linear(2, 2)
    loop.expect_finite(net)
    torch.nn.init.constant_(net.bias, torch.nan)
    with pytest.raises(
        FacegeomError, match="the training diverged: bias is not finite; set a lower learning_rate"
    ):
        loop.expect_finite(net)


@pytest.mark.parametrize(
    ("capability", "gpu", "precision"),
    [
        ("AVX2", False, "32-true"),
        ("DEFAULT", False, "32-true"),
        ("AVX512", False, "bf16-mixed"),
        ("AVX2", True, "bf16-mixed"),
    ],
)
def test_bfloat16_only_where_it_is_fast(
    capability: str,
    gpu: bool,
    precision: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert loop.precision_here("bf16-mixed") == precision
    assert ("trained in float32" in caplog.text) == (precision == "32-true")
    assert loop.precision_here("32-true") == "32-true"


def test_no_advertisement_and_no_negative_epochs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trainer = loop.trainer(tmp_path, "32-true", None, max_steps=2)
    assert any(isinstance(each, TQDMProgressBar) for each in trainer.callbacks)  # "Epoch 1", not "Epoch 1/-2"
    assert "Tip" not in caplog.text
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    assert not logger.filter(logging.makeLogRecord({"msg": "Tip: buy this"}))
    assert logger.filter(logging.makeLogRecord({"msg": "GPU available: False"}))

"""What the trainings share: Lightning's loop with checkpoints, resume, logs, and a rule when to stop."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

LAST, BEST = "last.ckpt", "best.ckpt"


def trainer(
    out: Path,
    precision: str,
    monitor: str | None = "val/loss",
    processes: int = 1,
    callbacks: Sequence[Callback] = (),
    **options: Any,
) -> L.Trainer:
    """Lightning's trainer, on a GPU where there is one; ``last.ckpt`` and ``best.ckpt`` after every epoch.

    Args:
        out: folder of the run.
        precision: Lightning's name: ``32-true``, ``bf16-mixed``, ``16-mixed``.
        monitor: the measure whose least value is the best checkpoint's; None to keep the last one alone.
        processes: GPUs, or processes of one thread each on a processor.
        callbacks: more of them.
        options: further arguments of ``lightning.Trainer``, the length of the training among them.
    """
    kept = [_checkpoint(out, LAST, None)] + ([_checkpoint(out, BEST, monitor)] if monitor else [])
    return L.Trainer(
        accelerator="gpu" if torch.cuda.is_available() else "cpu",
        devices=processes,
        precision=precision,
        callbacks=[*kept, EpochTime(), *callbacks],
        logger=[CSVLogger(out, name="log"), TensorBoardLogger(out, name="tensorboard")],
        log_every_n_steps=10,
        **options,
    )


def _checkpoint(out: Path, name: str, monitor: str | None) -> ModelCheckpoint:
    """Saves after every epoch, or after those with the least ``monitor``; ``save_last`` would skip some."""
    return ModelCheckpoint(
        out,
        filename=name.removesuffix(".ckpt"),
        monitor=monitor,
        save_on_train_epoch_end=monitor is None,
        enable_version_counter=False,
    )


def fit(loop: L.Trainer, task: L.LightningModule, data: Any, out: Path) -> None:
    """Train on a data module or a loader, going on from ``out/last.ckpt`` when it is there."""
    last = out / LAST
    loop.fit(task, data, ckpt_path=str(last) if last.exists() else None)


class EpochTime(Callback):
    """Logs ``seconds``, the ``samples`` seen and the learning rate ``lr`` of every epoch."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.on_train_epoch_start(trainer, pl_module)  # one that goes on may not begin with an epoch's start

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._start, self._samples = time.perf_counter(), 0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        samples = next(iter(batch.values())) if isinstance(batch, dict) else batch[0]
        self._samples += len(samples) * trainer.world_size

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not self._samples:
            return  # the end of an epoch that was over before the interruption
        pl_module.log("seconds", time.perf_counter() - self._start)
        pl_module.log("samples", float(self._samples))
        pl_module.log("lr", trainer.optimizers[0].param_groups[0]["lr"])


class StopAtRate(Callback):
    """Ends the training when the learning rate has fallen to ``rate`` or below, once the warm-up is over."""

    def __init__(self, rate: float, warmup_epochs: int) -> None:
        self.rate, self.warmup_epochs = rate, warmup_epochs

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        warm = trainer.current_epoch >= self.warmup_epochs
        if warm and trainer.optimizers[0].param_groups[0]["lr"] <= self.rate:
            trainer.should_stop = True

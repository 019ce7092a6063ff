"""Training loop that the tasks share: trainer, checkpoints, resume, logs, learning-rate schedule."""

import logging
import time
from collections.abc import Sequence
from math import cos, pi
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from facegeom.errors import FacegeomError, InputError

_log = logging.getLogger(__name__)

LAST, BEST = "last.ckpt", "best.ckpt"
LOWER_RATE = "set a lower learning_rate, or precision=32-true, and train into another folder"
CHECKED_EVERY = 20
"""Steps between two looks at the loss on a GPU, each of which waits for it."""


def cosine_factor(step: int, steps: int, warmup: float = 0.0, final: float = 0.0) -> float:
    """Return the fraction of the peak learning rate at a step.

    A linear warm-up, then half a cosine down to ``final``, which holds from then on.

    Args:
        step: number of finished steps.
        steps: length of the training.
        warmup: steps of the warm-up; need not be whole.
        final: fraction of the peak rate at the end.
    """
    if step < warmup:
        return (step + 1) / warmup
    span = steps - warmup if steps > warmup else 1
    return final + (1 - final) * (1 + cos(pi * min(1.0, (step - warmup) / span))) / 2


def shuffled_batches(count: int, size: int) -> tuple[torch.Tensor, ...]:
    """Return the numbers below ``count`` in random order, in batches (size,); those left over are dropped."""
    return torch.randperm(count).split(size)[: count // size]


def cosine_schedule(
    optimizer: torch.optim.Optimizer, steps: int, warmup: float = 0.0, final: float = 0.0
) -> torch.optim.lr_scheduler.LambdaLR:
    """Scale the optimiser's learning rate by :func:`cosine_factor`, step by step."""
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: cosine_factor(step, steps, warmup, final)
    )


def every_step(
    optimizer: torch.optim.Optimizer, scheduler: torch.optim.lr_scheduler.LRScheduler
) -> dict[str, Any]:
    """Return an optimiser and a schedule by steps as ``configure_optimizers`` hands them to Lightning."""
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def adamw_with_cosine(
    module: torch.nn.Module,
    learning_rate: float,
    weight_decay: float,
    steps: int,
    warmup: float = 0.0,
    final: float = 0.0,
) -> dict[str, Any]:
    """Return AdamW and :func:`cosine_schedule` as ``configure_optimizers`` hands them to Lightning."""
    optimizer = torch.optim.AdamW(module.parameters(), learning_rate, weight_decay=weight_decay)
    return every_step(optimizer, cosine_schedule(optimizer, steps, warmup, final))


def log_and_add(task: L.LightningModule, losses: dict[str, torch.Tensor]) -> torch.Tensor:
    """Log the terms of a training loss, by epoch, and their sum; return the sum."""
    task.log_dict({f"train/{name}": value for name, value in losses.items()}, on_step=False, on_epoch=True)
    total = torch.stack(list(losses.values())).sum()
    task.log("loss", total, prog_bar=True)
    return total


def trainer(
    out: Path,
    precision: str,
    monitor: str | None = "val/loss",
    processes: int = 1,
    callbacks: Sequence[Callback] = (),
    ema_decay: float | None = None,
    **options: Any,
) -> L.Trainer:
    """Build Lightning's trainer, on a GPU where there is one.

    It writes ``last.ckpt`` after every epoch, and ``best.ckpt`` after those with the least ``monitor``.

    Args:
        out: folder of the run.
        precision: Lightning's name: ``32-true``, ``bf16-mixed``, ``16-mixed``; see :func:`precision_here`.
        monitor: metric that chooses the best checkpoint, lower is better; None to keep the last one only.
        processes: GPUs, or processes of one thread each on a CPU.
        callbacks: further callbacks.
        ema_decay: decay of the exponential moving average of the weights, which validation and checkpoints
            then use; None for none.
        options: further arguments of ``lightning.Trainer``, the length of the training among them.
    """
    kept = [_checkpoint(out, LAST, None)] + ([_checkpoint(out, BEST, monitor)] if monitor else [])
    average = [] if ema_decay is None else [EMAWeightAveraging(decay=ema_decay)]
    silence_advertisements()
    bar = [TQDMProgressBar()] if options.get("enable_progress_bar", True) else []
    return L.Trainer(
        accelerator="gpu" if torch.cuda.is_available() else "cpu",
        devices=processes,
        precision=precision_here(precision),
        callbacks=[*kept, EpochTime(), FiniteLoss(), *bar, *average, *callbacks],
        logger=[CSVLogger(out, name="log"), TensorBoardLogger(out, name="tensorboard")],
        log_every_n_steps=10,
        **options,
    )


def precision_here(precision: str) -> str:
    """Return the precision, or ``32-true`` in place of bfloat16 on a CPU that would only emulate it.

    Without AVX-512, PyTorch multiplies matrices of bfloat16 number by number: on AVX2 a step of the network
    of the eyes takes more than ten times as long as in float32.
    """
    capability = torch.backends.cpu.get_cpu_capability()
    if precision != "bf16-mixed" or torch.cuda.is_available() or capability.startswith("AVX512"):
        return precision
    _log.warning("this processor has no bfloat16: trained in float32 instead of bf16-mixed")
    return "32-true"


def silence_advertisements() -> None:
    """Drop Lightning's recommendations of its makers' other products; its other messages stay."""
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    if _no_advertisement not in logger.filters:
        logger.addFilter(_no_advertisement)


def _no_advertisement(record: logging.LogRecord) -> bool:
    return "Tip:" not in record.getMessage()


def _checkpoint(out: Path, name: str, monitor: str | None) -> ModelCheckpoint:
    """Save after every epoch, or after those with the least ``monitor``; ``save_last`` would skip some."""
    return ModelCheckpoint(
        out,
        filename=name.removesuffix(".ckpt"),
        monitor=monitor,
        save_on_train_epoch_end=monitor is None,
        enable_version_counter=False,
    )


def fit(trainer: L.Trainer, task: L.LightningModule, data: Any, out: Path) -> None:
    """Train on a data module or a loader; resume from ``out/last.ckpt`` when it exists.

    Call it with the random numbers seeded. A resumed training draws others than it began with.
    """
    last = out / LAST
    if last.exists():  # else it would draw the samples of its first epochs once more
        steps = torch.load(last, map_location="cpu", weights_only=True)["global_step"]
        L.seed_everything((torch.initial_seed() + steps) % 2**32, workers=True, verbose=False)
    trainer.fit(task, data, ckpt_path=str(last) if last.exists() else None)
    if trainer.num_training_batches == 0:
        raise InputError("the training samples do not fill one batch; set a smaller batch, or give more data")
    expect_finite(task)


def expect_batch(samples: int, batch: int, what: str) -> None:
    """Refuse a data set that does not fill a batch, before anything long begins.

    Raises:
        InputError: with the batch that would be filled.
    """
    if samples < batch:
        advice = f"set batch={samples}, or give more data" if samples else "check the data set"
        raise InputError(f"expected at least {batch} {what} to fill a batch, got {samples}; {advice}")


def expect_finite(module: torch.nn.Module) -> None:
    """Refuse a network with weights of NaN or infinity.

    Raises:
        FacegeomError: with the name of the first such weight.
    """
    for name, value in module.state_dict().items():
        if not torch.isfinite(value).all():
            raise FacegeomError(f"the training diverged: {name} is not finite; {LOWER_RATE}")


def save_last(trainer: L.Trainer, out: Path) -> Path:
    """Save the state at the end of the training as ``out/last.ckpt``; exit in all processes but the first."""
    trainer.save_checkpoint(out / LAST)
    if not trainer.is_global_zero:
        raise SystemExit(0)
    return out / LAST


class EpochTime(Callback):
    """Log ``seconds``, the number of ``samples`` and the learning rate ``lr`` of every epoch."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock: a resumed training may not begin with the start of an epoch."""
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock and the count."""
        self._start, self._samples = time.perf_counter(), 0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the samples of a batch, over all processes."""
        samples = next(iter(batch.values())) if isinstance(batch, dict) else batch[0]
        self._samples += len(samples) * trainer.world_size

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the epoch, unless it was complete before an interruption."""
        if not self._samples:
            return
        pl_module.log("seconds", time.perf_counter() - self._start)
        pl_module.log("samples", float(self._samples))
        pl_module.log("lr", trainer.optimizers[0].param_groups[0]["lr"])


class FiniteLoss(Callback):
    """Stop a training whose loss is NaN or infinite with an error: what it would write is worthless."""

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the loss of every step, on a GPU of some.

        Raises:
            FacegeomError: it is not finite.
        """
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if loss is None or (loss.device.type != "cpu" and batch_idx % CHECKED_EVERY):
            return
        if not torch.isfinite(loss).all():
            raise FacegeomError(
                f"the loss is {loss.float().mean().item()} in epoch {trainer.current_epoch}, step "
                f"{trainer.global_step}; {LOWER_RATE}"
            )


class LowerOnPlateau(Callback):
    """Multiply the learning rate by ``factor`` after so many epochs without a better validation loss.

    Lightning would count an epoch after the checkpoint is written; a resumed training would forget it.

    Args:
        factor: below 1.
        epochs: without a better ``val/loss``.
    """

    def __init__(self, factor: float, epochs: int) -> None:
        self.factor, self.epochs = factor, epochs
        self._plateau: torch.optim.lr_scheduler.ReduceLROnPlateau | None = None
        self._known: dict[str, Any] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Count for the optimiser, from where the checkpoint left off."""
        self._plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            trainer.optimizers[0], factor=self.factor, patience=self.epochs - 1
        )
        if self._known:
            self._plateau.load_state_dict(self._known)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Count an epoch, after its validation and before the checkpoint."""
        if self._plateau is not None and "val/loss" in trainer.callback_metrics:
            self._plateau.step(float(trainer.callback_metrics["val/loss"]))

    def state_dict(self) -> dict[str, Any]:
        """Return the counts for the checkpoint."""
        return self._plateau.state_dict() if self._plateau is not None else self._known

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the counts of a checkpoint."""
        self._known = state_dict


class StopAtRate(Callback):
    """Stop the training once the warm-up is over and the learning rate has fallen to ``rate`` or below."""

    def __init__(self, rate: float, warmup_epochs: int) -> None:
        self.rate, self.warmup_epochs = rate, warmup_epochs

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Compare the current learning rate with the limit."""
        warm = trainer.current_epoch >= self.warmup_epochs
        if warm and trainer.optimizers[0].param_groups[0]["lr"] <= self.rate:
            trainer.should_stop = True

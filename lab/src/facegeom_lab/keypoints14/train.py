"""``train_detector``: train the network on images with 14 points.

Separate from :mod:`facegeom_lab.training.loop`, because it writes one file instead of a run folder: the state
is in ``<out>.last``, and a trial writes nothing.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Checkpoint, EMAWeightAveraging, TQDMProgressBar
from torch.utils.data import DataLoader
from tqdm import tqdm

from facegeom.errors import InputError, OutputError
from facegeom.export.files import make_folder
from facegeom.image import reading
from facegeom_lab.keypoints14.data import LabelledImages, PlainViews, TrainingViews, labelled_images, split
from facegeom_lab.keypoints14.detection import label_shift
from facegeom_lab.keypoints14.network import KeypointNet, TrainingCost, load_network, save_network
from facegeom_lab.keypoints14.task import Keypoints14Recipe, KeypointTask
from facegeom_lab.keypoints14.views import SquareImages, channel_statistics, margins
from facegeom_lab.training import recipes
from facegeom_lab.training.loop import silence_advertisements

MODEL = "facepoints_model.ckpt"
VAL_BATCH = 64
MAX_GRADIENT_NORM = 5.0
SHIFT_IMAGES = 2048  # number of images to measure the label shift on
EQUAL_MARGINS = 0.06  # largest standard deviation of the margins of images that were cropped by one rule
_KEY = "keypoints14"


class SingleFileCheckpoint(Checkpoint):
    """Save the state after every epoch in ``<out>.last``, and the network in ``out`` at the end.

    Args:
        out: file of the network.
        fingerprint: hash of images, points and settings; a state with another one is refused.
    """

    def __init__(self, out: Path, fingerprint: str) -> None:
        self.out, self.fingerprint = out, fingerprint
        self.last = out.with_name(f"{out.name}.last")
        self.cost = self.best_cost = TrainingCost(0, 0, 0.0, float("inf"))
        self.best: dict[str, torch.Tensor] = {}

    def resume(self) -> Path | None:
        """Return the state to resume from; None for a new training.

        Raises:
            InputError: the state is of another training, or cannot be read.
            OutputError: the folder of ``out`` cannot be made.
        """
        make_folder(self.out.parent)
        if not self.last.exists():
            return None
        advice = "remove it to train anew, or give another place for the network"
        try:
            kept = torch.load(self.last, map_location="cpu", weights_only=True)[_KEY]
        except (UnpicklingError, RuntimeError, EOFError, OSError, LookupError, TypeError) as error:
            raise InputError(f"{self.last} cannot be read ({type(error).__name__}); {advice}") from error
        if kept["fingerprint"] != self.fingerprint:
            raise InputError(f"{self.last} is of a training with other images or settings; {advice}")
        return self.last

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock, with the seconds before an interruption."""
        self._since = time.perf_counter() - self.cost.train_seconds

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the samples."""
        self.cost = replace(self.cost, samples=self.cost.samples + len(batch["image"]))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save the state.

        Raises:
            OutputError: the file cannot be written.
        """
        self.cost = TrainingCost(
            epochs=trainer.current_epoch + 1,
            samples=self.cost.samples,
            train_seconds=time.perf_counter() - self._since,
            val_error=float(trainer.callback_metrics["val/error"]),
        )
        temporary = self.last.with_name(f".{self.last.name}.tmp")
        try:
            trainer.save_checkpoint(temporary, weights_only=False)
            os.replace(temporary, self.last)
        except OSError as error:
            raise OutputError(f"cannot write {str(self.last)!r}: {error.strerror or error}") from error

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Store the best averaged weights: Lightning calls checkpoint callbacks after the averaging one."""
        if self.cost.val_error < self.best_cost.val_error:
            self.best_cost = self.cost
            self.best = {
                name.removeprefix("net."): value.clone() for name, value in checkpoint["state_dict"].items()
            }
        costs = {"effort": vars(self.cost), "best_effort": vars(self.best_cost)}
        checkpoint[_KEY] = {"fingerprint": self.fingerprint, "best": self.best, **costs}

    def on_load_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Restore the best weights and the costs."""
        kept = checkpoint[_KEY]
        self.best = kept["best"]
        self.cost = TrainingCost(**kept["effort"])
        self.best_cost = TrainingCost(**kept["best_effort"])

    def best_network(self) -> KeypointNet:
        """Return the network with the lowest validation error, in evaluation mode.

        Raises:
            InputError: no epoch gave a finite error.
        """
        if not self.best:
            raise InputError("the training diverged: no epoch gave a finite error; lower the learning rate")
        net = KeypointNet()
        net.load_state_dict(self.best)
        return net.eval()

    def finish(self, net: KeypointNet) -> None:
        """Write the network and remove the state.

        Raises:
            OutputError: the file cannot be written.
        """
        save_network(self.out, net.state_dict(), self.best_cost, net.margins)
        self.last.unlink(missing_ok=True)


class KeypointData(L.LightningDataModule):
    """Random views of the images for training, plain ones for validation.

    Args:
        images: all labelled images.
        recipe: settings.
        workers: processes that prepare views.
    """

    def __init__(self, images: LabelledImages, recipe: Keypoints14Recipe, workers: int) -> None:
        super().__init__()
        self.recipe, self.workers = recipe, workers
        train_rows, val_rows = split(len(images), recipe.val_share, recipe.seed)
        self.train, self.val = images.subset(train_rows), images.subset(val_rows)
        self.squares = SquareImages(self.train.paths, recipe.cached_px, recipe.cached_mb)

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Compute mean (3,) and standard deviation (3,) of the training images; fills the cache."""
        rows = tqdm(range(len(self.squares)), desc="images", unit="image")
        return channel_statistics(self.squares[row][0] for row in rows)

    @property
    def steps(self) -> int:
        """Return the steps of an epoch; a last, smaller batch is dropped unless it is the only one."""
        return max(1, len(self.train) // self.recipe.batch)

    def train_dataloader(self) -> DataLoader:
        """Return the samples of the current epoch, determined by the seed and the epoch's number.

        The loader has a generator of its own, so that it does not disturb the one of dropout.
        """
        r, epoch = self.recipe, self.trainer.current_epoch if self.trainer else 0
        views = TrainingViews(self.squares, self.train.points, r, epoch)
        order = np.random.default_rng((r.seed, epoch)).permutation(len(views))[: self.steps * r.batch]
        return DataLoader(
            views, r.batch, sampler=order.tolist(), generator=torch.Generator(), num_workers=self.workers
        )

    def val_dataloader(self) -> DataLoader:
        """Return the validation samples."""
        views = PlainViews(SquareImages(self.val.paths, self.recipe.input_px), self.val.points)
        return DataLoader(views, VAL_BATCH, num_workers=self.workers)


def train_detector(
    train_gt: Mapping[str, np.ndarray] | str | Path,
    train_img_dir: str | Path,
    fast_train: bool = False,
    *,
    out: str | Path = MODEL,
    recipe: Keypoints14Recipe | None = None,
    workers: int = 0,
) -> KeypointNet:
    """Train a network from scratch on the given images only.

    Args:
        train_gt: 28 numbers x1, y1, …, x14, y14 in pixels by file name, NaN where a point is not annotated;
            or the path of a ``gt.csv``.
        train_img_dir: folder of the images, colour or grey.
        fast_train: a trial, one epoch of a few batches. No file is written.
        out: file of the network with the lowest validation error. During the training its state is saved in
            ``<out>.last`` after every epoch, and the same call resumes from there.
        recipe: settings; ``recipes/keypoints14.yaml`` by default.
        workers: processes that prepare images; a trial needs none.

    Returns:
        The network, in evaluation mode.

    Raises:
        InputError: the points or images are not as described, or ``<out>.last`` is of another training.
        ImageError: an image cannot be read.
        OutputError: ``out`` cannot be written.
    """
    settings = recipe or recipes.load(Keypoints14Recipe, "keypoints14")
    images = labelled_images(train_gt, Path(train_img_dir))
    if fast_train:
        return _trial(images, settings)
    checkpoint = SingleFileCheckpoint(Path(out), _fingerprint(images, settings))
    data = KeypointData(images, settings, workers)
    _fit(data, settings, checkpoint)
    checkpoint.finish(_set_shift(checkpoint.best_network(), data))
    return load_network(Path(out))


def _trial(images: LabelledImages, recipe: Keypoints14Recipe) -> KeypointNet:
    """Train one epoch of a few batches; write nothing."""
    wanted = recipe.batch * recipe.fast_batches
    rows = np.random.default_rng(recipe.seed).permutation(len(images))[:wanted].tolist()
    short = replace(recipe, epochs=1, warmup_epochs=0.0)
    data = KeypointData(images.subset(rows), short, workers=0)
    return _set_shift(_fit(data, short, None), data)


def _fit(
    data: KeypointData, recipe: Keypoints14Recipe, checkpoint: SingleFileCheckpoint | None
) -> KeypointNet:
    """Train and return the averaged weights of the last epoch."""
    L.seed_everything(recipe.seed, verbose=False)
    last = checkpoint.resume() if checkpoint else None
    task = KeypointTask(recipe, _network(data, recipe), recipe.epochs * data.steps)
    average = EMAWeightAveraging(decay=recipe.ema_decay, update_starting_at_step=task.warmup_steps)
    silence_advertisements()
    trainer = L.Trainer(
        accelerator="gpu" if torch.cuda.is_available() else "cpu",
        devices=1,
        precision=recipe.precision,
        max_epochs=recipe.epochs,
        callbacks=[average, TQDMProgressBar(leave=True), *([checkpoint] if checkpoint else [])],
        logger=False,
        enable_checkpointing=checkpoint is not None,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        gradient_clip_val=MAX_GRADIENT_NORM,
        reload_dataloaders_every_n_epochs=1,
    )
    trainer.fit(task, data, ckpt_path=last, weights_only=True)
    return task.net.eval()


def _network(data: KeypointData, recipe: Keypoints14Recipe) -> KeypointNet:
    net = KeypointNet(recipe.input_px, recipe.dropout)
    mean, std = data.statistics()
    net.mean.copy_(torch.from_numpy(mean))
    net.std.copy_(torch.from_numpy(std))
    return net


def _set_shift(net: KeypointNet, data: KeypointData) -> KeypointNet:
    """Measure the label shift and store it in the network, in place."""
    some = data.train.subset(range(len(data.train))[:SHIFT_IMAGES])
    views = PlainViews(SquareImages(some.paths, data.recipe.input_px), some.points)
    net.shift.copy_(torch.from_numpy(label_shift(net, views)))
    net.margins = _common_margins(some)
    return net


def _common_margins(images: LabelledImages) -> tuple[float, ...] | None:
    """Return the mean margins (4,) around the points of the images; None where the images differ in them."""
    found = []
    for path, points in zip(images.paths, images.points, strict=True):
        size_wh = reading.read(path).shape[1::-1]
        found.append(margins(points, size_wh))
    spread = np.std(found, axis=0).max()
    return None if spread > EQUAL_MARGINS else tuple(np.mean(found, axis=0).tolist())


def _fingerprint(images: LabelledImages, recipe: Keypoints14Recipe) -> str:
    names = "\n".join(path.name for path in images.paths)
    settings = json.dumps(asdict(recipe), sort_keys=True)
    return hashlib.sha256(f"{names}\n{settings}".encode() + images.points.tobytes()).hexdigest()

"""``train_detector``: from pictures with points to a network that finds them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, TQDMProgressBar
from torch.utils.data import DataLoader
from tqdm import tqdm

from facegeom_lab.keypoints14.data import Given, PlainViews, TrainingViews, given, split
from facegeom_lab.keypoints14.detection import label_shift
from facegeom_lab.keypoints14.keep import KeepEpochs
from facegeom_lab.keypoints14.network import KeypointNet
from facegeom_lab.keypoints14.pictures import Squares, channel_statistics
from facegeom_lab.keypoints14.recipe import Keypoints14Recipe
from facegeom_lab.keypoints14.task import KeypointTask
from facegeom_lab.keypoints14.weights import load_network
from facegeom_lab.training import recipes

MODEL = "facepoints_model.ckpt"
VAL_BATCH = 64
LARGEST_GRADIENT = 5.0  # its norm
SHIFT_PICTURES = 2048  # to measure the labels' shift on


class KeypointData(L.LightningDataModule):
    """Views of the given pictures: changed ones to train on, plain ones to validate on.

    Args:
        pictures: all that are given.
        recipe: settings.
        workers: processes that prepare views.
    """

    def __init__(self, pictures: Given, recipe: Keypoints14Recipe, workers: int) -> None:
        super().__init__()
        self.recipe, self.workers = recipe, workers
        train_rows, val_rows = split(len(pictures), recipe.val_share, recipe.seed)
        self.train, self.val = pictures.part(train_rows), pictures.part(val_rows)
        self.squares = Squares(self.train.paths, recipe.cached_px, recipe.cached_mb)

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean (3,) and standard deviation (3,) of the training pictures' channels; fills the cache."""
        rows = tqdm(range(len(self.squares)), desc="pictures", unit="picture")
        return channel_statistics(self.squares[row][0] for row in rows)

    @property
    def steps(self) -> int:
        """Of one epoch; a last, smaller batch is left out unless it is the only one."""
        return max(1, len(self.train) // self.recipe.batch)

    def train_dataloader(self) -> DataLoader:
        """Of the current epoch; what it gives depends on the seed and the epoch's number alone.

        The generator is the loader's own: it must not draw from the one that dropout draws from.
        """
        r, epoch = self.recipe, self.trainer.current_epoch if self.trainer else 0
        views = TrainingViews(self.squares, self.train.points, r, epoch)
        order = np.random.default_rng((r.seed, epoch)).permutation(len(views))[: self.steps * r.batch]
        return DataLoader(
            views, r.batch, sampler=order.tolist(), generator=torch.Generator(), num_workers=self.workers
        )

    def val_dataloader(self) -> DataLoader:
        views = PlainViews(Squares(self.val.paths, self.recipe.input_px), self.val.points)
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
    """Train a network from scratch on the given pictures alone.

    Args:
        train_gt: 28 numbers x1, y1, …, x14, y14 in pixels by file name, NaN where a point is not annotated;
            or the path of a ``gt.csv``.
        train_img_dir: folder of the pictures; grey ones are taken as well.
        fast_train: a trial: one epoch of a few batches. No file is written.
        out: file of the network that did best on the pictures kept out. Until the training is through, its
            state is in ``<out>.last`` after every epoch, and the same call goes on from there.
        recipe: settings; ``recipes/keypoints14.yaml`` by default.
        workers: processes that prepare pictures; a trial needs none.

    Returns:
        The network, in evaluation mode.

    Raises:
        InputError: the points or pictures are not as described, or ``<out>.last`` is of another training.
        ImageError: a picture cannot be read.
        OutputError: ``out`` cannot be written.
    """
    settings = recipe or recipes.load(Keypoints14Recipe, "keypoints14")
    pictures = given(train_gt, Path(train_img_dir))
    if fast_train:
        return _trial(pictures, settings)
    keep = KeepEpochs(Path(out), _fingerprint(pictures, settings))
    data = KeypointData(pictures, settings, workers)
    _fit(data, settings, keep)
    keep.finish(_shifted(keep.best_network(), data))
    return load_network(Path(out))


def _trial(pictures: Given, recipe: Keypoints14Recipe) -> KeypointNet:
    """One epoch of a few batches; nothing is kept."""
    wanted = recipe.batch * recipe.fast_batches
    rows = np.random.default_rng(recipe.seed).permutation(len(pictures))[:wanted].tolist()
    short = replace(recipe, epochs=1, warmup_epochs=0.0)
    data = KeypointData(pictures.part(rows), short, workers=0)
    return _shifted(_fit(data, short, None), data)


def _fit(data: KeypointData, recipe: Keypoints14Recipe, keep: KeepEpochs | None) -> KeypointNet:
    """Train, and give back the averaged weights of the last epoch."""
    L.seed_everything(recipe.seed, verbose=False)
    last = keep.resume() if keep else None
    task = KeypointTask(recipe, _network(data, recipe), recipe.epochs * data.steps)
    average = EMAWeightAveraging(decay=recipe.ema_decay, update_starting_at_step=task.warmup_steps)
    trainer = L.Trainer(
        accelerator="gpu" if torch.cuda.is_available() else "cpu",
        devices=1,
        precision=recipe.precision,
        max_epochs=recipe.epochs,
        callbacks=[average, TQDMProgressBar(leave=True), *([keep] if keep else [])],
        logger=False,
        enable_checkpointing=keep is not None,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        gradient_clip_val=LARGEST_GRADIENT,
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


def _shifted(net: KeypointNet, data: KeypointData) -> KeypointNet:
    """The network with the shift of the labels measured; the same object."""
    some = data.train.part(range(len(data.train))[:SHIFT_PICTURES])
    views = PlainViews(Squares(some.paths, data.recipe.input_px), some.points)
    net.shift.copy_(torch.from_numpy(label_shift(net, views)))
    return net


def _fingerprint(pictures: Given, recipe: Keypoints14Recipe) -> str:
    names = "\n".join(path.name for path in pictures.paths)
    settings = json.dumps(asdict(recipe), sort_keys=True)
    return hashlib.sha256(f"{names}\n{settings}".encode() + pictures.points.tobytes()).hexdigest()

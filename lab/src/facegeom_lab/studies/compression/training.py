"""The training that all methods share: a fixed number of images of heads, eight classes, one schedule."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from statistics import median
from typing import Any

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

from facegeom.export.files import replacing
from facegeom_lab.datasets.training.directions import Directions, batch, centre_crops
from facegeom_lab.studies.compression.binary import clip_weights
from facegeom_lab.training import loop

Loss = Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]
"""(network, images, classes) -> the loss."""

EPOCHS_PER_STAGE = 4
"""A checkpoint is saved after each."""


@dataclass(frozen=True)
class Budget:
    """What each method may spend.

    Attributes:
        samples: images seen in training, all stages together.
        batch: images of a step.
        learning_rate: peak; after a short warm-up it falls to zero over each stage by half a cosine.
        precision: Lightning's name; bfloat16 where the processor has it.
        seed: of weights and batches.
    """

    samples: int = 16000
    batch: int = 32
    learning_rate: float = 0.001
    precision: str = "bf16-mixed"
    seed: int = 0


class Batches(Dataset):
    """One epoch of a stage: batch ``index`` is the same in every run."""

    def __init__(self, faces: Directions, budget: Budget, steps: int, key: tuple[int, ...]) -> None:
        self.faces, self.budget, self.steps, self.key = faces, budget, steps, key

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        if index >= self.steps:
            raise IndexError(index)
        rng = np.random.default_rng((*self.key, index))
        crops, classes = batch(self.faces, self.budget.batch, rng)
        return {"crops": torch.from_numpy(crops), "classes": torch.from_numpy(classes)}


def network_input(crops: torch.Tensor) -> torch.Tensor:
    """Convert uint8 (N, H, W, 3) to the networks' input (N, 3, H, W), channels last in memory."""
    return (crops.permute(0, 3, 1, 2).float() - 127.5) / 64


def cross_entropy(net: nn.Module, images: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Return the loss of a plain classifier."""
    return F.cross_entropy(net(images).float(), classes)


class DirectionsTask(L.LightningModule):
    """One stage of a method's training."""

    def __init__(
        self,
        net: nn.Module,
        loss: Loss,
        faces: Directions,
        budget: Budget,
        steps: int,
        stage: int,
        rate: float,
    ) -> None:
        super().__init__()
        self.net, self.loss, self.rate, self.stage = net, loss, rate, stage
        self.faces, self.budget, self.steps = faces, budget, max(EPOCHS_PER_STAGE, steps)
        self.step_ms: list[float] = []

    @property
    def progress(self) -> float:
        """Finished fraction of the stage, in [0, 1]."""
        return self.global_step / self.steps

    def train_dataloader(self) -> DataLoader:
        """Return the batches of the current epoch."""
        steps = self.steps // EPOCHS_PER_STAGE
        key = (self.budget.seed, self.stage, self.current_epoch)
        return DataLoader(Batches(self.faces, self.budget, steps, key), batch_size=None)

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        """Return the loss of a batch."""
        loss = self.loss(self.net, network_input(batch["crops"]), batch["classes"])
        self.log("loss", loss, prog_bar=True)
        return loss

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Clip BinaryNet's weights; record the time of the step."""
        clip_weights(self.net)
        self.step_ms.append(1e3 * (time.perf_counter() - self._start))

    def configure_optimizers(self) -> dict[str, Any]:
        """Return AdamW with a one-cycle schedule."""
        trained = [parameter for parameter in self.net.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, self.rate, weight_decay=1e-4, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.rate, total_steps=self.steps + 1, pct_start=0.1
        )
        return loop.every_step(optimizer, schedule)


class StageTrainer:
    """Trains the stages of one method within its budget; each finished stage is kept in the run's folder.

    Args:
        out: folder of the run.
        faces: of the training.
        budget: for all stages together.

    Attributes:
        stages: number of stages trained so far.
        fraction: of the budget spent so far.
    """

    def __init__(self, out: Path, faces: Directions, budget: Budget) -> None:
        self.out, self.faces, self.budget = out, faces, budget
        self.stages, self.fraction = 0, 0.0
        self._spent_ms: list[tuple[float, float]] = []  # milliseconds per image, fraction of the budget
        self._task: DirectionsTask | None = None

    def __call__(
        self, net: nn.Module, fraction: float = 1.0, loss: Loss = cross_entropy, rate: float = 1.0
    ) -> nn.Module:
        """Train in place; return the network in evaluation mode.

        Args:
            net: the network.
            fraction: of the budget's samples.
            loss: of the stage.
            rate: factor of the budget's learning rate.
        """
        self.stages += 1
        self.fraction += fraction
        file = self.out / f"stage-{self.stages}.pt"
        if not file.is_file():
            self._train(net, fraction, loss, rate, file)
        kept = torch.load(file, map_location="cpu", weights_only=True)
        net.load_state_dict(kept["state"])
        self._spent_ms.append((kept["ms"], fraction))
        return net.eval()

    def remove_stage_files(self) -> None:
        """Remove the stages' files of a finished run."""
        for file in self.out.glob("stage-*.pt"):
            file.unlink()

    @property
    def ms_per_image(self) -> float | None:
        """Median milliseconds of a training step for each image, stages weighted by their fraction."""
        total = sum(fraction for _, fraction in self._spent_ms)
        return sum(ms * fraction for ms, fraction in self._spent_ms) / total if total else None

    def progress(self) -> float:
        """Return the finished fraction of the current stage, in [0, 1]."""
        return self._task.progress if self._task else 0.0

    def _train(self, net: nn.Module, fraction: float, loss: Loss, rate: float, file: Path) -> None:
        budget, folder = self.budget, self.out / f"stage-{self.stages}"
        steps = int(fraction * budget.samples / budget.batch)
        L.seed_everything(budget.seed + self.stages, verbose=False)
        task = DirectionsTask(net, loss, self.faces, budget, steps, self.stages, rate * budget.learning_rate)
        self._task = task
        trainer = loop.trainer(
            folder,
            budget.precision,
            monitor=None,
            max_epochs=EPOCHS_PER_STAGE,
            reload_dataloaders_every_n_epochs=1,
            enable_model_summary=False,
        )
        loop.fit(trainer, task, None, folder)
        self._task = None
        ms = median(task.step_ms) / budget.batch if task.step_ms else 0.0
        with replacing(file) as temporary:
            torch.save({"state": net.state_dict(), "ms": ms}, temporary)
        rmtree(folder)


def predict_logits(net: nn.Module, faces: Directions, batch: int = 32) -> torch.Tensor:
    """Return a network's logits (N, classes) for the middles of the stored crops."""
    with torch.inference_mode():
        return torch.cat([net(images) for images in _batches(faces, batch)])


def _batches(faces: Directions, size: int) -> Iterator[torch.Tensor]:
    for start in range(0, len(faces), size):
        yield network_input(torch.from_numpy(centre_crops(faces.crops[start : start + size]).copy()))


def balanced_accuracy(predictions: np.ndarray, classes: np.ndarray) -> float:
    """Return the mean of the classes' accuracies, per cent: rare classes count as much as frequent ones.

    Args:
        predictions: (N,) predicted classes.
        classes: (N,) ground truth.
    """
    correct = predictions == classes
    return 100 * float(np.mean([correct[classes == each].mean() for each in np.unique(classes)]))

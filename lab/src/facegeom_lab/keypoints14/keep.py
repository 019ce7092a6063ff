"""What is kept of a training: its state after every epoch, and the weights that did best so far."""

import os
import time
from dataclasses import replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint

from facegeom.errors import InputError, OutputError
from facegeom.export.files import make_folder
from facegeom_lab.keypoints14.network import KeypointNet
from facegeom_lab.keypoints14.weights import Effort, save_network

_KEY = "keypoints14"


class KeepEpochs(Checkpoint):
    """Keeps the state of the training in ``<out>.last``; ``out`` itself is written once it is through.

    Args:
        out: file of the network.
        fingerprint: of pictures, points and settings; a state with another one is not gone on from.
    """

    def __init__(self, out: Path, fingerprint: str) -> None:
        self.out, self.fingerprint = out, fingerprint
        self.last = out.with_name(f"{out.name}.last")
        self.effort = self.best_effort = Effort(0, 0, 0.0, float("inf"))
        self.best: dict[str, torch.Tensor] = {}

    def resume(self) -> Path | None:
        """The state to go on from; None for a new training.

        Raises:
            InputError: there is a state, but of another training, or it cannot be read.
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
            raise InputError(f"{self.last} is of a training with other pictures or settings; {advice}")
        return self.last

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._since = time.perf_counter() - self.effort.train_seconds

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.effort = replace(self.effort, samples=self.effort.samples + len(batch["picture"]))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.effort = Effort(
            epochs=trainer.current_epoch + 1,
            samples=self.effort.samples,
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
        """The state holds the averaged weights by now: keepers of checkpoints are asked last."""
        if self.effort.val_error < self.best_effort.val_error:
            self.best_effort = self.effort
            self.best = {
                name.removeprefix("net."): value.clone() for name, value in checkpoint["state_dict"].items()
            }
        efforts = {"effort": vars(self.effort), "best_effort": vars(self.best_effort)}
        checkpoint[_KEY] = {"fingerprint": self.fingerprint, "best": self.best, **efforts}

    def on_load_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        kept = checkpoint[_KEY]
        self.best = kept["best"]
        self.effort, self.best_effort = Effort(**kept["effort"]), Effort(**kept["best_effort"])

    def best_network(self) -> KeypointNet:
        """The network that did best, in evaluation mode.

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
        save_network(self.out, net.state_dict(), self.best_effort)
        self.last.unlink(missing_ok=True)

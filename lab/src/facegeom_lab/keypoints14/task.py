"""Loss, optimiser and validation of the compact task's network."""

from collections.abc import Iterable
from math import cos, pi

import lightning as L
import torch
import torch.nn.functional as F

from facegeom_lab.keypoints14.network import KeypointNet
from facegeom_lab.keypoints14.recipe import Keypoints14Recipe
from facegeom_lab.training.losses import wing

LAST_RATE = 0.005
"""Learning rate at the end, of the largest."""


class KeypointTask(L.LightningModule):
    """Trains a :class:`KeypointNet`.

    Args:
        recipe: settings.
        net: whose statistics are set.
        steps: of the whole training, for the learning rate's schedule.
    """

    def __init__(self, recipe: Keypoints14Recipe, net: KeypointNet, steps: int) -> None:
        super().__init__()
        self.recipe, self.steps = recipe, steps
        self.warmup_steps = round(recipe.warmup_epochs * steps / recipe.epochs)
        self.net = net.to(memory_format=torch.channels_last)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pictures (N, 3, S, S) uint8 -> points (N, 14, 2) float32 in the network's unit."""
        return self.net(pictures.float().contiguous(memory_format=torch.channels_last)).float()

    def on_train_epoch_start(self) -> None:
        """Dropout depends on seed and epoch alone, so that a resumed training goes on as it would have."""
        torch.manual_seed(1000 * self.recipe.seed + self.current_epoch)

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        errors = errors_100(self(batch["picture"]), batch["points"])
        loss = point_loss(errors, self.recipe)
        self.log("loss", loss.detach(), prog_bar=True)
        self.log("train/error", (errors.detach() ** 2).mean(), on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        errors = errors_100(self(batch["picture"]), batch["points"])
        self.log("val/error", (errors**2).mean(), batch_size=len(errors), prog_bar=True)

    def configure_optimizers(self) -> dict:
        optimizer = make_optimizer(self.parameters(), self.recipe)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: rate(step, self.warmup_steps, self.steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def errors_100(answer: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Errors (E,) of the coordinates that are annotated, in pixels of the picture scaled to 100 x 100.

    Args:
        answer: (N, 14, 2) in the network's unit.
        truth: (N, 14, 2), NaN where not annotated.
    """
    known = torch.isfinite(truth)
    return 100 * (answer[known] - truth[known])


def point_loss(errors: torch.Tensor, recipe: Keypoints14Recipe) -> torch.Tensor:
    """Mean of the recipe's loss over errors (E,) in pixels of 100."""
    if recipe.loss == "wing":
        return wing(errors.abs(), recipe.loss_width, recipe.loss_curvature).mean()
    if recipe.loss == "smooth_l1":
        return F.smooth_l1_loss(errors, torch.zeros_like(errors), beta=recipe.loss_width)
    return (errors**2).mean()


def make_optimizer(
    parameters: Iterable[torch.nn.Parameter], recipe: Keypoints14Recipe
) -> torch.optim.Optimizer:
    """The optimiser that the recipe names."""
    r, decay = recipe, {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
    if r.optimizer == "sgd":
        return torch.optim.SGD(parameters, momentum=r.momentum, nesterov=r.momentum > 0, **decay)
    if r.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, momentum=r.momentum, **decay)
    return (torch.optim.AdamW if r.optimizer == "adamw" else torch.optim.Adam)(parameters, **decay)


def rate(step: int, warmup: int, steps: int) -> float:
    """Share of the largest learning rate: a linear start, then half a cosine down to ``LAST_RATE``."""
    if step < warmup:
        return (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return LAST_RATE + (1 - LAST_RATE) * (1 + cos(pi * progress)) / 2

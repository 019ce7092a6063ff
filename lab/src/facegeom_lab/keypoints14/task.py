"""Settings, loss, optimiser and validation of the compact task."""

from collections.abc import Iterable
from dataclasses import dataclass

import lightning as L
import torch
import torch.nn.functional as F

from facegeom.errors import InputError
from facegeom_lab.keypoints14.network import KeypointNet
from facegeom_lab.training.loop import cosine_schedule, every_step
from facegeom_lab.training.losses import wing

FINAL_RATE = 0.005
"""Final learning rate as a fraction of the peak rate."""

CHOICES = {
    "loss": ("wing", "smooth_l1", "mse"),
    "schedule": ("cosine", "plateau"),
    "optimizer": ("adam", "adamw", "sgd", "rmsprop"),
    "precision": ("32-true", "bf16-mixed", "16-mixed"),
}


@dataclass(frozen=True)
class Keypoints14Recipe:
    """Settings of the training.

    Attributes:
        epochs: passes over the images.
        batch: images in a step.
        fast_batches: steps of a trial run (``fast_train``).
        val_share: fraction of the images for validation after every epoch.
        input_px: side of the network's square input.
        cached_px: side of the square images that crops are cut from, larger so that crops are not upsampled.
        cached_mb: memory for such images; those that do not fit are read again every epoch.
        loss: wing, smooth_l1 or mse of the errors in pixels of the image scaled to 100 x 100.
        loss_width: w of wing and beta of smooth_l1, in such pixels.
        loss_curvature: epsilon of wing, in such pixels.
        optimizer: adam, adamw, sgd (with Nesterov momentum) or rmsprop.
        learning_rate: peak rate, after the warm-up.
        schedule: cosine, half a cosine down; or plateau, times ``factor`` whenever the validation error has
            not fallen for more than ``patience`` epochs (PyTorch's ReduceLROnPlateau).
        patience: of the schedule plateau.
        factor: of the schedule plateau.
        warmup_epochs: length of the linear warm-up.
        momentum: of sgd and rmsprop.
        weight_decay: decoupled with adamw, L2 penalty with the others.
        ema_decay: decay of the averaged weights, which validation and the checkpoint use.
        dropout: probability of dropping a feature.
        turn_deg: standard deviation of the in-plane rotation.
        shear: standard deviation of the shear.
        margin: largest change of the crop's margin on each side, as a fraction of the points' extent.
        loose_share: fraction of the crops that are looser, or beside the face: images of other sources.
        loose_margin: largest growth of their margins, as a fraction of the points' extent.
        loose_shift: largest shift of theirs, likewise.
        change_share: fraction of images with changed light, colour or sharpness, or with occlusion.
        precision: Lightning's name: 32-true; bf16-mixed, faster where the CPU has bfloat16; 16-mixed, for
            GPUs without bfloat16.
        seed: random seed.
    """

    epochs: int
    batch: int
    fast_batches: int
    val_share: float
    input_px: int
    cached_px: int
    cached_mb: int
    loss: str
    loss_width: float
    loss_curvature: float
    optimizer: str
    learning_rate: float
    schedule: str
    patience: int
    factor: float
    warmup_epochs: float
    momentum: float
    weight_decay: float
    ema_decay: float
    dropout: float
    turn_deg: float
    shear: float
    margin: float
    loose_share: float
    loose_margin: float
    loose_shift: float
    change_share: float
    precision: str
    seed: int

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")


class KeypointTask(L.LightningModule):
    """Training of a :class:`KeypointNet`.

    Args:
        recipe: settings.
        net: network with its statistics set.
        steps: length of the training, for the learning-rate schedule.
    """

    def __init__(self, recipe: Keypoints14Recipe, net: KeypointNet, steps: int) -> None:
        super().__init__()
        self.recipe, self.steps = recipe, steps
        self.warmup_steps = round(recipe.warmup_epochs * steps / recipe.epochs)
        self.net = net.to(memory_format=torch.channels_last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Predict points (N, 14, 2) float32 in the network's unit from images (N, 3, S, S) uint8."""
        return self.net(images.float().contiguous(memory_format=torch.channels_last)).float()

    def on_train_epoch_start(self) -> None:
        """Seed dropout by the epoch, so that a resumed training repeats an uninterrupted one."""
        torch.manual_seed(1000 * self.recipe.seed + self.current_epoch)

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        """Return the loss of a batch."""
        errors = errors_100(self(batch["image"]), batch["points"])
        loss = point_loss(errors, self.recipe)
        self.log("loss", loss.detach(), prog_bar=True)
        self.log("train/error", (errors.detach() ** 2).mean(), on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        """Log the mean squared error."""
        errors = errors_100(self(batch["image"]), batch["points"])
        self.log("val/error", (errors**2).mean(), batch_size=len(errors), prog_bar=True)

    def on_train_batch_start(self, *_: object) -> None:
        """Set the learning rate of the linear warm-up before the schedule plateau."""
        if self.recipe.schedule == "plateau" and self.global_step < self.warmup_steps:
            for group in self.trainer.optimizers[0].param_groups:
                group["lr"] = self.recipe.learning_rate * (self.global_step + 1) / self.warmup_steps

    def configure_optimizers(self) -> dict:
        """Return the recipe's optimiser with a warm-up and its schedule; a cosine ends at ``FINAL_RATE``."""
        r, optimizer = self.recipe, make_optimizer(self.parameters(), self.recipe)
        if r.schedule == "plateau":
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer, factor=r.factor, patience=r.patience
            )
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "val/error"}}
        return every_step(optimizer, cosine_schedule(optimizer, self.steps, self.warmup_steps, FINAL_RATE))


def errors_100(predicted: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Compute the errors (E,) of annotated coordinates in pixels of the image scaled to 100 x 100.

    Args:
        predicted: (N, 14, 2) in the network's unit.
        truth: (N, 14, 2), NaN where not annotated.
    """
    known = torch.isfinite(truth)
    return 100 * (predicted[known] - truth[known])


def point_loss(errors: torch.Tensor, recipe: Keypoints14Recipe) -> torch.Tensor:
    """Average the recipe's loss over errors (E,)."""
    if recipe.loss == "wing":
        return wing(errors.abs(), recipe.loss_width, recipe.loss_curvature).mean()
    if recipe.loss == "smooth_l1":
        return F.smooth_l1_loss(errors, torch.zeros_like(errors), beta=recipe.loss_width)
    return (errors**2).mean()


def make_optimizer(
    parameters: Iterable[torch.nn.Parameter], recipe: Keypoints14Recipe
) -> torch.optim.Optimizer:
    """Create the recipe's optimiser."""
    r, decay = recipe, {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
    if r.optimizer == "sgd":
        return torch.optim.SGD(parameters, momentum=r.momentum, nesterov=r.momentum > 0, **decay)
    if r.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, momentum=r.momentum, **decay)
    return (torch.optim.AdamW if r.optimizer == "adamw" else torch.optim.Adam)(parameters, **decay)

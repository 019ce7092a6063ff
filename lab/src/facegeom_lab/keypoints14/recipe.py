"""Settings of the training, see ``recipes/keypoints14.yaml``."""

from dataclasses import dataclass

from facegeom.errors import InputError

CHOICES = {
    "loss": ("wing", "smooth_l1", "mse"),
    "optimizer": ("adam", "adamw", "sgd", "rmsprop"),
    "precision": ("32-true", "bf16-mixed", "16-mixed"),
}


@dataclass(frozen=True)
class Keypoints14Recipe:
    """Settings of the training.

    Attributes:
        epochs: passes over the pictures.
        batch: pictures in a step.
        fast_batches: steps of a trial run (``fast_train``).
        val_share: of the pictures kept out of training, to validate on after every epoch.
        input_px: side of the square that the network sees.
        cached_px: side of the squares that crops are cut from, larger so that a crop need not be stretched.
        cached_mb: memory for such squares; those that do not fit are read anew every epoch.
        loss: wing, smooth_l1 or mse of the errors in pixels of the picture scaled to 100 x 100.
        loss_width: of wing (w) and of smooth_l1 (beta), in such pixels.
        loss_curvature: of wing (epsilon), in such pixels.
        optimizer: adam, adamw, sgd (with Nesterov's momentum) or rmsprop.
        learning_rate: the largest, after the warm-up; then half a cosine down.
        warmup_epochs: of the linear start.
        momentum: of sgd and rmsprop.
        weight_decay: decoupled with adamw, a squared penalty with the others.
        ema_decay: of the averaged weights, which validation and the checkpoint take.
        dropout: probability of a feature to be left out.
        turn_deg: standard deviation of the turns.
        shear: standard deviation of the shears.
        margin: largest change of the crop's distance from the points on each side, of their extent.
        change_share: of pictures whose light, colour, sharpness are changed or that are covered in part.
        precision: Lightning's name of it: 32-true, or bf16-mixed, which is quicker where the processor
            computes with bfloat16, or 16-mixed, for GPUs without it.
        seed: of everything that is random.
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
    warmup_epochs: float
    momentum: float
    weight_decay: float
    ema_decay: float
    dropout: float
    turn_deg: float
    shear: float
    margin: float
    change_share: float
    precision: str
    seed: int

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")

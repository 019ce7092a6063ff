"""Losses over what is annotated, optimisers, the learning rate, the recipe."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from facegeom.errors import InputError
from facegeom_lab.keypoints14.data import PlainViews, labelled_images
from facegeom_lab.keypoints14.network import KeypointNet
from facegeom_lab.keypoints14.task import (
    FINAL_RATE,
    Keypoints14Recipe,
    KeypointTask,
    errors_100,
    make_optimizer,
    point_loss,
)
from facegeom_lab.keypoints14.views import SquareImages

MakeRecipe = Callable[..., Keypoints14Recipe]


def test_errors_are_of_annotated_points_in_pixels_of_100() -> None:
    truth = torch.zeros(2, 14, 2)
    truth[1, 3:] = float("nan")
    answer = torch.full((2, 14, 2), 0.02, requires_grad=True)
    errors = errors_100(answer, truth)
    torch.testing.assert_close(errors, torch.full((28 + 6,), 2.0))
    (errors**2).mean().backward()
    assert answer.grad is not None and torch.isfinite(answer.grad).all()
    assert (answer.grad[1, 3:] == 0).all() and (answer.grad[1, :3] != 0).all()


@pytest.mark.parametrize(
    ("loss", "expected"),
    [("mse", (1 + 36) / 2), ("smooth_l1", (1 / 4 + 5) / 2), ("wing", (0.810930 + 5.386294) / 2)],
)
def test_losses(loss: str, expected: float, make_recipe: MakeRecipe) -> None:
    """Errors of 1 and -6; width and curvature 2: wing is 2 · ln(1.5), then 6 - (2 - 2 · ln 2) = 5.386."""
    recipe = make_recipe(loss=loss, loss_width=2.0, loss_curvature=2.0)
    assert point_loss(torch.tensor([1.0, -6.0]), recipe).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["wing", "smooth_l1", "mse"])
def test_learns_a_batch_by_heart(
    loss: str, faces: Any, make_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    recipe = make_recipe(loss=loss, dropout=0.0, learning_rate=0.003)
    pictures = labelled_images(faces.points, faces.folder)
    plain = PlainViews(SquareImages(pictures.paths, recipe.input_px), pictures.points)
    batch = torch.utils.data.default_collate([plain[index] for index in range(6)])
    task = KeypointTask(recipe, KeypointNet(recipe.input_px), steps=25)
    monkeypatch.setattr(task, "log", lambda *_, **__: None)
    optimizer = make_optimizer(task.parameters(), recipe)
    for index in range(25):
        optimizer.zero_grad()
        task.training_step(batch, index).backward()
        optimizer.step()
    errors = errors_100(task(batch["image"]), batch["points"])
    assert (errors**2).mean() < 25  # about 520 before


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", "Adam"), ("adamw", "AdamW"), ("sgd", "SGD"), ("rmsprop", "RMSprop")]
)
def test_optimisers(name: str, kind: str, make_recipe: MakeRecipe) -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    made = make_optimizer([weight], make_recipe(optimizer=name, learning_rate=0.1, weight_decay=0.01))
    assert type(made).__name__ == kind
    assert made.defaults["lr"] == 0.1 and made.defaults["weight_decay"] == 0.01
    assert made.defaults.get("nesterov", False) == (name == "sgd")
    (weight**2).sum().backward()
    made.step()
    assert (weight < 1).all()


def test_learning_rate(make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(epochs=5, warmup_epochs=1.0, learning_rate=1.0)
    chosen = KeypointTask(recipe, KeypointNet(32), steps=20).configure_optimizers()
    rate = chosen["lr_scheduler"]["scheduler"].lr_lambdas[0]
    rates = [rate(step) for step in range(21)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1 and rates[12] == pytest.approx((1 + FINAL_RATE) / 2)
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[20] == pytest.approx(FINAL_RATE)


@pytest.mark.parametrize("changed", [{"loss": "huber"}, {"optimizer": "lbfgs"}, {"precision": "8"}])
def test_unknown_choices(changed: dict[str, str], make_recipe: MakeRecipe) -> None:
    with pytest.raises(InputError, match=r"must be one of .*, got '(huber|lbfgs|8)'"):
        make_recipe(**changed)


def test_the_plateau_schedule_warms_up_and_watches_the_validation(make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(schedule="plateau", patience=2, factor=0.1, warmup_epochs=1.0, epochs=4)
    task = KeypointTask(recipe, KeypointNet(32), steps=20)
    chosen = task.configure_optimizers()
    plateau, optimizer = chosen["lr_scheduler"]["scheduler"], chosen["optimizer"]
    assert chosen["lr_scheduler"]["monitor"] == "val/error"
    assert (plateau.patience, plateau.factor) == (2, 0.1)
    trainer = SimpleNamespace(optimizers=[optimizer], global_step=1)
    task.trainer = trainer  # kept as a weak reference
    task.on_train_batch_start()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(recipe.learning_rate * 2 / 5)
    for error in (5.0, 5.0, 5.0, 5.0):
        plateau.step(error)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(recipe.learning_rate * 2 / 50)
    with pytest.raises(InputError, match="schedule must be one of cosine, plateau, got 'steps'"):
        make_recipe(schedule="steps")

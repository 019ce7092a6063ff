"""Pre-training of a backbone: loss and error by hand; a checkpoint that other trainings start from."""

from math import log
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from torch import nn

from facegeom.errors import InputError
from facegeom_lab.evaluation.run import read_metrics
from facegeom_lab.networks.backbones import Regressor
from facegeom_lab.training import loop, recipes
from facegeom_lab.training.tasks import backbone
from facegeom_lab.training.tasks.backbone import BackboneData, BackboneRecipe, BackboneTask
from facegeom_lab.training.trainers import Inputs


def recipe(**changes: object) -> BackboneRecipe:
    small = {"size_px": 32, "epochs": 2, "samples_per_epoch": 4, "batch": 2, "precision": "32-true"}
    return recipes.load(BackboneRecipe, "body", **small | changes)


class Network(nn.Module):
    """Answers one mesh for every crop, and keeps the crops."""

    def __init__(self, mesh: torch.Tensor) -> None:
        super().__init__()
        self.mesh = nn.Parameter(mesh)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        self.crops = crops
        return self.mesh.expand(len(crops), 478, 3)


def task_with(
    net: nn.Module, monkeypatch: pytest.MonkeyPatch, **changes: object
) -> tuple[BackboneTask, dict]:
    """Return a task around a given network, and a dictionary of what it logs."""
    monkeypatch.setattr(backbone, "Regressor", lambda *_, **__: net)
    task, logged = BackboneTask(recipe(**changes), 100), {}
    monkeypatch.setattr(task, "log", lambda name, value, **_: logged.update({name: value.item()}))
    return task, logged


def test_loss_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wing (w = 10, ε = 2) of 1.28 and 38.4 pixels of a 128 px crop; a mesh of weight 0 does not count."""
    mesh = torch.zeros(478, 3)
    task, logged = task_with(Network(mesh), monkeypatch)
    truth = torch.stack([mesh + 0.01, mesh - 0.3, mesh + 9])
    batch = {
        "crop": torch.zeros(3, 3, 128, 128),
        "mesh": truth,
        "mesh_weight": torch.tensor([1, 0.5, 0])[:, None].expand(3, 478),
    }
    near, far = 10 * log(1 + 1.28 / 2), 38.4 - (10 - 10 * log(6))
    loss = task.training_step(batch, 0)
    assert loss.item() == logged["train/loss"] == pytest.approx((near + 0.5 * far) / 1.5, rel=1e-5)


def test_error_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the plane, by the distance of the outer corners of the eyes: half a crop here."""
    mesh = torch.zeros(478, 3)
    mesh[33, 0], mesh[263, 0] = -0.25, 0.25
    task, logged = task_with(Network(mesh + torch.tensor([0.03, 0.04, 0.7])), monkeypatch)
    task.validation_step({"crop": torch.zeros(2, 3, 128, 128), "mesh": torch.stack([mesh, mesh])}, 0)
    assert logged["val/nme"] == pytest.approx(0.1, rel=1e-4)


@pytest.mark.parametrize("size_px", [32, 128, 160])
def test_the_network_sees_crops_of_its_size(size_px: int, monkeypatch: pytest.MonkeyPatch) -> None:
    net = Network(torch.zeros(478, 3))
    task, _ = task_with(net, monkeypatch, size_px=size_px)
    ramp = torch.arange(128.0).expand(1, 3, 128, 128).byte()
    task(ramp)
    assert net.crops.shape == (1, 3, size_px, size_px)
    step = 128 / size_px
    expected = (torch.arange(size_px) + 0.5) * step - 0.5  # what a pixel's middle saw, but for the edges
    torch.testing.assert_close(net.crops[0, 0, 3, 2:-2].float(), expected[2:-2], atol=1e-2, rtol=0)


@pytest.mark.slow
def test_statistics_stay_after_their_share(training_pack, tmp_path: Path) -> None:
    """Of two epochs the first moves the running means, the second does not."""
    inputs = Inputs(training_pack.data, tmp_path, labels=training_pack.labels, workers=0)
    saved = []

    class Keep(Callback):
        def on_train_epoch_end(self, trainer: Trainer, pl_module: BackboneTask) -> None:
            saved.append(pl_module.net.body.bn1.running_mean.clone())

    with pytest.MonkeyPatch.context() as patch:
        original = loop.trainer
        patch.setattr(loop, "trainer", lambda *a, **k: original(*a, **k | {"callbacks": [Keep()]}))
        backbone.train(recipe(statistics_share=0.5), inputs)
    assert len(saved) == 2 and saved[0].abs().max() > 0
    torch.testing.assert_close(saved[0], saved[1], rtol=0, atol=0)


def test_rate_warms_up_and_falls(monkeypatch: pytest.MonkeyPatch) -> None:
    task, _ = task_with(nn.Linear(1, 1), monkeypatch, warmup_share=0.08, learning_rate=1.0)
    rate = task.configure_optimizers()["lr_scheduler"]["scheduler"].lr_lambdas[0]
    rates = np.array([rate(step) for step in range(101)])
    assert rates[0] == 1 / 8 and rates[7] == rates[8] == 1
    assert (np.diff(rates[8:]) < 0).all() and rates[-1] == pytest.approx(0.01)


def test_an_unknown_view(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the view close or frame or aligned, got 'side'"):
        backbone.train(recipe(view="side"), Inputs(tmp_path, tmp_path / "run"))


def test_training_and_validation_crops(training_pack: object) -> None:
    data = BackboneData(training_pack.data, training_pack.labels, recipe(), 0)
    data.setup("fit")
    assert (len(data.train), len(data.val)) == (10, 4)
    assert len(data.train_dataloader()) == 2  # batches of an epoch
    assert all(data.train[index]["face"] == 1 for index in range(10))  # no crop without a face


@pytest.mark.slow
@pytest.mark.parametrize("view", ["close", "frame", "aligned"])
def test_a_checkpoint_to_start_from(training_pack: object, tmp_path: Path, view: str) -> None:
    inputs = Inputs(training_pack.data, tmp_path, labels=training_pack.labels, workers=0)
    best = backbone.train(recipe(view=view), inputs)
    assert best == tmp_path / loop.BEST
    log = read_metrics(tmp_path)
    assert log["samples"].tolist() == [4, 4] and np.isfinite(log["val/nme"]).all()
    figures = backbone.evaluate(recipe(view=view), inputs)
    assert figures["val"]["mse"] > 0 and figures["constant"]["mse"] > 0 and figures["view"] == view
    learned = torch.load(best, weights_only=True)["state_dict"]
    started = Regressor("mobilenetv3", 5, pretrained=str(best)).body.state_dict()
    last = "classifier."
    assert all(torch.equal(v, learned[f"net.body.{k}"]) for k, v in started.items() if not k.startswith(last))

"""Training of the heat-map network: its loss, mirrored crops, a few steps, a run that goes on."""

from collections.abc import Callable
from math import log
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from facegeom.errors import InputError
from facegeom_lab.datasets.records import FaceRecord
from facegeom_lab.evaluation.run import read_predictions
from facegeom_lab.networks.heatmap import UpsamplingHead, gaussians
from facegeom_lab.training import loop, recipes
from facegeom_lab.training.tasks import heatmap, landmarks
from facegeom_lab.training.tasks.heatmap import HeatmapRecipe, HeatmapTask, divergence, heatmap_loss
from facegeom_lab.training.trainers import Inputs


def recipe(**changes: object) -> HeatmapRecipe:
    small = {"backbone": "resnet18", "size_px": 64, "batch": 4, "epochs": 1, "precision": "32-true"}
    return recipes.load(HeatmapRecipe, "heatmap68", **{**small, **changes})


def batch(count: int = 4) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {
        "crop": torch.randint(0, 256, (count, 3, 64, 64), dtype=torch.uint8, generator=generator),
        "points": torch.rand(count, 68, 2, generator=generator) - 0.5,
        "weight": torch.ones(count, 68),
        "half_px": torch.full((count, 2), 40.0),
    }


def test_recipe_that_ships() -> None:
    shipped = recipes.load(HeatmapRecipe, "heatmap68")
    assert recipes.kind("heatmap68") == "heatmap"
    assert shipped.scheme == "ibug68" and shipped.size_px % 32 == 0


def test_perfect_maps_cost_nothing() -> None:
    truth = torch.rand(2, 5, 2, generator=torch.Generator().manual_seed(0)) - 0.5
    maps = gaussians(truth, (32, 32)).clamp(min=1e-30).log()
    assert heatmap_loss(maps, truth, torch.ones(2, 5), 1.0).item() == pytest.approx(0, abs=1e-4)


def test_points_that_do_not_count() -> None:
    truth = torch.tensor([[[0.2, 0.2], [1.2, 0.0], [0.5, -0.5]]])
    weight = torch.tensor([[1.0, 1.0, 0.0]])
    maps = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0), requires_grad=True)
    heatmap_loss(maps, truth, weight, 1.0).backward()
    assert maps.grad[0, 0].abs().max() > 0
    assert maps.grad[0, 1:].abs().max() == 0  # outside the crop; not annotated


def test_divergence() -> None:
    here, there = (torch.zeros(1, 1, 4, 4) for _ in range(2))
    here[..., 0, 0] = there[..., 3, 3] = 1
    assert divergence(here, here).item() == 0
    assert divergence(here, there).item() == pytest.approx(log(2))
    torch.testing.assert_close(divergence(here, (here + there) / 2), divergence((here + there) / 2, here))


def test_mirrored_crops_have_mirrored_points() -> None:
    task, plain = HeatmapTask(recipe()), batch(2)
    plain["weight"][1, 0] = 0  # the right end of the jaw is unknown
    crops, truth, weight = task.mirrored(plain, torch.tensor([False, True]))
    for kept, name in ((crops, "crop"), (truth, "points"), (weight, "weight")):
        torch.testing.assert_close(kept[0], plain[name][0])
    torch.testing.assert_close(crops[1], plain["crop"][1].flip(-1))
    assert weight[1].nonzero()[:, 0].tolist() == [k for k in range(68) if k != 16]
    torch.testing.assert_close(truth[1, 45], plain["points"][1, 36] * torch.tensor([-1.0, 1.0]))
    again = {"crop": crops, "points": truth, "weight": weight}
    for back, name in zip(task.mirrored(again, torch.tensor([False, True])), again, strict=True):
        torch.testing.assert_close(back, plain[name])


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the head smaller, for tests that train."""
    monkeypatch.setattr(UpsamplingHead, "WIDTH", 32)


@pytest.mark.slow
@pytest.mark.usefixtures("narrow")
def test_a_few_steps_learn_a_batch() -> None:
    torch.manual_seed(0)
    task, sample = HeatmapTask(recipe()).train(), batch()
    truth = sample["points"][:1].expand(4, -1, -1)
    optimizer = torch.optim.AdamW(task.parameters(), 5e-3)
    losses = []
    for _ in range(10):
        loss = heatmap_loss(task.net.maps(sample["crop"]), truth, sample["weight"], 1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_error_is_inter_ocular_in_the_photo() -> None:
    task, sample = HeatmapTask(recipe()), batch()
    sample["points"][:, 36], sample["points"][:, 45] = torch.tensor([-0.5, 0.0]), torch.tensor([0.5, 0.0])
    sample["weight"][0, 7] = 0
    answer = sample["points"] + torch.tensor([0.0, 0.1])  # 4 pixels; the eyes are 40 apart
    answer[0, 7] = 0.9
    assert task._error(answer, sample) == pytest.approx(0.1, rel=1e-4)


def test_rate_warms_up_and_falls(monkeypatch: pytest.MonkeyPatch) -> None:
    task = HeatmapTask(recipe(warmup_share=0.1))
    monkeypatch.setattr(HeatmapTask, "trainer", SimpleNamespace(estimated_stepping_batches=100))
    rate = task.configure_optimizers()["lr_scheduler"]["scheduler"].lr_lambdas[0]
    rates = [rate(step) for step in range(101)]
    assert rates[0] == 0.1 and rates[10] == 1
    assert rates[10:] == sorted(rates[10:], reverse=True) and rates[-1] == pytest.approx(0.01)


@pytest.fixture
def data_set(make_head: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight faces in train, two in val and in test, of which the detector finds none."""
    heads = [make_head(angle, 0, 0) for angle in range(-16, 16, 4)]
    picture = np.full((160, 160, 3), 128, np.uint8)

    def load(name: str, root: Path, split: str) -> list[FaceRecord]:
        chosen = heads if split == "train" else heads[:2]
        return [
            FaceRecord(f"{split}/{k}", lambda: picture, split, "ibug68", head.landmarks)
            for k, head in enumerate(chosen)
        ]

    monkeypatch.setattr(landmarks.registry, "load", load)
    monkeypatch.setattr(
        landmarks, "detected_boxes", lambda records, cache, detector: np.full((len(records), 4), np.nan)
    )


@pytest.mark.slow
@pytest.mark.usefixtures("narrow", "data_set")
def test_training_goes_on_and_is_measured(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path, tmp_path / "run", workers=0)
    heatmap.train(recipe(epochs=1), inputs)
    first = torch.load(inputs.out / loop.LAST, weights_only=True)
    best = heatmap.train(recipe(epochs=2), inputs)
    assert best == inputs.out / loop.BEST and best.is_file()
    last = torch.load(inputs.out / loop.LAST, weights_only=True)
    assert (first["global_step"], last["global_step"]) == (2, 4)  # eight faces, four a batch
    figures = heatmap.evaluate(recipe(), inputs)
    assert figures["val"]["faces"] == figures["test"]["faces"] == 2
    assert 0 < figures["val"]["nme_interocular"] < 3 and figures["size_px"] == 64
    predictions = read_predictions(inputs.out, "test")
    assert predictions.predicted.shape == (2, 68, 2) and predictions.scheme == "ibug68"


def test_another_scheme_is_refused(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path, tmp_path / "run", workers=0)
    with pytest.raises(InputError, match="points of lapa106, got pack with ibug68; set scheme=ibug68"):
        heatmap.train(recipe(scheme="lapa106"), inputs)

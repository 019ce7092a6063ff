"""Training of the regions' networks on a generated data pack: it learns, resumes and is exported."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from facegeom.models.engine import Engine
from facegeom.models.regions import CROP_PX, EYES, FEATURES, MOUTH
from facegeom_lab.evaluation.run import read_metrics
from facegeom_lab.export import export
from facegeom_lab.training import recipes
from facegeom_lab.training.tasks import regions
from facegeom_lab.training.tasks.regions import RegionData, RegionRecipe, RegionTask
from facegeom_lab.training.trainers import Inputs


def recipe(name: str, steps: int) -> RegionRecipe:
    small = {"batch": 8, "steps_per_epoch": 2, "warmup_steps": 1, "ema_decay": 0.5}
    return recipes.load(RegionRecipe, name, steps=steps, **small)


def inputs(pack: object, out: Path) -> Inputs:
    return Inputs(pack.data, out, labels=pack.labels, rendered=pack.rendered, workers=0)


def test_recipes_differ_in_the_region_alone() -> None:
    eyes, mouth = (recipes.load(RegionRecipe, name) for name in ("eyes", "mouth"))
    assert replace(mouth, region="eyes") == eyes
    assert [regions.region_of(each.region) for each in (eyes, mouth)] == [EYES, MOUTH]


@pytest.mark.parametrize("name", ["eyes", "mouth"])
def test_learns_one_batch(name: str, training_pack: object, tmp_path: Path) -> None:
    torch.manual_seed(0)
    data = RegionData(recipe(name, 40), inputs(training_pack, tmp_path))
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    task = RegionTask(recipe(name, 40)).train()
    task.log = task.log_dict = lambda *args, **kwargs: None  # no trainer
    optimizer = torch.optim.AdamW(task.parameters(), 0.003)
    totals = []
    for _ in range(40):
        loss = task.training_step(batch, 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        totals.append(float(loss))
    assert totals[-1] < 0.6 * totals[0]


def test_each_epoch_has_samples_of_its_own(training_pack: object, tmp_path: Path) -> None:
    data = RegionData(recipe("mouth", 2), inputs(training_pack, tmp_path))
    data.setup("fit")
    first, second = (next(iter(data.train_dataloader())) for _ in range(2))
    assert not torch.equal(first["crop"], second["crop"])


def test_trains_resumes_and_is_exported(training_pack: object, tmp_path: Path) -> None:
    out = tmp_path / "run"
    regions.train(recipe("mouth", 2), inputs(training_pack, out))
    last = regions.train(recipe("mouth", 4), inputs(training_pack, out))
    assert torch.load(last, weights_only=True)["global_step"] == 4
    log = read_metrics(out)
    assert "val/error" in log and "val/13-14y/slope" in log
    count = MOUTH.mesh_indices.shape[1] + MOUTH.ibug68_indices.shape[1]
    crops, first = np.zeros((2, CROP_PX, CROP_PX, 3), np.uint8), np.zeros((2, count, 2), np.float32)
    found = Engine(export("mouth", last, tmp_path))(crops, first=first)
    assert [each.shape for each in found] == [(2, count, 2), (2, FEATURES // 3)]

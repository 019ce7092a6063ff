"""The dense mesh by transfer learning on a generated pack: its frames, a tiny training, its measures."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from facegeom_lab.evaluation.cost import cost
from facegeom_lab.evaluation.run import read_metrics, read_predictions
from facegeom_lab.training import loop, recipes
from facegeom_lab.training.tasks import mesh478
from facegeom_lab.training.tasks.mesh478 import (
    TURNED,
    UPRIGHT,
    Mesh478Data,
    Mesh478Recipe,
    predict,
    to_unit,
)
from facegeom_lab.training.trainers import Inputs


def recipe(**changes: object) -> Mesh478Recipe:
    small = {"pretrained": "none", "size_px": 32, "channels": 4, "batch": 4, "max_epochs": 2}
    return recipes.load(Mesh478Recipe, "mesh478-efficientnetv2b0", **small | changes)


@pytest.fixture
def inputs(training_pack: object, tmp_path: Path) -> Inputs:
    return Inputs(training_pack.data, tmp_path, labels=training_pack.labels, workers=0)


def test_meshes_in_the_unit_of_the_frame() -> None:
    corners = torch.tensor([[-0.5, -0.5, 0.0], [0.5, 0.5, 0.5]])
    assert to_unit(corners).tolist() == [[0, 0, 0.5], [1, 1, 1]]


def test_frames(inputs: Inputs) -> None:
    """Whole frames, always the same for a seed; upright ones are not turned."""
    data = Mesh478Data(recipe(size_px=64), inputs)
    turned, again, other = (data.frames("val", TURNED, seed) for seed in (0, 0, 1))
    assert len(turned) == 4 and turned[0]["crop"].shape == (3, 64, 64)
    assert torch.equal(turned[1]["mesh"], again[1]["mesh"])
    assert not torch.equal(turned[1]["mesh"], other[1]["mesh"])
    upright = data.frames("val", UPRIGHT)
    for index in range(4):
        expected = torch.as_tensor(upright.labels.rotation[index], dtype=torch.float32)
        torch.testing.assert_close(upright[index]["rotation"], expected)
        assert not torch.allclose(turned[index]["rotation"], expected, atol=0.02)


def test_features_are_those_of_the_frames(inputs: Inputs) -> None:
    data = Mesh478Data(recipe(frames_per_picture=2), inputs)
    features, meshes = data.features("val", TURNED)
    assert features.shape == (4, 192, 1, 1) and features.dtype == torch.float16
    frames = data.frames("val", TURNED)
    torch.testing.assert_close(meshes, torch.stack([frames[k]["mesh"] for k in range(4)]) + 0.5)
    with torch.inference_mode():
        expected = data.backbone(torch.stack([frames[k]["crop"] for k in range(4)]))
    torch.testing.assert_close(features.float(), expected, atol=1e-3, rtol=2e-3)
    data.setup("fit")
    assert (len(data.train), len(data.val)) == (2 * 10, 4)
    first, second = data.train[0][1], data.train[10][1]  # one picture, two frames
    assert not torch.equal(first, second)


def test_predictions_are_pixels_of_the_frames() -> None:
    head = nn.Sequential(nn.Flatten(), nn.Linear(192, 478 * 3), nn.Unflatten(1, (478, 3)))
    nn.init.zeros_(head[1].weight)
    nn.init.constant_(head[1].bias, 0.25)
    predictions = predict(head, torch.zeros(300, 192, 1, 1).half(), torch.full((300, 478, 3), 0.5), 128)
    assert (
        predictions.predicted.shape == (300, 478, 3)
        and (predictions.predicted == 32).all()
        and (predictions.truth == 64).all()
    )
    assert (predictions.sizes_wh == 128).all() and predictions.scheme == "mesh478"
    assert len(set(predictions.files.tolist())) == 300


@pytest.mark.slow
def test_train_and_evaluate(inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mesh478, "cost", partial(cost, repeats=2))
    settings = recipe(max_epochs=3)
    assert mesh478.train(settings, inputs) == tmp_path / loop.BEST
    log = read_metrics(tmp_path)
    assert log["epoch"].tolist() == [0, 1, 2] and log["samples"].tolist() == [8] * 3
    assert log["train/loss"][-1] < log["train/loss"][0]
    figures = mesh478.evaluate(settings, inputs)
    assert {"turned", "upright", "mse_turned", "nme_interocular", "parameters", "macs"} <= set(figures)
    assert figures["mse_turned"] == figures["turned"]["mse"] == pytest.approx(log["val/loss"].min(), rel=1e-5)
    assert figures["nme_interocular"] == figures["upright"]["nme_interocular"] > 0
    for name in ("turned", "upright"):
        predictions = read_predictions(tmp_path, name)
        assert predictions.predicted.shape == (4, 478, 3) and np.isfinite(predictions.predicted).all()
        assert predictions.predicted.min() >= 0 and predictions.predicted.max() <= 32

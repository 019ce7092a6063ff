"""The dense mesh by transfer learning on a generated pack: its frames, a tiny training, its measures."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from facegeom.errors import FacegeomError, InputError
from facegeom.geometry import topology
from facegeom_lab.datasets.schemes import SCHEMES
from facegeom_lab.datasets.training.face_labels import real_faces
from facegeom_lab.evaluation.cost import cost
from facegeom_lab.evaluation.run import read_metrics, read_predictions
from facegeom_lab.teachers.folder import label_folder
from facegeom_lab.teachers.labels import PhotoLabels
from facegeom_lab.training import loop, recipes
from facegeom_lab.training.tasks import mesh478
from facegeom_lab.training.tasks.mesh478 import (
    Mesh478Data,
    Mesh478Recipe,
    predict,
)
from facegeom_lab.training.trainers import Inputs

MESH478 = SCHEMES["mesh478"]


def recipe(**changes: object) -> Mesh478Recipe:
    small = {"pretrained": "none", "size_px": 32, "channels": 4, "batch": 4, "max_epochs": 2}
    return recipes.load(Mesh478Recipe, "mesh478-efficientnetv2b0", **small | changes)


@pytest.fixture
def inputs(training_pack: object, tmp_path: Path) -> Inputs:
    return Inputs(training_pack.data, tmp_path, labels=training_pack.labels, workers=0)


def test_frames_are_always_the_same(inputs: Inputs) -> None:
    data = Mesh478Data(recipe(size_px=64), inputs)
    frames = data.frames("val")
    assert len(frames) == 4 and frames[0]["crop"].shape == (3, 64, 64)
    for index in range(4):
        again = data.frames("val")[index]
        assert all(torch.equal(value, again[name]) for name, value in frames[index].items())


def test_an_aligned_face_stands_where_ffhq_puts_it(inputs: Inputs) -> None:
    """Eyes level, 1/4 of the side apart at most; the middle lies a tenth of the way from eyes to mouth."""
    mesh = Mesh478Data(recipe(size_px=64), inputs).frames("val")[0]["mesh"]
    right, left = mesh[[33, 133], :2].mean(dim=0), mesh[[263, 362], :2].mean(dim=0)
    assert abs(float(right[1] - left[1])) < 0.02
    assert 0.18 < float(left[0] - right[0]) < 0.26
    assert abs(float((right + left)[0] / 2) - 0.5) < 0.03 and 0.45 < float(right[1]) < 0.5


def test_whole_frames_are_the_images(inputs: Inputs) -> None:
    data = Mesh478Data(recipe(size_px=32, frames="whole"), inputs)
    _, labels = real_faces(inputs.data, inputs.labels, "val")
    expected = (labels.mesh[1][:, :2] + 0.5) / 160  # sides of the images
    np.testing.assert_allclose(data.frames("val")[1]["mesh"][:, :2], expected, atol=1e-5)


def test_unknown_frames(inputs: Inputs) -> None:
    with pytest.raises(InputError, match="expected the frames aligned or whole, got 'turned'"):
        Mesh478Data(recipe(frames="turned"), inputs)


def test_features_are_those_of_the_frames(inputs: Inputs) -> None:
    data = Mesh478Data(recipe(), inputs)
    features, meshes = data.features("val")
    assert features.shape == (4, 192, 1, 1) and features.dtype == torch.float32
    frames = data.frames("val")
    torch.testing.assert_close(meshes, torch.stack([frames[k]["mesh"] for k in range(4)]))
    with torch.inference_mode():
        expected = data.backbone(torch.stack([frames[k]["crop"] for k in range(4)]))
    torch.testing.assert_close(features, expected, atol=1e-4, rtol=1e-4)
    data.setup("fit")
    assert (len(data.train), len(data.val)) == (10, 4)


def test_a_backbone_of_nan_is_refused(inputs: Inputs) -> None:
    data = Mesh478Data(recipe(), inputs)
    nn.init.constant_(data.backbone.net.conv_stem.weight, torch.nan)
    with pytest.raises(FacegeomError, match=r"backbone gives NaN or infinity for frames of val"):
        data.features("val")


@pytest.mark.slow
def test_a_rate_without_sense_ends_with_a_sentence(inputs: Inputs) -> None:
    with pytest.raises(FacegeomError, match=r"the loss is nan in epoch .*; set a lower learning_rate"):
        mesh478.train(recipe(learning_rate=float("inf")), inputs)


def write_ffhq(root: Path, labels: Path, count: int) -> None:
    """Write images in FFHQ's layout, and labels as of label-folder: the canonical head in the middle."""
    mesh = topology.canonical_mm() * 2 + (256, 256, 0)

    class Canonical:
        scheme, dimensions = MESH478, 3

        def settings(self) -> dict[str, str]:
            return {"teacher": "test"}

        def __call__(self, photos: list[Path]) -> Iterator[PhotoLabels]:
            for _ in photos:
                yield PhotoLabels(512, 512, mesh[None], np.zeros(1), np.ones(1, bool))

    for number in range(count):
        file = root / "images1024x1024" / "00000" / f"{number:05d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (512, 512), (number % 255, 90, 60)).save(file)
    label_folder(root / "images1024x1024", labels, Canonical())


def test_ffhq_in_its_own_layout(tmp_path: Path) -> None:
    write_ffhq(tmp_path, tmp_path / "labels.parquet", 40)
    inputs = Inputs(tmp_path, tmp_path / "run", "ffhq", tmp_path / "labels.parquet", workers=0)
    data = Mesh478Data(recipe(size_px=64), inputs)
    train, val = data.frames("train"), data.frames("val")
    assert len(train) + len(val) == 40 and len(train) > len(val) > 0
    expected = (topology.canonical_mm()[1, :2] * 2 + 256.5) / 512
    np.testing.assert_allclose(train[0]["mesh"][1, :2], expected, atol=1e-4)
    assert train[0]["crop"][1].float().mean() == 90


def test_ffhq_without_labels(tmp_path: Path) -> None:
    write_ffhq(tmp_path, tmp_path / "labels.parquet", 1)
    inputs = Inputs(tmp_path, tmp_path / "run", "ffhq", tmp_path / "none.parquet", workers=0)
    with pytest.raises(InputError, match=r"expected labels of `facegeom lab label-folder`"):
        Mesh478Data(recipe(), inputs).frames("train")


def test_predictions_are_pixels_of_the_frames() -> None:
    head = nn.Sequential(nn.Flatten(), nn.Linear(192, 478 * 3), nn.Unflatten(1, (478, 3)))
    nn.init.zeros_(head[1].weight)
    nn.init.constant_(head[1].bias, 0.25)
    predictions = predict(head, torch.zeros(300, 192, 1, 1), torch.full((300, 478, 3), 0.5), 128)
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
    assert {"upright", "constant", "mse", "nme_interocular", "parameters", "macs"} <= set(figures)
    assert figures["mse"] == figures["upright"]["mse"] == pytest.approx(log["val/loss"].min(), rel=1e-5)
    assert figures["nme_interocular"] == figures["upright"]["nme_interocular"] > 0
    assert figures["constant"]["mse"] > 0
    predictions = read_predictions(tmp_path, "upright")
    assert predictions.predicted.shape == (4, 478, 3) and np.isfinite(predictions.predicted).all()
    assert predictions.predicted.min() >= 0 and predictions.predicted.max() <= 32

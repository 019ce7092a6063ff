"""Labels by a heat-map network: its run, points from crops to the photo, both views, a whole folder."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from facegeom.errors import InputError
from facegeom_lab.evaluation.run import save_recipe
from facegeom_lab.networks.heatmap import HeatmapNet
from facegeom_lab.teachers import heatmap
from facegeom_lab.teachers.folder import label_folder
from facegeom_lab.teachers.heatmap import HeatmapTeacher
from facegeom_lab.training import recipes
from facegeom_lab.training.tasks.heatmap import HeatmapRecipe


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save the checkpoint of an untrained network."""
    run = tmp_path_factory.mktemp("run")
    recipe = replace(recipes.load(HeatmapRecipe, "heatmap68"), backbone="resnet18", size_px=64)
    save_recipe(run, "heatmap68", "heatmap", recipe)
    net = HeatmapNet("resnet18", 68)
    torch.save({"state_dict": {f"net.{k}": v for k, v in net.state_dict().items()}}, run / "best.ckpt")
    return run / "best.ckpt"


class Brightest(torch.nn.Linear):
    """In place of a network: all points lie where the crop is brightest, ``off`` of a crop to the right."""

    def __init__(self, off: float = 0.0) -> None:
        super().__init__(1, 1)
        self.off = off

    def read(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        light = crops.float().mean(dim=1) ** 4
        light = light / light.sum(dim=(1, 2), keepdim=True)
        places = (2 * torch.arange(crops.shape[3]) + 1) / crops.shape[3] - 1
        point = torch.stack([light.sum(dim=1) @ places + 2 * self.off, light.sum(dim=2) @ places], dim=1)
        eyes = torch.zeros(68, 2)
        eyes[36, 0], eyes[45, 0] = -0.25, 0.25
        confidence = torch.linspace(0, 1, 68).expand(len(crops), 68)
        return point[:, None] + eyes, confidence


@pytest.fixture
def photo() -> np.ndarray:
    """(90, 120, 3) with two bright spots, about (30, 40) and (85, 50)."""
    y, x = np.mgrid[:90, :120]
    spots = sum(np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 18) for cx, cy in ((30, 40), (85, 50)))
    return np.repeat((255 * spots)[..., None], 3, axis=2).astype(np.uint8)


BOXES = np.array([[10, 15, 50, 70], [70, 30, 110, 60]])


def test_points_of_both_views_come_back_to_the_photo(model: Path, photo: np.ndarray) -> None:
    teacher = HeatmapTeacher(model)
    teacher.__dict__["network"] = Brightest()
    labels = teacher.label(photo, BOXES)
    np.testing.assert_allclose(labels.points[:, 0], [(30, 40), (85, 50)], atol=0.5)
    sides = BOXES[:, 2] - BOXES[:, 0]
    eyes = labels.points[:, 45] - labels.points[:, 36]
    np.testing.assert_allclose(eyes[:, 0], sides * (1 + teacher.recipe["margin"]) / 4, rtol=1e-5)
    np.testing.assert_allclose(labels.flip_error, 0, atol=0.01)
    np.testing.assert_allclose(labels.confidence, 0.5, atol=1e-5)
    assert labels.keep.all() and (labels.width, labels.height) == (120, 90)


def test_a_network_that_contradicts_itself_is_not_kept(model: Path, photo: np.ndarray) -> None:
    teacher = HeatmapTeacher(model, max_flip_error=0.1)
    for off, kept in ((0.01, True), (0.02, False)):
        teacher.__dict__["network"] = Brightest(off)
        labels = teacher.label(photo, BOXES)
        np.testing.assert_allclose(labels.flip_error, 8 * off, rtol=0.02)  # twice, of a quarter of the crop
        np.testing.assert_allclose(labels.points[:, 0], [(30, 40), (85, 50)], atol=0.5)  # the mean is right
        assert (labels.keep == kept).all()


def test_a_folder(model: Path, photo: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, out = tmp_path / "photos", tmp_path / "labels.parquet"
    folder.mkdir()
    Image.fromarray(photo).save(folder / "b.png")
    Image.fromarray(photo[:, :20]).save(folder / "a.png")
    (folder / "c.jpg").write_text("no photo")
    found = {120: BOXES, 20: np.zeros((0, 4))}
    analyzer = SimpleNamespace(
        FaceAnalyzer=lambda: lambda image: SimpleNamespace(box_xyxy=found[image.shape[1]])
    )
    monkeypatch.setattr(heatmap, "FaceAnalyzer", analyzer.FaceAnalyzer)
    counts = label_folder(folder, out, HeatmapTeacher(model, max_flip_error=1e9))
    assert counts == {"photos": 3, "unreadable": 1, "without a face": 1, "faces": 2, "kept": 2}
    rows = pq.read_table(out).to_pylist()
    assert [row["file"] for row in rows] == ["a.png", "b.png", "b.png", "c.jpg"]
    assert len(rows[1]["points"]) == 136 and 0 <= rows[1]["confidence"] <= 1
    assert rows[1]["scheme"] == "ibug68"


def test_runs_of_other_networks_are_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"recipe.yaml is missing"):
        HeatmapTeacher(tmp_path / "best.ckpt")
    with pytest.raises(InputError, match=r"expected a checkpoint at .*other.ckpt"):
        HeatmapTeacher(model.with_name("other.ckpt"))
    save_recipe(tmp_path, "heatmap68", "landmarks", recipes.load(HeatmapRecipe, "heatmap68"))
    with pytest.raises(InputError, match="expected the run of a heat-map network"):
        HeatmapTeacher(tmp_path / "best.ckpt")

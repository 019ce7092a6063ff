"""From shards to the figures: the stages train, are measured, exported and reported; one stage alone."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from facegeom.depth.mesh_depth import closed_triangles, with_mouth
from facegeom.errors import InputError
from facegeom.geometry import topology
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.models.engine import Engine
from facegeom_lab.export import to_onnx
from facegeom_lab.studies.depth.predictions import predict, stage_one, stage_two
from facegeom_lab.studies.depth.report import report
from facegeom_lab.synth.anatomy import to_counts
from facegeom_lab.synth.rasterise import rasterise
from facegeom_lab.training import recipes
from facegeom_lab.training.tasks.depth import configure_adamw, mean_error, val_crops
from facegeom_lab.training.tasks.depth1 import Depth1Recipe
from facegeom_lab.training.trainers import Inputs, evaluate, train

SHORT = {"steps": 4, "batch": 4, "samples_per_epoch": 8, "warmup_steps": 1, "precision": "32-true"}
TINY = {**SHORT, "widths": [4, 6, 8]}


def shard(path: Path, count: int, seed: int) -> None:
    """Write rotated canonical heads, grey by depth."""
    rng, camera, place = np.random.default_rng(seed), Camera(160, 160, 30), np.array([0.0, 0, 900])
    images, depths, meshes = [], [], []
    for _ in range(count):
        mesh = topology.canonical_mm() @ rotation_from_angles(*rng.uniform(-25, 25, 3)).T + place
        points = with_mouth(mesh[None])[0]
        grey = np.clip(150 - (points[:, 2:] - place[2]), 0, 255)
        drawn, depth = rasterise(camera.project(points), points[:, 2], closed_triangles(), grey, (160, 160))
        images.append(np.repeat(drawn, 3, axis=2).astype(np.uint8))
        depths.append(to_counts(np.where(np.isfinite(depth), depth, 0), place[2]))
        meshes.append(mesh)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        images=np.array(images),
        depth=np.array(depths),
        mesh_mm=np.array(meshes),
        translation=np.tile(place, (count, 1)),
        fov_deg=np.full(count, 30.0),
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with shards, a run of each stage, and a run of one stage only."""
    root = tmp_path_factory.mktemp("depth")
    shard(root / "rendered" / "train" / "synth_0000.npz", 8, 1)
    shard(root / "rendered" / "val" / "synth_0000.npz", 8, 2)
    (root / "backgrounds").mkdir()
    for number in range(300):
        Image.new("RGB", (40, 30), (90, 120, 60)).save(root / "backgrounds" / f"{number:03d}.jpg")
    train("depth1", inputs(root, "depth1"), {**TINY, "head": 6})
    train("depth2", inputs(root, "depth2"), TINY)
    train("depth-onestage", inputs(root, "onestage"), TINY)
    return root


def inputs(root: Path, run: str) -> Inputs:
    start = root / "depth1" / "last.ckpt" if run == "depth2" else None
    return Inputs(root, root / run, rendered=root / "rendered", start=start, workers=0)


@pytest.mark.slow
def test_stage_one_is_measured(runs: Path) -> None:
    figures = evaluate(inputs(runs, "depth1"))
    assert figures["top1"]["faces"] == 8
    assert 0 <= figures["top1"]["mean"] <= figures["top3"]["mean"] <= 1
    assert json.loads((runs / "depth1" / "result.json").read_text())["macs"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("run", ["depth2", "onestage"])
def test_stage_two_is_measured(runs: Path, run: str) -> None:
    figures = evaluate(inputs(runs, run))
    assert 0 < figures["mae_mm_aligned"]["mean"] <= figures["mae_mm"]["mean"] + 1e-6


@pytest.mark.slow
def test_stage_two_needs_stage_one(runs: Path) -> None:
    given = Inputs(runs, runs / "alone", rendered=runs / "rendered", workers=0)
    with pytest.raises(InputError, match=r"--start RUN/last.ckpt of depth1"):
        train("depth2", given, TINY)


@pytest.mark.slow
def test_no_shards(runs: Path) -> None:
    with pytest.raises(InputError, match="expected --rendered"):
        train("depth1", Inputs(runs, runs / "none", workers=0), {**TINY, "head": 6})


@pytest.mark.slow
def test_both_stages_in_the_runtime_answer_as_in_training(runs: Path, tmp_path: Path) -> None:
    from facegeom.depth.two_stage import NetworkDepth

    first, second = stage_one(runs / "depth1"), stage_two(runs / "depth2")
    for name, net in (("depth1", first), ("depth2", second)):
        (tmp_path / name).write_bytes(to_onnx(name, net))
    predictor = NetworkDepth(Engine(tmp_path / "depth1"), Engine(tmp_path / "depth2"))
    expected = predict(first, second, val_crops(runs / "rendered"), 3)
    behind, chance = predictor.predict(expected.crops)
    assert chance.min() >= 0 and chance.max() <= 1
    np.testing.assert_allclose(behind, expected.second_mm, atol=0.02)


@pytest.mark.slow
def test_the_report_has_every_figure(runs: Path, tmp_path: Path) -> None:
    page = report(runs / "depth1", runs / "depth2", runs / "rendered", tmp_path, count=8).read_text()
    figures = sorted(path.name for path in (tmp_path / "figures").glob("*.png"))
    assert [name[:2] for name in figures] == ["05", "06", "07", "08", "09", "10", "11", "12", "13", "14"]
    assert all(name in page for name in figures)


@pytest.mark.slow
def test_runs_are_told_apart(runs: Path) -> None:
    with pytest.raises(InputError, match="expected a run of depth1"):
        stage_one(runs / "depth2")


def test_errors_count_the_face_alone() -> None:
    truth = torch.full((1, 4, 4), float("nan"))
    truth[0, :2, :2] = torch.tensor([[0.0, 1], [2, 3]])
    predicted = torch.full((1, 4, 4), 99.0, requires_grad=True)
    answer = torch.where(truth.isnan(), predicted, truth.nan_to_num() + 5)
    assert mean_error(answer, truth, aligned=False).item() == pytest.approx(5)
    assert mean_error(answer, truth, aligned=True).item() == pytest.approx(0)
    mean_error(predicted, truth, aligned=True).sum().backward()
    assert predicted.grad is not None and torch.isfinite(predicted.grad).all()
    assert not predicted.grad[0, 2:].any()


def test_the_rate_rises_and_falls() -> None:
    recipe = recipes.load(Depth1Recipe, "depth1", steps=100, warmup_steps=10)
    chosen = configure_adamw(recipe, torch.nn.Linear(1, 1))
    rate = chosen["lr_scheduler"]["scheduler"].lr_lambdas[0]
    assert rate(0) == pytest.approx(0.1) and rate(9) == 1 and rate(10) == pytest.approx(1)
    assert rate(100) == pytest.approx(0.005)

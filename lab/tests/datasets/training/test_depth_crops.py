"""Depth crops: origin and unit of the labels; image and depth stay together, mirrored and shifted."""

from pathlib import Path

import numpy as np
import pytest
import torch

from facegeom.depth.mesh_depth import closed_triangles, with_mouth
from facegeom.errors import InputError
from facegeom.geometry import topology
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import rotation_from_angles
from facegeom_lab.datasets.training.depth_crops import DepthCrops, DepthTable, read_tables
from facegeom_lab.synth.anatomy import to_counts
from facegeom_lab.synth.rasterise import rasterise

FOV_DEG = 30.0
BACKGROUND = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)


def table(*angles: tuple[float, float, float], larger: float = 1.0, far_mm: float = 900) -> DepthTable:
    """Render the canonical head in some rotations, its nearness as its red."""
    camera = Camera(160, 160, FOV_DEG)
    place = np.array([10.0, -5, far_mm])
    rows = []
    for turn in angles:
        mesh = larger * topology.canonical_mm() @ rotation_from_angles(*turn).T + place
        points = with_mouth(mesh[None])[0]
        attributes = np.clip(150 - (points[:, 2:] - far_mm), 1, 255)
        red, depth = rasterise(
            camera.project(points), points[:, 2], closed_triangles(), attributes, (160, 160)
        )
        image = np.repeat(red, 3, axis=2).astype(np.uint8)
        rows.append(
            (image, to_counts(np.where(np.isfinite(depth), depth, 0), place[2]), mesh, place, FOV_DEG)
        )
    return DepthTable(*(np.array(column) for column in zip(*rows, strict=True)))


def test_depth_is_counted_from_the_nose_tip() -> None:
    item = DepthCrops([table((0, 0, 0))])[0]
    depth = item["depth"].numpy()
    assert item["crop"].shape == (3, 160, 160) and depth.shape == (80, 80)
    assert np.nanmin(depth) == pytest.approx(0, abs=1.5)
    assert np.nanmax(depth) > 60


@pytest.mark.parametrize(("larger", "far_mm"), [(1.2, 1080.0), (0.8, 720.0), (1.0, 700.0)])
def test_millimetres_are_those_of_an_average_head(larger: float, far_mm: float) -> None:
    """A larger head farther away gives the same image, so the same depth."""
    plain, other = (
        DepthCrops([each])[0]["depth"].numpy()
        for each in (table((20, 0, 0)), table((20, 0, 0), larger=larger, far_mm=far_mm))
    )
    both = np.isfinite(plain) & np.isfinite(other)
    assert both.sum() > 0.95 * np.isfinite(plain).sum()
    assert np.median(np.abs(plain - other)[both]) < (0.3 if larger != 1 else 1.5)


@pytest.mark.parametrize("augment", [False, True])
def test_picture_and_depth_belong_together(augment: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "facegeom_lab.datasets.training.depth_crops.degrade", lambda rng, crop, backgrounds: crop
    )
    torch.manual_seed(2)
    crops = DepthCrops([table((25, 5, 40)), table((-40, 0, 0))], [BACKGROUND], augment=augment)
    for number in range(2):
        item = crops[number]
        red = item["crop"][0].float().reshape(80, 2, 80, 2).numpy()
        depth = item["depth"].numpy()
        inner = np.isfinite(depth) & (red.min(axis=(1, 3)) > 60) & (np.ptp(red, axis=(1, 3)) < 12)
        red = red.mean(axis=(1, 3))
        assert inner.sum() > 0.7 * np.isfinite(depth).sum()
        assert np.corrcoef(red[inner], depth[inner])[0, 1] < -0.95


def test_training_crops_differ_and_plain_ones_do_not() -> None:
    plain, changed = (
        DepthCrops([table((0, 0, 0))]),
        DepthCrops([table((0, 0, 0))], [BACKGROUND], augment=True),
    )
    assert torch.equal(plain[0]["crop"], plain[0]["crop"])
    assert not torch.equal(changed[0]["crop"], changed[0]["crop"])


def test_a_folder_without_shards_or_without_depth(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected shards with depth"):
        read_tables(tmp_path)
    np.savez(tmp_path / "synth_0000.npz", images=np.zeros((1, 8, 8, 3), np.uint8))
    with pytest.raises(InputError, match="has no depth"):
        read_tables(tmp_path)

"""Measured depth as training crops: scale, nose tip, background, people of the splits, a tiny training."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from facegeom.depth.mesh_depth import closed_triangles, mesh_depths, with_mouth
from facegeom.errors import InputError
from facegeom.geometry import topology
from facegeom_lab.datasets.records import FaceRecord
from facegeom_lab.datasets.training import depth_scans
from facegeom_lab.datasets.training.depth_scans import (
    NOSE_TIP,
    STORED_PX,
    DepthScans,
    cut_window,
    load_scans,
    of_split,
)
from facegeom_lab.evaluation.run import read_result
from facegeom_lab.synth.rasterise import rasterise
from facegeom_lab.training.trainers import Inputs, evaluate, train

HEIGHT, WIDTH = 751, 501
PX_PER_MM = 1 / 0.32
TINY = {
    **{"steps": 2, "batch": 2, "samples_per_epoch": 4, "warmup_steps": 1, "precision": "32-true"},
    **{"widths": [4, 6, 8], "head": 6},
}


def scanned(larger: float = 1.0) -> tuple[np.ndarray, np.ndarray, SimpleNamespace]:
    """Return photo, range image and found face of a canonical head, seen in parallel before a wall."""
    mesh_mm = topology.canonical_mm().astype(np.float64) * larger
    mesh_px = mesh_mm * PX_PER_MM + (WIDTH / 2, HEIGHT / 2, 0)
    points = with_mouth(mesh_px[None])[0]
    grey = np.clip(150 - points[:, 2:], 0, 255)
    drawn, z_px = rasterise(points[:, :2], points[:, 2] + 1000, closed_triangles(), grey, (WIDTH, HEIGHT))
    measured = np.where(np.isfinite(z_px), (z_px - 1000) / PX_PER_MM + 300, 600)
    photo = np.repeat(drawn, 3, axis=2).astype(np.uint8)
    placed = topology.canonical_mm() + np.array(
        [0, 0, 600]
    )  # facegeom's millimetres are of a head of average size
    face = SimpleNamespace(mesh_px=mesh_px, depth=mesh_depths(mesh_px[None], placed[None])[0])
    return photo, measured.astype(np.float32), face


@pytest.mark.parametrize("larger", [1.0, 0.8])
def test_depth_counts_from_the_nose_and_in_average_millimetres(larger: float) -> None:
    photo, measured, face = scanned(larger)
    found = cut_window("texas3dfrd", photo, measured, face)
    assert found is not None
    window, behind = found
    assert window.shape == (STORED_PX, STORED_PX, 3) and behind.shape == (STORED_PX, STORED_PX)
    item = DepthScans(window[None], behind[None])[0]
    depth = item["depth"].numpy()
    assert item["crop"].shape == (3, 160, 160) and depth.shape == (80, 80)
    canonical = topology.canonical_mm()
    deepest = canonical[:468, 2].max() - canonical[NOSE_TIP, 2]
    known = np.isfinite(depth)
    assert 0.15 < known.mean() < 0.8  # the wall does not count
    assert np.nanmin(depth) == pytest.approx(0, abs=3)
    assert 0.7 * deepest < np.nanmax(depth) < 1.1 * deepest


def test_a_nose_that_was_not_measured() -> None:
    photo, measured, face = scanned()
    assert cut_window("texas3dfrd", photo, np.zeros_like(measured), face) is None


def test_people_do_not_cross_the_splits() -> None:
    def record(person: int, frame: int) -> FaceRecord:
        return FaceRecord(f"{person:04d}/s1/RGB/rgb_{frame}.bmp", lambda: np.zeros(0), "train")

    records = [record(person, frame) for person in range(11) for frame in range(3)]
    people = {
        split: {each.name[:4] for each in of_split("eurecom", records, split)} for split in ("train", "val")
    }
    assert people["val"] == {"0000", "0005", "0010"} and not people["train"] & people["val"]
    with pytest.raises(InputError, match=r"at least two people in eurecom.* got 1"):
        of_split("eurecom", records[:3], "train")


@pytest.fixture
def texas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write six people in the layout of Texas 3DFRD; the face is found where it was drawn."""
    photo, measured, face = scanned()
    folder = tmp_path / "PreprocessedImages"
    folder.mkdir()
    near = np.where(measured < 590, 255 - (measured - measured.min()) / 0.32, 0).clip(0, 255)
    for person in range(1, 7):
        name = f"Clean_{person:04d}_001_20050912120022"
        Image.fromarray(photo).save(folder / f"{name}_Portrait.png")
        Image.fromarray(near.astype(np.uint8)).save(folder / f"{name}_Range.png")
    analyzer: Callable[..., object] = lambda **_: lambda photo: [face]  # noqa: E731
    monkeypatch.setattr(depth_scans, "FaceAnalyzer", analyzer)
    return tmp_path


def test_a_set_is_cut_once(texas: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_scans("texas3dfrd", texas, "train", tmp_path / "scans")
    monkeypatch.setattr(depth_scans, "FaceAnalyzer", None)
    second = load_scans("texas3dfrd", texas, "train", tmp_path / "scans", augment=True)
    assert len(first) == len(second) == 4 and second[0]["crop"].shape == (3, 160, 160)


@pytest.mark.slow
def test_both_stages_train_on_a_published_set(texas: Path, tmp_path: Path) -> None:
    def inputs(run: str, start: Path | None = None) -> Inputs:
        return Inputs(texas, tmp_path / run, "texas3dfrd", start=start, workers=0)

    train("depth1", inputs("depth1"), TINY)
    assert evaluate(inputs("depth1"))["top1"]["faces"] == 2
    start = tmp_path / "depth1" / "last.ckpt"
    train("depth2", inputs("depth2", start), {key: TINY[key] for key in TINY if key != "head"})
    evaluate(inputs("depth2", start))
    assert read_result(tmp_path / "depth2")["mae_mm"]["mean"] > 0
    both = Inputs(texas, tmp_path / "both", "texas3dfrd", rendered=texas, workers=0)
    with pytest.raises(InputError, match="expected --rendered or --dataset texas3dfrd, got both"):
        train("depth1", both, TINY)

"""Slopes of motion and of shape: a mesh that follows by half has a slope of a half."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from facegeom.geometry import topology
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.geometry.schemes import SCHEMES
from facegeom_lab.bench.accuracy import eyes
from facegeom_lab.bench.accuracy.eyes import PER_BIN, evenly, motion_rows, shape_rows
from facegeom_lab.synth.scene import Sample

LOWER_LIDS = np.array([(144, 145, 153), topology.mirror()[[144, 145, 153]]]).ravel()
UPPER_LIDS = np.array([(160, 159, 158), topology.mirror()[[160, 159, 158]]]).ravel()
LOWER_LIP = [87, 14, 317]


def faces(follow: float, count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Return meshes whose lids and lips move by ``follow`` of the reference's, and the reference."""
    rng = np.random.default_rng(0)
    head = topology.canonical_mm().astype(np.float64)
    head[LOWER_LIDS, :2] = head[UPPER_LIDS, :2]  # shut
    meshes = np.repeat(head[None], 2 * count, axis=0).reshape(2, count, 478, 3)
    opening = rng.uniform(0, 12, count)
    for which, part in ((0, follow), (1, 1.0)):
        meshes[which][:, LOWER_LIDS, 1] += part * opening[:, None]
        meshes[which][:, LOWER_LIP, 1] += part * 3 * opening[:, None]
    return meshes[0], meshes[1]


@pytest.mark.parametrize("follow", [1.0, 0.5, 0.0])
def test_the_slope_of_lids(follow: float) -> None:
    lids, _, lips = motion_rows(*faces(follow))
    assert lids[1] == pytest.approx(follow, abs=0.02)
    assert lips[1] == pytest.approx(follow, abs=0.05)
    if follow:
        assert lids[2] == pytest.approx(1, abs=1e-6)


def test_means_of_shut_and_open_eyes_are_named() -> None:
    lids, *_ = motion_rows(*faces(0.5))
    shut, wide = (str(cell).split(" ")[0] for cell in lids[4:6])
    assert float(shut) < 0.1 < float(wide)


def test_values_are_chosen_evenly() -> None:
    values = np.concatenate([np.full(5000, 0.3), np.linspace(0, 1, 120)])
    chosen = evenly(values)
    assert len(set(chosen.tolist())) == len(chosen) < 12 * PER_BIN
    assert (values[chosen] == 0.3).sum() <= PER_BIN


def test_shape_does_not_count_place_size_and_rotation() -> None:
    _, reference = faces(1.0, 20)
    rng = np.random.default_rng(1)
    own = reference + rng.normal(0, 0.5, reference.shape)
    moved = own @ rotation_from_angles(20, 10, -30).T * 3 + (100, 50, 7)
    for _, slope, correlation, _ in shape_rows(moved, own):
        assert (slope, correlation) == pytest.approx((1, 1), abs=1e-6)


def test_rendered_heads_are_compared_with_their_exact_mesh(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that follows lips, mouth and brows by a half has slopes of a half; angles do not count."""
    rng = np.random.default_rng(2)
    lips = [*SCHEMES["mesh478"].regions["lips_outer"], *SCHEMES["mesh478"].regions["lips_inner"]]
    brows = [*SCHEMES["mesh478"].regions["brow_right"], *SCHEMES["mesh478"].regions["brow_left"]]
    heads = []
    for _ in range(60):
        head, half = topology.canonical_mm().astype(np.float64), topology.canonical_mm().astype(np.float64)
        aside, up, opening = rng.uniform(-8, 8), rng.uniform(0, 6), rng.uniform(0, 20)
        for points, part in ((head, 1.0), (half, 0.5)):
            points[lips, 0] += part * aside
            points[brows, 1] -= part * up
            points[LOWER_LIP, 1] += part * opening
        heads.append((head, half))
    rotation, translation = rotation_from_angles(12, -5, 9), np.array([20, 10, 20_000.0])

    def sample(points: np.ndarray) -> Sample:
        mesh_mm = points @ rotation.T + translation
        nothing, marks = np.zeros((256, 256, 3), np.uint8), np.zeros((68, 2))
        return Sample(nothing, marks, rotation, translation, np.ones(68, bool), 1.0, mesh_mm=mesh_mm)

    answers = iter([eyes.exact_mesh(sample(half)) for _, half in heads])
    bench = SimpleNamespace(
        data=Path("nowhere"), analyze=lambda _: SimpleNamespace(mesh_px=next(answers)[None])
    )
    for name in ("load_model", "load_backgrounds"):
        monkeypatch.setattr(eyes, name, lambda *_: None)
    monkeypatch.setattr(eyes, "rendered_samples", lambda *_: (sample(head) for head, _ in heads))
    rows = {row[0]: row[1:] for row in eyes.rendered_rows(bench)}
    for name in ("mouth aside, mm", "brows, mm"):
        slope, correlation, error, count = rows[name]
        assert slope == pytest.approx(0.5, abs=0.06) and correlation > 0.98 and error > 0.5
        assert count in (60, 120)
    assert rows["lips"][0] == pytest.approx(0.5, abs=0.08)

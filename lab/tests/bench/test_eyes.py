"""Slopes of motion and of shape: a mesh that follows by half has a slope of a half."""

import numpy as np
import pytest

from facegeom.geometry import topology
from facegeom.geometry.rotation import rotation_from_angles
from facegeom_lab.bench.accuracy.eyes import PER_BIN, evenly, motion_rows, shape_rows

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

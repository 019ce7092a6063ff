"""Stability: what the changes do to pixels, and how movements are summed up."""

from types import SimpleNamespace

import numpy as np
import pytest

from facegeom.geometry import topology
from facegeom_lab.bench.accuracy import stability
from facegeom_lab.bench.accuracy.stability import CHANGES, brighter, shifted


def test_brighter_stays_in_range() -> None:
    pixels = np.array([[[0, 100, 255]]], np.uint8)
    assert brighter(pixels).tolist() == [[[1, 101, 255]]]


def test_a_shifted_edge_lies_half_a_pixel_to_the_right_and_below() -> None:
    pixels = np.zeros((20, 20, 3), np.uint8)
    pixels[:, 10:] = 200
    found = shifted(pixels)
    assert found.shape == pixels.shape
    assert found[5, [9, 10, 11], 0].tolist() == [0, 100, 200]
    assert (shifted(pixels.swapaxes(0, 1))[[9, 10, 11], 5, 0] == [0, 100, 200]).all()


def faces(*places_px: float, move_px: float = 0.0) -> SimpleNamespace:
    """Return faces 300 pixels apart, all points moved."""
    head = topology.canonical_mm().astype(np.float64)
    return SimpleNamespace(mesh_px=np.stack([head + np.array([place, move_px, 0]) for place in places_px]))


def test_movements_are_in_percent_of_the_eye_distance() -> None:
    head = topology.canonical_mm()
    eyes = float(np.linalg.norm(head[33, :2] - head[263, :2]))
    mean, worst, point, pitch, count = stability._row([faces(0, 300)], [faces(300, 0, move_px=0.9)], 0.0)
    assert [mean, worst, point] == pytest.approx([90 / eyes] * 3, rel=1e-6)
    assert pitch is None and count == 2


def test_a_shift_of_the_photo_is_taken_back() -> None:
    moved = faces(0.5, move_px=0.5)
    assert stability._row([faces(0)], [moved], 0.5)[0] == pytest.approx(0, abs=1e-9)


def test_a_face_that_is_lost_is_not_counted() -> None:
    none = SimpleNamespace(mesh_px=np.zeros((0, 478, 3)))
    assert stability._row([faces(0)], [none], 0.0) == (None, None, None, None, 0)
    assert stability._row([faces(0, 300)], [faces(300)], 0.0)[-1] == 1


def test_changes_have_names_of_their_own() -> None:
    assert len({ending for ending, *_ in CHANGES.values()}) == len(CHANGES)

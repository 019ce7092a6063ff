"""The free photos: tables, splits by person, credits, 68 points from 189 marks."""

from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom_lab.datasets.published import free


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """Write the tables of a few photos."""
    folder = tmp_path / "free"
    rows = {
        "portraits": [f"official_{number:06d}.jpg" for number in range(8, 13)] + ["generated_male_07.jpg"],
        "people189": ["london-neutral_010_03.jpg", "london-smiling_010_08.jpg", "canada_003f.jpg"],
        "backgrounds-grocery": ["grocery_0001.jpg"],
        "backgrounds-flowers": ["flowers_0001.jpg", "flowers_0002.jpg"],
    }
    folder.mkdir()
    for name, files in rows.items():
        lines = [f"{file},terms of {name},from {file}" for file in files]
        (folder / f"{name}.csv").write_text("\n".join(["file,licence,source", *lines]))
    return tmp_path


def test_no_person_is_in_both_splits(pack: Path) -> None:
    names = {split: {photo.path.name for photo in free.portraits(pack, split)} for split in ("train", "val")}
    assert names["val"] == {
        "official_000010.jpg",
        "london-neutral_010_03.jpg",
        "london-smiling_010_08.jpg",
    }
    assert len(names["train"]) == 6 and not names["train"] & names["val"]
    assert len(free.portraits(pack)) == 9


def test_sources_are_counted_and_credited(pack: Path) -> None:
    assert free.counts(pack) == {
        "official": 5,
        "generated": 1,
        "people189": 3,
        "grocery": 1,
        "flowers": 2,
        "hdri": 0,
    }
    assert free.credits(pack) == [
        "terms of backgrounds-flowers",
        "terms of backgrounds-grocery",
        "terms of people189",
    ]
    assert {photo.source for photo in free.portraits(pack)} == {"official", "generated", "people189"}


def test_a_missing_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected the table of free photos at .*portraits\.csv"):
        free.portraits(tmp_path)


def marks() -> np.ndarray:
    """Return random marks (2, 189, 2)."""
    return np.random.default_rng(0).uniform(0, 100, (2, 189, 2))


def test_points_follow_the_contours() -> None:
    given = marks()
    points = free.points68(given)
    assert points.shape == (2, 68, 2)
    ends = {0: 109, 8: 129, 16: 112, 36: 18, 39: 22, 42: 23, 45: 27, 31: 64, 35: 69}
    for point, mark in ends.items():
        np.testing.assert_allclose(points[:, point], given[:, mark])
    np.testing.assert_allclose(points[:, 48:60], given[:, list(free.LIPS_OUTER)])
    np.testing.assert_allclose(points[:, 27], given[:, [50, 56]].mean(axis=1))
    np.testing.assert_allclose(points[:, 30], given[:, [54, 60]].mean(axis=1))
    np.testing.assert_allclose(points[:, 61], given[:, 95])


def test_points_are_spread_evenly_along_a_line() -> None:
    given = marks()
    across = np.linspace(0, 9, len(free.JAW)) ** 2  # unevenly spaced marks on a straight line
    given[:, list(free.JAW)] = np.stack([across, 2 * across], axis=1)
    steps = np.diff(free.points68(given)[:, :9], axis=1)
    np.testing.assert_allclose(steps, np.broadcast_to(steps[:, :1], steps.shape))


def test_brows_lie_a_little_below_the_upper_edge() -> None:
    given = marks()
    for upper, lower in free.BROW_EDGES:
        given[:, list(upper)] = np.stack([np.linspace(0, 40, 5), np.zeros(5)], axis=1)
        given[:, list(lower)] = np.stack([np.linspace(0, 40, 4), np.full(4, 8.0)], axis=1)
    brows = free.points68(given)[:, 17:27]
    inner = brows[:, 2:8, 1]  # both edges share the mark at the tail
    np.testing.assert_allclose(inner, 8 * free.BROW_LOWERED)

from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom.geometry.rotation import rotation_from_angles
from facegeom_lab.datasets.training import directions
from facegeom_lab.datasets.training.directions import (
    CLASSES,
    MIRRORED,
    SIZE_PX,
    STORED_PX,
    Directions,
)


@pytest.mark.parametrize(
    ("yaw", "pitch", "sector"),
    [
        (40, 0, 0),  # positive yaw turns the nose to the picture's right edge
        (30, 30, 1),
        (0, 25, 2),  # positive pitch lifts it
        (-30, 30, 3),
        (-70, 5, 4),
        (-25, -25, 5),
        (2, -40, 6),
        (25, -25, 7),
        (5, 5, -1),  # straight ahead
        (20, 8.5, -1),  # between right and up and right
    ],
)
def test_the_sector_that_the_nose_points_at(yaw: float, pitch: float, sector: int) -> None:
    for roll in (0, 12) if sector % 2 == 0 and yaw * pitch == 0 else (0,):
        assert directions.sectors(rotation_from_angles(yaw, pitch, roll)[None])[0] in (sector,)


def test_a_mirror_image_has_the_mirrored_sector() -> None:
    rng = np.random.default_rng(0)
    rotation = np.stack([rotation_from_angles(*rng.uniform(-60, 60, 3)) for _ in range(200)])
    found = directions.sectors(rotation)
    mirrored = directions.sectors(rotation * np.outer((-1, 1, 1), (-1, 1, 1)))
    clear = found >= 0
    assert 50 < clear.sum() < 200
    np.testing.assert_array_equal(mirrored[clear], MIRRORED[found[clear]])
    assert (mirrored[~clear] == -1).all()


def _numbered() -> Directions:
    """Draw a bright right half in every crop; few faces of class 2."""
    classes = np.array([0] * 5 + [2] + [4] * 3 + [1, 3, 5, 6, 7])
    crops = np.zeros((len(classes), STORED_PX, STORED_PX, 3), np.uint8)
    crops[:, :, STORED_PX // 2 :] = 10 * np.arange(1, len(classes) + 1)[:, None, None, None]
    return Directions(crops, classes)


def test_batches_hold_all_classes_alike_and_mirror_the_label_with_the_picture() -> None:
    faces = _numbered()
    crops, classes = directions.batch(faces, 64, np.random.default_rng(1))
    assert crops.shape == (64, SIZE_PX, SIZE_PX, 3)
    mirrored = crops[:, 40, 0, 0] > 0
    assert 10 < mirrored.sum() < 54
    shown = crops.reshape(64, -1).max(axis=1) // 10 - 1
    wanted = faces.classes[shown]
    np.testing.assert_array_equal(classes, np.where(mirrored, MIRRORED[wanted], wanted))
    np.testing.assert_array_equal(np.bincount(wanted, minlength=CLASSES), 8)


def test_the_middle_of_a_stored_crop() -> None:
    crops = np.arange(STORED_PX, dtype=np.uint8)[None, :, None, None].repeat(STORED_PX, 2).repeat(3, 3)
    found = directions.centre_crops(crops)
    assert found.shape == (1, SIZE_PX, SIZE_PX, 3)
    assert found[0, 0, 0, 0] == 4 and found[0, -1, 0, 0] == STORED_PX - 5


def test_a_pack_becomes_one_file_whose_people_do_not_cross(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = [_group(range(0, 40), 0), _group(range(40, 60), 1), _group(range(60, 90), 2)]
    monkeypatch.setattr(directions, "_real", lambda data, labels: groups[0])
    monkeypatch.setattr(directions, "_synthetic", lambda data, rendered: groups[1:])
    monkeypatch.setattr(directions, "background_files", lambda data, split: [])
    monkeypatch.setattr(directions, "read_images", lambda files: [np.zeros((40, 40, 3), np.uint8)])
    file = directions.build(tmp_path, tmp_path, tmp_path, tmp_path / "out" / "directions.npz")
    for split, count in (("train", 40), ("tune", 20), ("val", 30)):
        faces = directions.load(file, split)
        assert len(faces) == count
        shades = faces.crops[:, STORED_PX // 2, STORED_PX // 2, 0]
        np.testing.assert_array_equal(shades % CLASSES, faces.classes)  # picture and class belong together
    before = file.read_bytes()
    assert directions.build(tmp_path, tmp_path, None, file) == file
    assert file.read_bytes() == before


def _group(numbers: range, split: int) -> directions._Candidates:
    """Make grey images whose shade is their number, of class number mod 8."""
    points = 50 + 20 * np.random.default_rng(0).uniform(-1, 1, (len(numbers), 68, 2))
    return directions._Candidates(
        lambda index: np.full((100, 100, 3), numbers[index], np.uint8),
        points,
        np.array([number % CLASSES for number in numbers]),
        np.full(len(numbers), split),
    )


def test_a_direction_without_faces_is_told() -> None:
    with pytest.raises(InputError, match="tune faces of every direction, found none of 0"):
        directions._choose([_group(range(16), 0)], 1, 5, np.random.default_rng(0))


def test_real_and_made_faces_are_found(training_pack) -> None:
    real = directions._real(training_pack.data, training_pack.labels)
    assert real.read(0).shape == (160, 160, 4)
    assert real.landmarks.shape == (14, 68, 2)  # ten train, four val; one in doubt
    assert (real.splits[-4:] == 2).all()
    heads = directions._synthetic(training_pack.data, training_pack.rendered)[0]
    np.testing.assert_array_equal(heads.classes, [4, -1, 0])
    np.testing.assert_array_equal(heads.splits, [2, 1, 0])


def test_unknown_splits_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train, tune, val"):
        directions.load(tmp_path / "none.npz", "train")

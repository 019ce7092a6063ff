"""Faces of whole photos: the points lie on what the crop shows."""

import json
from pathlib import Path

import cv2
import numpy as np

from facegeom_lab.datasets.training.scene_faces import SceneFaces

DOT = np.array([40, 255, 40])


def pack(folder: Path, landmarks: np.ndarray) -> Path:
    """One scene with a dot on point 30, and one whose face nobody gave points."""
    (folder / "scenes").mkdir(parents=True)
    photo = np.full((300, 400, 3), 90, np.uint8)
    x, y = landmarks[30].round().astype(int)
    cv2.circle(photo, (x, y), 4, DOT.tolist(), -1)
    cv2.imwrite(str(folder / "scenes/a.png"), photo)
    faces = [
        {"landmarks68": landmarks.tolist(), "origin": "human"},
        {"box": [0, 0, 9, 9], "origin": "teacher"},
    ]
    entries = [{"file": "a.png", "split": split, "faces": faces} for split in ("train", "val")]
    (folder / "scenes/scenes.json").write_text(json.dumps(entries))
    return folder


def test_points_lie_on_what_the_crop_shows(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    landmarks = rng.uniform((150, 90), (270, 210), (68, 2))
    data = pack(tmp_path, landmarks)
    for seed in range(5):
        (sample,) = SceneFaces(data, "train", seed)
        crop = sample["crop"].permute(1, 2, 0).numpy()
        assert crop.shape == (128, 128, 3) and crop.dtype == np.uint8
        rows, columns = np.nonzero(np.abs(crop.astype(int) - DOT).sum(axis=2) < 90)
        wanted = sample["landmarks"][30].numpy() * 128 + 63.5
        np.testing.assert_allclose((columns.mean(), rows.mean()), wanted, atol=0.8)


def test_the_same_every_time_and_different_by_seed(tmp_path: Path) -> None:
    data = pack(tmp_path, np.random.default_rng(5).uniform(100, 200, (68, 2)))
    points = [SceneFaces(data, "val", seed)[0]["landmarks"].numpy() for seed in (1, 1, 2)]
    np.testing.assert_array_equal(points[0], points[1])
    assert np.abs(points[0] - points[2]).max() > 0.005

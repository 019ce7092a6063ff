"""Samples of the face network: labels follow the picture through crop, turn and mirror."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from facegeom.geometry import topology
from facegeom.geometry.boxes import face_box, square
from facegeom.geometry.rotation import geodesic_deg, procrustes, rotation_from_angles, towards
from facegeom.geometry.schemes import IBUG68_MIRROR
from facegeom.geometry.transforms import apply
from facegeom.lab.datasets import faces
from facegeom.lab.datasets.faces import FaceCrops, FaceLabels, random_crop, real_faces, rendered_faces, warp
from facegeom.lab.networks.face import CROP_PX

GREEN = np.array([0, 255, 0], np.uint8)
DOT68, DOT478 = 36, 33  # the same corner of the person's right eye
OTHER68, OTHER478 = 45, 263

Maker = Callable[..., object]


@pytest.fixture(autouse=True)
def only_geometry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures keep their colours, and what lies outside the photo is 77."""
    monkeypatch.setattr(faces, "degrade", lambda rng, picture, backgrounds: picture)
    monkeypatch.setattr(
        faces, "random_patch", lambda rng, photos, size: np.full((size, size, 3), 77, np.uint8)
    )


def labels_of(head: object, weight: np.ndarray | None = None) -> FaceLabels:
    return FaceLabels(
        landmarks=head.landmarks[None].astype(np.float32),
        landmarks_weight=np.ones((1, 68)) if weight is None else weight[None],
        mesh=head.mesh[None].astype(np.float32),
        mesh_weight=np.array([0.7]),
        rotation=head.rotation[None],
        rotation_weight=np.array([2.0]),
    )


def samples(picture: np.ndarray, labels: FaceLabels, count: int = 40) -> list[dict[str, np.ndarray]]:
    torch.manual_seed(3)
    crops = FaceCrops([picture], labels, [picture], negatives=0, seed=1)
    return [{key: value.numpy() for key, value in crops[0].items()} for _ in range(count)]


def dotted(head: object) -> np.ndarray:
    """A grey picture with a green dot at the person's right eye corner."""
    picture = np.full((160, 160, 3), 60, np.uint8)
    x, y = head.landmarks[DOT68]
    grid = np.stack(np.meshgrid(np.arange(160), np.arange(160)), axis=2)
    share = np.exp(-((grid - (x, y)) ** 2).sum(axis=2) / (2 * 1.5**2))[..., None]
    return np.rint(picture * (1 - share) + GREEN * share).astype(np.uint8)


def dot(crop: np.ndarray) -> np.ndarray:
    """(2,) where the crop (3, H, W) is green, crop units."""
    green = np.clip(crop[1].astype(float) - crop[0] - 20, 0, None)
    y, x = np.mgrid[: green.shape[0], : green.shape[1]]
    centre = np.array([(green * x).sum(), (green * y).sum()]) / green.sum()
    return (centre - (CROP_PX - 1) / 2) / CROP_PX


def test_labels_follow_the_picture(make_head: Maker) -> None:
    head = make_head(15, -10, 5)
    mirrored = 0
    for sample in samples(dotted(head), labels_of(head)):
        found = dot(sample["crop"])
        places = sample["landmarks"][[DOT68, OTHER68]]
        error = np.linalg.norm(places - found, axis=1) * CROP_PX
        assert error.min() < 0.7 and error.max() > 20
        mirrored += bool(error.argmin())
        vertex = (DOT478, OTHER478)[error.argmin()]
        np.testing.assert_allclose(sample["mesh"][vertex, :2], found, atol=0.7 / CROP_PX)
    assert 8 < mirrored < 32


def test_rotation_fits_the_mesh(make_head: Maker) -> None:
    """After turn and mirror the mesh is still the canonical head in the labelled rotation."""
    head = make_head(30, 15, -10)
    canonical = topology.canonical_mm().astype(np.float64)
    for sample in samples(dotted(head), labels_of(head)):
        fit = procrustes(canonical, sample["mesh"].astype(np.float64))
        assert geodesic_deg(fit.rotation, sample["rotation"].astype(np.float64)) < 0.5
        np.testing.assert_allclose(sample["mesh"], fit.apply(canonical), atol=0.01)


def test_landmarks_mirror_with_the_mesh(make_head: Maker) -> None:
    """The heads' 68 points are mesh points, so both mirror maps must agree; weights move along."""
    head = make_head(-20, 5, 0)
    picks = [int(np.abs(head.mesh[:, :2] - point).sum(axis=1).argmin()) for point in head.landmarks]
    weight = np.arange(68.0)
    seen = set()
    for sample in samples(dotted(head), labels_of(head, weight)):
        np.testing.assert_allclose(sample["landmarks"], sample["mesh"][picks, :2], atol=1e-5)
        mirrored = sample["landmarks_weight"][0] != 0
        np.testing.assert_array_equal(
            sample["landmarks_weight"], weight[IBUG68_MIRROR] if mirrored else weight
        )
        seen.add(bool(mirrored))
    assert seen == {False, True}


def test_box_and_weights(make_head: Maker) -> None:
    head = make_head(0, 0, 0)
    for sample in samples(dotted(head), labels_of(head), 5):
        np.testing.assert_allclose(sample["box"], face_box(sample["landmarks"]), atol=1e-5)
        assert (sample["face"], sample["mesh_weight"], sample["rotation_weight"]) == (1, np.float32(0.7), 2)
        assert np.abs(sample["landmarks"]).max() < 0.6  # the crop holds the face


def test_plain_crops_never_change(make_head: Maker) -> None:
    head = make_head(10, 0, 0)
    crops = FaceCrops([dotted(head)], labels_of(head), [])
    first, second = crops.plain(0), crops.plain(0)
    assert all(torch.equal(first[key], second[key]) for key in first)
    found = dot(first["crop"].numpy())
    np.testing.assert_allclose(first["landmarks"][DOT68], found, atol=0.7 / CROP_PX)
    np.testing.assert_allclose(first["rotation"], head.rotation, atol=1e-6)


@pytest.mark.parametrize("turn_deg", [-60, 0, 25])
def test_random_crop_is_square_upright_and_around_the_face(make_head: Maker, turn_deg: float) -> None:
    landmarks = make_head(0, 0, 0).landmarks
    turn = rotation_from_angles(0, 0, turn_deg)[:2, :2]
    sides = []
    for seed in range(200):
        matrix = random_crop(np.random.default_rng(seed), landmarks, turn_deg)
        scale = np.sqrt(np.linalg.det(matrix[:, :2]))
        np.testing.assert_allclose(matrix[:, :2] / scale, turn, atol=1e-9)
        inside = square(face_box(apply(matrix, landmarks)))
        sides.append(CROP_PX / (inside[2] - inside[0]))
        assert np.abs((inside[:2] + inside[2:]) / 2 - 63.5).max() < 0.15 * CROP_PX
    assert np.median(sides) == pytest.approx(1.3, rel=0.04)
    assert min(sides) > 1.3 * 0.77 and max(sides) < 1.3 * 1.36


def test_outside_of_the_photo_is_laid_over_the_patch() -> None:
    matrix, patch = np.array([[1.0, 0, 20], [0, 1, 0]]), np.full((128, 128, 3), 77, np.uint8)
    picture = np.full((128, 90, 3), 200, np.uint8)
    crop = warp(picture, matrix, patch.copy())
    assert (crop[:, :19] == 77).all() and (crop[:, 111:] == 77).all() and (crop[:, 21:109] == 200).all()
    alpha = np.full((128, 90, 1), 255, np.uint8)
    alpha[:, :30] = 0
    crop = warp(np.concatenate([picture, alpha], axis=2), matrix, patch.copy())
    assert (crop[:, :49] == 77).all() and (crop[:, 51:109] == 200).all() and (crop[:, 111:] == 77).all()


def test_negatives(make_head: Maker) -> None:
    head = make_head(0, 0, 0)
    hard = [np.full((CROP_PX, CROP_PX, 3), 201, np.uint8)]
    crops = FaceCrops([dotted(head)], labels_of(head), [], hard, negatives=0.9, seed=1)
    chosen = [crops[0] for _ in range(200)]
    empty = [sample for sample in chosen if not sample["face"]]
    assert 160 < len(empty) < 197
    weights = ("landmarks_weight", "mesh_weight", "rotation_weight")
    assert all(float(sample[name].sum()) == 0 for sample in empty for name in weights)
    levels = {int(sample["crop"].float().mean()) for sample in empty}
    assert levels == {77, 201}


def test_seeds_differ_and_repeat(make_head: Maker) -> None:
    head, runs = make_head(0, 0, 0), []
    for seed in (1, 1, 2):
        torch.manual_seed(9)
        crops = FaceCrops([dotted(head)], labels_of(head), [], seed=seed)
        runs.append(torch.stack([crops[0]["landmarks"] for _ in range(4)]))
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


def test_real_faces(training_pack: object) -> None:
    pictures, table = real_faces(training_pack.data, training_pack.labels, "train")
    assert len(pictures) == len(table) == 10  # the one that the teacher doubts is left out
    heads = training_pack.heads[:10]
    for index, head in enumerate(heads):
        masked = index >= 8
        by_hand = head.landmarks + (0 if masked else 1)  # people's points where there are some
        np.testing.assert_allclose(table.landmarks[index], by_hand, atol=1e-4)
        assert (table.landmarks_weight[index] == (0.25 if masked else 1)).all()
        assert table.mesh_weight[index] == table.rotation_weight[index] == (0.3 if masked else 1)
        assert geodesic_deg(table.rotation[index], head.rotation) < 0.1
    assert len(real_faces(training_pack.data, training_pack.labels, "val")[0]) == 4


def test_black_border_is_removed(training_pack: object) -> None:
    first, second = real_faces(training_pack.data, training_pack.labels, "train")[0][:2]
    assert first.shape == (160, 160, 4)
    assert (first[:, :20, 3] == 0).all() and (first[5:-5, 25:-5, 3] == 255).all()
    assert (second[5:-5, 5:-5, 3] == 255).all()


def test_colours_are_rgb(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "red.png"), np.full((4, 4, 3), (0, 0, 250), np.uint8))
    assert faces.read_photos([tmp_path / "red.png"])[0][0, 0].tolist() == [250, 0, 0]


def test_rendered_faces(training_pack: object) -> None:
    shards = sorted(training_pack.rendered.glob("*.npz"))
    pictures, table = rendered_faces(shards * 2)
    assert len(pictures) == len(table) == 6 and pictures[0].shape == (160, 160, 3)
    assert (table.mesh_weight == 0).all()
    frontal, turned = table.landmarks_weight[1], table.landmarks_weight[2]
    assert (frontal == 0.5).all()
    np.testing.assert_allclose(turned[:17], [0] * 8 + [0.15] * 9)  # of the jaw, what is seen, a little
    assert (turned[17:] == 0.5).all()


def test_rendered_rotation_is_that_of_the_crop(tmp_path: Path, training_pack: object) -> None:
    """A head beside the camera's axis that looks along the line of sight looks straight in its crop."""
    with np.load(next(training_pack.rendered.glob("*.npz"))) as arrays:
        shard = dict(arrays)
    shard["translation"] = np.array([[300.0, -100, 900]] * 3)
    shard["rotation"] = towards(shard["translation"])
    np.savez(tmp_path / "aside.npz", **shard)
    _, table = rendered_faces([tmp_path / "aside.npz"])
    np.testing.assert_allclose(table.rotation, np.tile(np.eye(3), (3, 1, 1)), atol=1e-9)

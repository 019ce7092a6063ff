"""Samples of the face network: labels follow the image through crop, rotation and mirroring."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from facegeom.geometry import topology
from facegeom.geometry.boxes import face_box, square
from facegeom.geometry.rotation import geodesic_deg, procrustes, rotation_from_angles
from facegeom.geometry.schemes import IBUG68_MIRROR
from facegeom.geometry.transforms import apply
from facegeom.models import weights
from facegeom.models.face import CROP_PX, OUTSIDE
from facegeom_lab.datasets.training import face_samples
from facegeom_lab.datasets.training.face_labels import FaceLabels, unknown_expression
from facegeom_lab.datasets.training.face_samples import (
    FRAME_SCALE,
    Augmentation,
    FaceCrops,
    FaceCropsPlain,
    SceneFaces,
    View,
    close_view,
    frame_view,
    mine_hard_negatives,
    random_crop,
    upright_view,
    warp,
)

GREEN = np.array([0, 255, 0], np.uint8)
DOT68, DOT478 = 36, 33  # the same corner of the person's right eye
OTHER68, OTHER478 = 45, 263

Maker = Callable[..., object]
Samples = list[dict[str, np.ndarray]]

EVERY_VIEW = pytest.mark.parametrize(
    ("view", "size_px"), [(close_view, CROP_PX), (upright_view, 96), (frame_view, 200)]
)


@pytest.fixture(autouse=True)
def only_geometry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images keep their colours, the padding outside the photo is 77."""
    monkeypatch.setattr(face_samples, "degrade", lambda rng, image, backgrounds: image)
    monkeypatch.setattr(
        face_samples, "random_patch", lambda rng, photos, size: np.full((size, size, 3), 77, np.uint8)
    )


def labels_of(head: object, weight: np.ndarray | None = None) -> FaceLabels:
    return FaceLabels(
        landmarks=head.landmarks[None].astype(np.float32),
        landmarks_weight=np.ones((1, 68)) if weight is None else weight[None],
        mesh=head.mesh[None].astype(np.float32),
        mesh_weight=np.full((1, 478), 0.7),
        rotation=head.rotation[None],
        rotation_weight=np.array([2.0]),
        expression=unknown_expression(1),
    )


def samples(image: np.ndarray, labels: FaceLabels, count: int = 40, **options: object) -> Samples:
    torch.manual_seed(3)
    crops = FaceCrops([image], labels, [image], negatives=0, seed=1, **options)
    return [{key: value.numpy() for key, value in crops[0].items()} for _ in range(count)]


def dotted(head: object) -> np.ndarray:
    """Draw a grey image with a green dot at the person's right eye corner."""
    image = np.full((160, 160, 3), 60, np.uint8)
    x, y = head.landmarks[DOT68]
    grid = np.stack(np.meshgrid(np.arange(160), np.arange(160)), axis=2)
    share = np.exp(-((grid - (x, y)) ** 2).sum(axis=2) / (2 * 1.5**2))[..., None]
    return np.rint(image * (1 - share) + GREEN * share).astype(np.uint8)


def dot(crop: np.ndarray) -> np.ndarray:
    """(2,) where the crop (3, H, W) is green, crop units."""
    green = np.clip(crop[1].astype(float) - crop[0] - 20, 0, None)
    y, x = np.mgrid[: green.shape[0], : green.shape[1]]
    centre = np.array([(green * x).sum(), (green * y).sum()]) / green.sum()
    return (centre - (len(green) - 1) / 2) / len(green)


@EVERY_VIEW
def test_labels_follow_the_picture(make_head: Maker, view: View, size_px: int) -> None:
    head = make_head(15, -10, 5)
    mirrored = 0
    for sample in samples(dotted(head), labels_of(head), view=view, size_px=size_px):
        assert sample["crop"].shape == (3, size_px, size_px)
        found = dot(sample["crop"])
        places = sample["landmarks"][[DOT68, OTHER68]]
        error = np.linalg.norm(places - found, axis=1) * size_px
        assert error.min() < 0.7 and error.max() > 0.15 * size_px
        mirrored += bool(error.argmin())
        vertex = (DOT478, OTHER478)[error.argmin()]
        np.testing.assert_allclose(sample["mesh"][vertex, :2], found, atol=0.7 / size_px)
    assert 8 < mirrored < 32


@EVERY_VIEW
def test_rotation_fits_the_mesh(make_head: Maker, view: View, size_px: int) -> None:
    """After turn and mirror the mesh is still the canonical head in the labelled rotation."""
    head = make_head(30, 15, -10)
    canonical = topology.canonical_mm().astype(np.float64)
    for sample in samples(dotted(head), labels_of(head), 20, view=view, size_px=size_px):
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


@pytest.mark.parametrize("size_px", [CROP_PX, 48])
def test_box_and_weights(make_head: Maker, size_px: int) -> None:
    head = make_head(0, 0, 0)
    for sample in samples(dotted(head), labels_of(head), 5, size_px=size_px):
        np.testing.assert_allclose(sample["box"], face_box(sample["landmarks"]), atol=1e-5)
        assert (sample["face"], sample["rotation_weight"]) == (1, 2)
        assert (sample["mesh_weight"] == np.float32(0.7)).all()
        assert np.abs(sample["landmarks"]).max() < 0.6  # the crop holds the face


def test_the_size_changes_nothing_but_the_pixels(make_head: Maker) -> None:
    head = make_head(10, 5, 0)
    small, large = (samples(dotted(head), labels_of(head), 5, size_px=size_px) for size_px in (64, 160))
    for one, other in zip(small, large, strict=True):
        for name in ("box", "landmarks", "mesh", "rotation"):
            np.testing.assert_allclose(one[name], other[name], atol=1e-5)


@EVERY_VIEW
def test_plain_crops_never_change(make_head: Maker, view: View, size_px: int) -> None:
    head = make_head(10, 0, 0)
    crops = [
        FaceCropsPlain([dotted(head)] * 2, labels, [], negatives=0.9, seed=seed, view=view, size_px=size_px)
        for labels in [FaceLabels.concatenate([labels_of(head)] * 2)]
        for seed in (0, 0, 1)
    ]
    first = crops[0][0]
    for again in (crops[0][0], crops[1][0]):
        assert all(torch.equal(first[key], again[key]) for key in first)
    for other in (crops[0][1], crops[2][0]):
        assert not torch.equal(first["landmarks"], other["landmarks"])
    found = dot(first["crop"].numpy())  # never mirrored
    np.testing.assert_allclose(first["landmarks"][DOT68], found, atol=0.7 / size_px)


def turns(view: View, landmarks: np.ndarray, strength: float, size_px: int = CROP_PX) -> np.ndarray:
    """(300,) degrees that a view turns by; the maps agree with them."""
    told = []
    for seed in range(300):
        matrix, turn_deg = view(np.random.default_rng(seed), landmarks, strength, size_px)
        np.testing.assert_allclose(
            matrix[:, :2] / np.sqrt(np.linalg.det(matrix[:, :2])),
            rotation_from_angles(0, 0, turn_deg)[:2, :2],
            atol=1e-9,
        )
        told.append(turn_deg)
    return np.array(told)


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_close_view_turns_by_some_degrees(make_head: Maker, strength: float) -> None:
    found = turns(close_view, make_head(0, 0, 0).landmarks, strength)
    assert np.abs(found).max() <= 80
    assert found.std() == pytest.approx(22 * strength, rel=0.15)


def test_upright_view_does_not_turn(make_head: Maker) -> None:
    assert (turns(upright_view, make_head(0, 0, 20).landmarks, 1.0) == 0).all()


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_frame_view_turns_by_anything_up_to_90_degrees(make_head: Maker, strength: float) -> None:
    found = turns(frame_view, make_head(0, 0, 0).landmarks, strength)
    assert np.abs(found).max() <= 90 * strength
    assert found.min() < -86 * strength and found.max() > 86 * strength
    assert found.std() == pytest.approx(180 * strength / np.sqrt(12), rel=0.1)  # all alike
    assert (turns(frame_view, make_head(0, 0, 0).landmarks, 0.0) == 0).all()


@pytest.mark.parametrize(
    ("view", "scale"), [(close_view, 1.3), (upright_view, 1.3), (frame_view, FRAME_SCALE)]
)
@pytest.mark.parametrize("size_px", [128, 256])
def test_share_of_the_face(make_head: Maker, view: View, scale: float, size_px: int) -> None:
    landmarks = make_head(0, 0, 0).landmarks
    sides = []
    for seed in range(100):
        matrix, _ = view(np.random.default_rng(seed), landmarks, 1.0, size_px)
        inside = square(face_box(apply(matrix, landmarks)))
        sides.append(size_px / (inside[2] - inside[0]))
        assert np.abs((inside[:2] + inside[2:]) / 2 - (size_px - 1) / 2).max() < 0.15 * size_px
    assert np.median(sides) == pytest.approx(scale, rel=0.05)
    assert min(sides) > scale * 0.77 and max(sides) < scale * 1.36


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
    image = np.full((128, 90, 3), 200, np.uint8)
    crop = warp(image, matrix, patch.copy())
    assert (crop[:, :19] == 77).all() and (crop[:, 111:] == 77).all() and (crop[:, 21:109] == 200).all()
    alpha = np.full((128, 90, 1), 255, np.uint8)
    alpha[:, :30] = 0
    crop = warp(np.concatenate([image, alpha], axis=2), matrix, patch.copy())
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


def hiding(share: float) -> Augmentation:
    return Augmentation(hidden_share=share)


def test_hidden_parts_leave_the_labels(make_head: Maker) -> None:
    head, runs = make_head(10, 5, 0), []
    matrix = random_crop(np.random.default_rng(0), head.landmarks, 0.0)
    for share in (0.0, 1.0):
        crops = FaceCrops([dotted(head)], labels_of(head), [dotted(head)], augmentation=hiding(share))
        runs.append([crops._labelled(0, matrix, 0.0, np.random.default_rng(seed), 0.5) for seed in range(60)])
    plain = {float(sample["landmarks"].sum()): sample for sample in runs[0]}
    assert len(plain) == 2  # as it is and mirrored
    changed = 0
    for sample in runs[1]:
        same = plain[float(sample["landmarks"].sum())]
        assert all(torch.equal(sample[name], same[name]) for name in sample if name != "crop")
        changed += not torch.equal(sample["crop"], same["crop"])
    assert changed > 40  # the others got the colour they had


def test_plain_crops_may_hide_parts(make_head: Maker) -> None:
    head = make_head(0, 0, 0)
    crops = [
        FaceCropsPlain([dotted(head)] * 40, labels, [dotted(head)], augmentation=hiding(share))
        for labels in [FaceLabels.concatenate([labels_of(head)] * 40)]
        for share in (0.0, 1.0)
    ]
    pairs = [(crops[0][index], crops[1][index]) for index in range(40)]
    assert all(torch.equal(one["landmarks"], other["landmarks"]) for one, other in pairs)  # never mirrored
    assert sum(not torch.equal(one["crop"], other["crop"]) for one, other in pairs) > 25


def test_hidden_parts_of_negatives(make_head: Maker) -> None:
    head = make_head(0, 0, 0)
    crops = FaceCrops([dotted(head)], labels_of(head), [dotted(head)], augmentation=hiding(0.5))
    flat = [
        int(np.ptp(crops._negative(0, np.random.default_rng(seed))["crop"].numpy())) for seed in range(200)
    ]
    assert 60 < np.count_nonzero(flat) < 110  # the rest is 77 everywhere, or a repeated or mean 77


def test_some_negatives_are_faces_upside_down(make_head: Maker) -> None:
    head = make_head(0, 0, 0)
    crops = FaceCrops([dotted(head)], labels_of(head), [], augmentation=Augmentation(upside_down_share=0.5))
    chosen = [crops._negative(0, np.random.default_rng(seed)) for seed in range(100)]
    assert all(float(sample["face"]) == 0 for sample in chosen)
    faces = [dot(sample["crop"].numpy()) for sample in chosen if np.ptp(sample["crop"].numpy())]
    assert 30 < len(faces) < 70
    assert np.mean([y for _, y in faces]) > 0.05  # the eye that stands above the middle of an upright face


def test_half_of_the_photos_end_as_in_the_runtime(make_head: Maker) -> None:
    head = make_head(0, 0, 0)
    crops = FaceCrops([dotted(head)], labels_of(head), [dotted(head)], augmentation=hiding(0.5))
    outside = [crops._outside(np.random.default_rng(seed)) for seed in range(200)]
    assert 70 < sum((each == OUTSIDE).all() for each in outside) < 130
    plain = FaceCrops([dotted(head)], labels_of(head), [])
    assert all((plain._outside(np.random.default_rng(seed)) == 77).all() for seed in range(20))


def test_seeds_differ_and_repeat(make_head: Maker) -> None:
    head, runs = make_head(0, 0, 0), []
    for seed in (1, 1, 2):
        torch.manual_seed(9)
        crops = FaceCrops([dotted(head)], labels_of(head), [], seed=seed)
        runs.append(torch.stack([crops[0]["landmarks"] for _ in range(4)]))
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


SCENE_DOT = np.array([40, 255, 40])


def scene_pack(folder: Path, landmarks: np.ndarray) -> Path:
    """Write scenes of one face with a dot on point 30 and one face without points."""
    (folder / "scenes").mkdir(parents=True)
    photo = np.full((300, 400, 3), 90, np.uint8)
    x, y = landmarks[30].round().astype(int)
    cv2.circle(photo, (x, y), 4, SCENE_DOT.tolist(), -1)
    cv2.imwrite(str(folder / "scenes/a.png"), photo)
    faces = [
        {"landmarks68": landmarks.tolist(), "origin": "human"},
        {"box": [0, 0, 9, 9], "origin": "teacher"},
    ]
    entries = [{"file": "a.png", "split": split, "faces": faces} for split in ("train", "val")]
    (folder / "scenes/scenes.json").write_text(json.dumps(entries))
    return folder


def test_scene_points_lie_on_what_the_crop_shows(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    landmarks = rng.uniform((150, 90), (270, 210), (68, 2))
    data = scene_pack(tmp_path, landmarks)
    for seed in range(5):
        (sample,) = SceneFaces(data, "train", seed)
        crop = sample["crop"].permute(1, 2, 0).numpy()
        assert crop.shape == (128, 128, 3) and crop.dtype == np.uint8
        rows, columns = np.nonzero(np.abs(crop.astype(int) - SCENE_DOT).sum(axis=2) < 90)
        wanted = sample["landmarks"][30].numpy() * 128 + 63.5
        np.testing.assert_allclose((columns.mean(), rows.mean()), wanted, atol=0.8)


def test_scene_faces_are_the_same_every_time_and_different_by_seed(tmp_path: Path) -> None:
    data = scene_pack(tmp_path, np.random.default_rng(5).uniform(100, 200, (68, 2)))
    points = [SceneFaces(data, "val", seed)[0]["landmarks"].numpy() for seed in (1, 1, 2)]
    np.testing.assert_array_equal(points[0], points[1])
    assert np.abs(points[0] - points[2]).max() > 0.005


def test_mined_crops_are_written(training_pack: object, tmp_path: Path) -> None:
    file = tmp_path / "hard.npz"
    count = mine_hard_negatives(training_pack.data, weights.path("pnet"), weights.path("rnet"), file)
    with np.load(file) as arrays:
        assert arrays["crops"].shape == (count, CROP_PX, CROP_PX, 3) and arrays["crops"].dtype == np.uint8

"""Samples of the regions' networks: targets lie on what the crop shows, rare states are drawn as often."""

from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
import torch
from PIL import Image

from facegeom import FaceAnalyzer
from facegeom.geometry import topology
from facegeom.geometry.schemes import ARKIT52, SCHEMES
from facegeom.models.regions import CROP_PX, EYES, MOUTH, REGIONS, Region
from facegeom_lab.datasets.training.face_labels import FaceLabels, unknown_expression
from facegeom_lab.datasets.training.region_samples import (
    SHAPES,
    FirstLooks,
    Jitter,
    RegionCrops,
    RegionTargets,
    first_looks,
    sampling_frequency,
)
from facegeom_lab.measures.motion import lid_gap, mouth_gap
from facegeom_lab.synth.model import mirrored_names

SIDE = 400
STILL = np.zeros(2)


def mesh(opening_mm: float = 0.0) -> np.ndarray:
    """Return the mean head in the middle of an image, all lower lids moved down."""
    points = topology.canonical_mm().astype(np.float64)
    for eye in (0, 1):
        lower = [(144, 145, 153), topology.mirror()[[144, 145, 153]]][eye]
        points[np.asarray(lower), 1] += opening_mm
    return np.asarray(points + np.array([100.0, 80, 0])) * 2


def labels(meshes: list[np.ndarray]) -> FaceLabels:
    count = len(meshes)
    return FaceLabels(
        landmarks=np.full((count, 68, 2), 200, np.float32),
        landmarks_weight=np.full((count, 68), 0.5, np.float32),
        mesh=np.stack(meshes).astype(np.float32),
        mesh_weight=np.ones((count, 478)),
        rotation=np.tile(np.eye(3), (count, 1, 1)),
        rotation_weight=np.ones(count),
        expression=unknown_expression(count),
    )


def exact(table: FaceLabels) -> FirstLooks:
    """Return first looks that are right."""
    return FirstLooks(*(each[:, None] for each in (table.landmarks, table.mesh, table.rotation)))


def black() -> np.ndarray:
    return np.zeros((CROP_PX, CROP_PX, 3), np.uint8)


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.name)
@pytest.mark.parametrize(("turn_deg", "size"), [(0, 1.0), (35, 0.9), (-70, 1.2)])
@pytest.mark.parametrize("side", [0, 1])
def test_a_target_lies_on_the_dot_that_marks_its_point(
    region: Region, side: int, turn_deg: float, size: float
) -> None:
    face = mesh()
    mirrored = side == 1
    number = 7  # any point of the region
    part = side if region.paired else 0
    index = region.mesh_indices[part, number]
    if mirrored and not region.paired:
        index = topology.mirror()[index]
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    x, y = np.round(face[index, :2]).astype(int)
    image[y - 3 : y + 4, x - 3 : x + 4] = 255
    table = labels([face])
    targets = RegionTargets(region, table, exact(table))
    jitter = Jitter(turn_deg, size, np.array([0.05, -0.04]), mirrored)
    crop, first, points, weight, _ = targets.cut(image, 0, 0, part, jitter, black())
    np.testing.assert_allclose(first, points, atol=1e-6)
    rows, columns = np.nonzero(crop[..., 0] > 60)
    seen = (np.array([columns.mean(), rows.mean()]) - (CROP_PX - 1) / 2) / CROP_PX
    np.testing.assert_allclose(points[number], seen, atol=1.2 / CROP_PX)
    assert len(points) == len(weight) == region.mesh_indices.shape[1] + region.ibug68_indices.shape[1]


def test_rare_states_are_drawn_as_often_as_common_ones() -> None:
    meshes = np.stack([mesh()] * 900 + [mesh(4.0)] * 100)
    gap = lid_gap(meshes)
    assert gap[-1, 0] > gap[0, 0] + 0.1
    weights = sampling_frequency(EYES, labels(meshes), 1.0)
    assert weights.shape == (1000, 2)
    assert weights[:900].sum() == pytest.approx(weights[900:].sum())
    assert (sampling_frequency(EYES, labels(meshes), 0.0) == 1).all()


def test_the_mouths_states() -> None:
    shut, open_ = mesh(), mesh()
    open_[[87, 14, 317], 1] += 20
    assert (
        mouth_gap(np.stack([shut, open_]))[:, 0] == pytest.approx([0, 0], abs=1)
        and np.diff(mouth_gap(np.stack([shut, open_]))[:, 0]) > 0.1
    )
    assert sampling_frequency(MOUTH, labels([shut] * 50 + [open_] * 50), 1.0).shape == (100, 1)


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.name)
def test_batches(region: Region) -> None:
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 4), np.uint8)
    table = labels([mesh(), mesh(3.0)])
    weights = np.ones((2, 2 if region.paired else 1))
    torch.manual_seed(0)
    first, again = (
        next(
            iter(RegionCrops(region, [image] * 2, table, exact(table), weights, [image[..., :3]], 5, seed=3))
        )
        for _ in range(2)
    )
    count = region.mesh_indices.shape[1] + region.ibug68_indices.shape[1]
    assert first["crop"].shape == (5, 3, CROP_PX, CROP_PX) and first["crop"].dtype == torch.uint8
    assert first["first"].shape == first["points"].shape == (5, count, 2)
    assert first["weight"].shape == (5, count)
    assert torch.equal(first["crop"], again["crop"]) and torch.equal(first["points"], again["points"])


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.name)
@pytest.mark.parametrize("mirrored", [False, True])
def test_coefficients_change_sides_with_the_picture(region: Region, mirrored: bool) -> None:
    expression = np.arange(len(ARKIT52), dtype=np.float32)
    table = replace(labels([mesh()]), expression=expression[None])
    targets = RegionTargets(region, table, exact(table))
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    side = int(mirrored and region.paired)
    shapes = targets.cut(image, 0, 0, side, Jitter(mirrored=mirrored), black()).shapes
    names = [ARKIT52[int(each)] for each in shapes]
    if region.paired:
        assert {"eyeBlinkLeft" if mirrored else "eyeBlinkRight", "browInnerUp"} < set(names)
        assert not any(name.endswith("Right" if mirrored else "Left") for name in names)
    else:
        own = [ARKIT52.index(name) for name in SHAPES[region.name]]
        expected = mirrored_names()[own] if mirrored else own
        assert names == [ARKIT52[index] for index in expected]
        assert ("mouthLeft" in names) and names[SHAPES["mouth"].index("mouthLeft")] == (
            "mouthRight" if mirrored else "mouthLeft"
        )


def test_samples_of_weight_zero_are_never_drawn() -> None:
    images = [np.full((SIDE, SIDE, 3), level, np.uint8) for level in (0, 255)]
    table = labels([mesh(), mesh(3.0)])
    crops = RegionCrops(EYES, images, table, exact(table), np.array([[0.0, 0], [1, 1]]), [images[0]], 40)
    chance = np.diff(crops.chance, prepend=0)
    assert (chance[:2] == 0).all() and chance[2:] == pytest.approx([0.5, 0.5])


def test_first_looks_are_in_pixels_of_the_image() -> None:
    with Image.open(files("facegeom") / "data" / "astronaut.jpg") as photo:
        image = np.asarray(photo.convert("RGB"))
    found = FaceAnalyzer()(image)[0]
    table = replace(labels([found.mesh_px]), landmarks=found.landmarks_px[None].astype(np.float32))
    looks = first_looks([image], table, [image], views=3, strength=0.5)
    assert looks.mesh.shape == (1, 3, 478, 3) and looks.rotation.shape == (1, 3, 3, 3)
    eyes = np.linalg.norm(found.mesh_px[33, :2] - found.mesh_px[263, :2])
    outline = SCHEMES["mesh478"].regions["oval"]
    difference = looks.mesh[0] - found.mesh_px
    assert np.linalg.norm(difference[:, outline, :2], axis=-1).mean() < 0.08 * eyes
    turned = looks.rotation[0] @ found.rotation.T
    assert (np.rad2deg(np.arccos((np.trace(turned, axis1=1, axis2=2) - 1) / 2)) < 15).all()

"""RegionNets with networks of known outputs: which points they replace, and where they come to lie."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from facegeom.geometry import topology
from facegeom.geometry.rotation import rotation_from_angles, rotation_to_6d
from facegeom.geometry.schemes import IBUG68_MIRROR, IBUG68_REGIONS, SCHEMES
from facegeom.geometry.transforms import apply, invert
from facegeom.image.pyramid import Pyramid
from facegeom.models.engine import Engine
from facegeom.models.face import FacePredictions
from facegeom.models.regions import CROP_PX, EYES, FEATURES, MOUTH, REGIONS, Region, RegionNets

CROP = np.array([[100.0, 50, 400, 350]])  # of the face, pixels
MEAN_HEAD = topology.canonical_mm() / 200  # in crop units, upright


class FakeNet:
    """Predicts all points at a quarter right of the crop's middle; keeps crops and first looks."""

    batched = Engine.batched
    threads, device = 1, "cpu"

    def __init__(self, region: Region) -> None:
        self.count = region.mesh_indices.shape[1] + region.ibug68_indices.shape[1]
        self.crops: list[np.ndarray] = []
        self.first: list[np.ndarray] = []

    def __call__(self, crops: np.ndarray, first: np.ndarray) -> list[np.ndarray]:
        assert crops.shape[1:] == (CROP_PX, CROP_PX, 3) and crops.dtype == np.uint8
        assert first.shape == (len(crops), self.count, 2) and first.dtype == np.float32
        self.crops += list(crops)
        self.first += list(first)
        points = np.tile(np.float32([0.25, 0.125]), (len(crops), self.count, 1))
        features = np.zeros((len(crops), FEATURES // 3), np.float32)
        features[:, 0] = crops[:, 0, 0, 0]
        return [points, features]


def predictions(mesh: np.ndarray = MEAN_HEAD, count: int = 1) -> FacePredictions:
    """Return faces whose mesh is given, and whose 68 points lie in the middle."""
    one = FacePredictions.empty()
    shapes = {name: getattr(one, name).shape[1:] for name in one.__dataclass_fields__}
    parts = {name: np.zeros((count, *shape), np.float32) for name, shape in shapes.items()}
    parts |= {"mesh": np.repeat(mesh[None].astype(np.float32), count, axis=0)}
    parts |= {"rotation6d": np.repeat(rotation_to_6d(np.eye(3))[None].astype(np.float32), count, axis=0)}
    parts |= {name: np.repeat(CROP, count, axis=0) for name in ("crop_xyxy", "box_xyxy")}
    return FacePredictions(**parts)


def looked(
    images: list[Pyramid], faces: list[FacePredictions]
) -> tuple[list[FacePredictions], dict[str, FakeNet]]:
    """Return the faces after the closer look, and the networks that looked."""
    nets = {region.name: FakeNet(region) for region in REGIONS}
    return RegionNets(list(nets.values()))(images, faces)[0], nets


def frames_of(region: Region, mesh: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    return region.frames(mesh[None].astype(np.float64), rotation[None])[0]


def sides(frames: np.ndarray) -> np.ndarray:
    return np.linalg.norm(frames[:, :, 1], axis=-1)


def photo(seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (30, 34, 3), np.uint8)
    return Image.fromarray(pixels).resize((480, 420), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.name)
def test_points_are_the_outlines_their_surroundings_and_each_once(region: Region) -> None:
    regions = SCHEMES["mesh478"].regions
    right = region.mesh_indices[0].tolist()
    assert len(set(region.mesh_indices.ravel().tolist())) == region.mesh_indices.size
    assert {point for name in (*region.outlines, *region.others) for point in regions[name]} <= set(right)
    assert set(region.ibug68_indices[0]) == {
        point for name in region.ibug68 for point in IBUG68_REGIONS[name]
    }


def test_left_points_are_the_mirror_images_of_the_right_ones() -> None:
    assert (EYES.mesh_indices[1] == topology.mirror()[EYES.mesh_indices[0]]).all()
    assert (EYES.ibug68_indices[1] == IBUG68_MIRROR[EYES.ibug68_indices[0]]).all()
    assert set(MOUTH.mesh_indices[0]) == set(topology.mirror()[MOUTH.mesh_indices[0]])


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.name)
@pytest.mark.parametrize("yaw_deg", [0, 40, -60])
def test_crops_keep_their_size_when_the_head_turns(region: Region, yaw_deg: float) -> None:
    rotation = rotation_from_angles(yaw_deg, 0, 0)
    frames = [frames_of(region, MEAN_HEAD @ each.T, each) for each in (np.eye(3), rotation)]
    np.testing.assert_allclose(sides(frames[1]), sides(frames[0]), rtol=1e-5)


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.name)
@pytest.mark.parametrize("roll_deg", [0, 30, -100, 180])
def test_crops_are_upright_on_the_face_and_hold_the_regions_points(region: Region, roll_deg: float) -> None:
    rotation = rotation_from_angles(0, 0, roll_deg)
    mesh = MEAN_HEAD @ rotation.T
    for frame, indices, upright in zip(
        frames_of(region, mesh, rotation),
        region.mesh_indices,
        frames_of(region, MEAN_HEAD, np.eye(3)),
        strict=True,
    ):
        units = apply(invert(frame), mesh[indices, :2])
        assert (np.abs(units) < 0.5).all()
        np.testing.assert_allclose(units, apply(invert(upright), MEAN_HEAD[indices, :2]), atol=1e-5)


def test_a_mesh_without_extent_has_a_crop_too() -> None:
    after = looked([Pyramid(photo())], [predictions(np.zeros((478, 3)))])[0][0]
    assert np.isfinite(after.mesh).all() and np.isfinite(after.landmarks).all()


def test_a_head_seen_from_above_has_a_crop_too() -> None:
    rotation = rotation_from_angles(0, 90, 0)
    assert np.isfinite(frames_of(MOUTH, MEAN_HEAD @ rotation.T, rotation)).all()


def test_only_the_regions_points_are_replaced_and_depth_stays() -> None:
    before = predictions()
    after = looked([Pyramid(photo())], [before])[0][0]
    mesh = np.concatenate([region.mesh_indices.ravel() for region in REGIONS])
    ibug68 = np.concatenate([region.ibug68_indices.ravel() for region in REGIONS])
    others, others68 = np.setdiff1d(np.arange(478), mesh), np.setdiff1d(np.arange(68), ibug68)
    assert (after.mesh[:, others] == before.mesh[:, others]).all()
    assert (after.landmarks[:, others68] == before.landmarks[:, others68]).all()
    assert (after.mesh[..., 2] == before.mesh[..., 2]).all()
    for name in ("score", "crop_xyxy", "mesh_scale", "landmarks_scale"):
        assert (getattr(after, name) == getattr(before, name)).all()
    assert (before.mesh[0] == MEAN_HEAD).all()  # not written in place


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.name)
def test_points_are_carried_from_the_regions_crop_to_the_faces(region: Region) -> None:
    after = looked([Pyramid(photo())], [predictions()])[0][0]
    frames = frames_of(region, MEAN_HEAD, np.eye(3))
    for frame, indices, sign in zip(frames, region.mesh_indices, (1, -1), strict=False):
        side = sides(frame[None])[0]
        expected = frame[:, 2] + side * np.array([0.25 * sign, 0.125])
        np.testing.assert_allclose(
            after.mesh[0, indices, :2], np.tile(expected, (len(indices), 1)), atol=1e-5
        )


@pytest.mark.parametrize("region", REGIONS, ids=lambda region: region.name)
def test_the_network_is_told_the_points_of_the_first_look(region: Region) -> None:
    net = looked([Pyramid(photo())], [predictions()])[1][region.name]
    frames = frames_of(region, MEAN_HEAD, np.eye(3))
    for first, frame, indices in zip(net.first, frames, region.mesh_indices, strict=True):
        expected = apply(invert(frame), MEAN_HEAD[indices, :2].astype(np.float64))
        np.testing.assert_allclose(first[: len(indices)], expected, atol=1e-5)


def test_the_left_eye_is_seen_mirrored() -> None:
    width = 480
    eyes = looked([Pyramid(photo())], [predictions()])[1]["eyes"]
    crop = np.array([[width - 1 - 400.0, 50, width - 1 - 100.0, 350]])
    mirrored = MEAN_HEAD[topology.mirror()] * (-1, 1, 1)
    faces = replace(predictions(mirrored), crop_xyxy=crop)
    mirror = Pyramid(photo().transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    flipped = looked([mirror], [faces])[1]["eyes"]
    difference = np.abs(np.stack(eyes.crops).astype(int) - np.stack(flipped.crops[::-1]).astype(int))
    assert difference.max() <= 2


def test_faces_of_several_photos_share_a_call_and_keep_their_order() -> None:
    images, counts = [Pyramid(photo(seed)) for seed in range(3)], (2, 0, 1)
    faces = [predictions(count=count) for count in counts]
    together, nets = looked(images, faces)
    assert len(nets["mouth"].crops) == 3 and len(nets["eyes"].crops) == 6
    assert [len(each.score) for each in together] == list(counts)
    for image, own, joint in zip(images, faces, together, strict=True):
        assert (looked([image], [own])[0][0].mesh == joint.mesh).all()


def test_no_face_needs_no_call() -> None:
    after, nets = looked([Pyramid(photo())], [FacePredictions.empty()])
    assert len(after[0].score) == 0 and nets["eyes"].crops == []


def test_features_are_those_of_right_eye_left_eye_and_mouth() -> None:
    nets = [FakeNet(region) for region in REGIONS]
    image = Pyramid(Image.fromarray(np.random.default_rng(2).integers(0, 256, (400, 500, 3), np.uint8)))
    faces = [predictions(count=2), predictions(count=0), predictions()]
    _, features = RegionNets(nets)([image] * 3, faces)
    assert [each.shape for each in features] == [(2, FEATURES), (0, FEATURES), (1, FEATURES)]
    eyes, mouth = ([crop[0, 0, 0] for crop in net.crops] for net in nets)
    found = np.concatenate(features)[:, :: FEATURES // 3]
    np.testing.assert_array_equal(found, np.column_stack([eyes[::2], eyes[1::2], mouth]))


def test_no_face_has_no_features() -> None:
    image = Pyramid(Image.new("RGB", (64, 64)))
    faces, features = RegionNets([FakeNet(region) for region in REGIONS])([image], [predictions(count=0)])
    assert len(faces[0].score) == 0 and features[0].shape == (0, FEATURES)

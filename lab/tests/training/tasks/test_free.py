"""Trainings on free sources alone: labels, the jaw's outline, what they may start from, whole small runs."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from facegeom.errors import InputError
from facegeom.geometry import topology
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.models.engine import Engine
from facegeom.models.weights import path as weight_path
from facegeom_lab.datasets.records import FaceRecord
from facegeom_lab.datasets.training import free_faces
from facegeom_lab.datasets.training.free_faces import FreeFaces
from facegeom_lab.evaluation.run import save_recipe
from facegeom_lab.export import export
from facegeom_lab.quantization import free as free_quantization
from facegeom_lab.quantization.free import quantise_free
from facegeom_lab.training import recipes
from facegeom_lab.training.tasks import free
from facegeom_lab.training.tasks.expression import ExpressionRecipe
from facegeom_lab.training.tasks.face import FaceRecipe
from facegeom_lab.training.tasks.onepass import OnePassRecipe
from facegeom_lab.training.tasks.regions import RegionRecipe, region_of
from facegeom_lab.training.trainers import Inputs

SIDE = 120


def mesh(yaw_deg: float = 0.0, size_px: float = 60.0) -> np.ndarray:
    """Return the canonical mesh (478, 3) in pixels, in the middle of a square."""
    turned = topology.canonical_mm().astype(np.float64) @ rotation_from_angles(yaw_deg, 0, 0).T
    return turned * size_px / np.ptp(turned[:, 1]) + (SIDE / 2, SIDE / 2, 0)


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inputs:
    """Write free photos and one shard of rendered heads; their meshes are turned canonical ones."""
    rng = np.random.default_rng(0)
    data, labels, rendered = tmp_path / "data", tmp_path / "labels", tmp_path / "heads"
    names = {
        "portraits": [f"official_{number:06d}.jpg" for number in range(10, 22)],
        "people189": [f"london-neutral_{number:03d}_03.jpg" for number in range(1, 7)],
        "backgrounds": [f"flowers_{number:04d}.jpg" for number in range(12)],
    }
    for folder, files in names.items():
        (data / "free" / folder).mkdir(parents=True)
        for file in files:
            image = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
            cv2.imwrite(str(data / "free" / folder / file), image)
        lines = [f"{file},free,{file}" for file in files]
        (data / "free" / f"{folder}.csv").write_text("\n".join(["file,licence,source", *lines]))
    yaws = {folder: np.linspace(-20, 20, len(files)) for folder, files in names.items()}

    def records(file: Path, folder: Path) -> Sequence[FaceRecord]:
        return [
            FaceRecord(name=f"{each}#0", read=lambda: None, split="train", scheme="", mesh=mesh(yaw))
            for each, yaw in zip(names[file.stem], yaws[file.stem], strict=True)
        ]

    def human_points(data: Path) -> dict[str, np.ndarray]:
        """Return the points of the mesh nearest to the 68 of the canonical head."""
        canonical = topology.canonical_mm()
        nearest = [np.linalg.norm(canonical - point, axis=1).argmin() for point in topology.canonical68_mm()]
        named = zip(names["people189"], yaws["people189"], strict=True)
        return {name: mesh(yaw)[nearest, :2] + rng.normal(0, 0.1, (68, 2)) for name, yaw in named}

    monkeypatch.setattr(free_faces, "records", records)
    monkeypatch.setattr(free_faces.free, "human_points", human_points)
    monkeypatch.setattr(free, "read_probes", lambda _: [])
    monkeypatch.setattr(free, "PROFILED", 6)
    rendered.mkdir()
    _write_shard(rendered / "synth_0000.npz", rng)
    return Inputs(data, tmp_path / "run", labels=labels, rendered=rendered, workers=0)


def _write_shard(file: Path, rng: np.random.Generator) -> None:
    origin, count = np.array([0.0, 0, 6000]), 4  # far away: nearly a parallel projection
    np.savez(
        file,
        images=rng.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8),
        mesh_mm=np.repeat(topology.canonical_mm()[None] + origin, count, axis=0),
        rotation=np.repeat(np.eye(3)[None], count, axis=0),
        translation=np.repeat(origin[None], count, axis=0),
        fov_deg=np.full(count, 4.0),
    )


def test_labels_of_photos_and_heads_agree(inputs: Inputs) -> None:
    """The same head gives the same points, whoever made its mesh."""
    faces = FreeFaces(inputs.data, inputs.labels)
    images, table = faces.photos("train")
    assert len(images) == len(table) == 16  # of 18 people 2 are held out
    human = table.landmarks_weight[:, 0] == 1
    assert human.sum() == 6
    drawn, exact = faces.rendered(sorted(inputs.rendered.glob("*.npz")))
    assert len(drawn) == 4 and exact.mesh.shape == (4, 478, 3)
    shape = [points - points.mean(axis=0) for points in (exact.landmarks[0], faces.to68(mesh()[None])[0])]
    scale = np.linalg.norm(shape[1]) / np.linalg.norm(shape[0])
    np.testing.assert_allclose(scale * shape[0], shape[1], atol=1)


def test_the_jaw_follows_the_outline(inputs: Inputs) -> None:
    to68 = FreeFaces(inputs.data, inputs.labels).to68
    frontal, turned = (to68(mesh(yaw)[None])[0] for yaw in (0.0, 60.0))
    plain = [to68.linear.apply(mesh(yaw)[..., :2]) for yaw in (0.0, 60.0)]
    np.testing.assert_allclose(frontal[17:], plain[0][17:])
    np.testing.assert_allclose(turned[17:], plain[1][17:])
    beyond = (turned - plain[1])[:17] @ np.array([1.0, 0])
    assert (np.abs(beyond) > 1).sum() >= 4  # the far cheek, not the bone behind it, is marked


def test_profiled_portraits(inputs: Inputs) -> None:
    images, table = FreeFaces(inputs.data, inputs.labels).profiled(12, 0)
    assert len(images) == 12 and images[0].shape == (176, 176, 4)
    yaw = np.abs(np.rad2deg(np.arcsin(table.rotation[:, 2, 0])))
    assert (yaw > 10).all() and (yaw < 30).any() and (yaw > 45).any()


def test_samples_and_tiles_keep_their_shares(inputs: Inputs) -> None:
    """However many heads are rendered, photos of people are not outnumbered."""
    shards = sorted(inputs.rendered.glob("*.npz"))
    for _ in range(2):  # four heads, then eight
        data = free.FreeFaceData(recipes.load(FaceRecipe, "face-free"), inputs)
        data.setup("fit")
        images, table, weights = data.faces_of_epoch()
        heads = 4 * len(list(inputs.rendered.glob("*.npz")))
        assert len(images) == len(table) == len(weights)
        assert sum(weights[-heads:]) == pytest.approx(free.RENDERED_SHARE * sum(weights))
        shutil.copy(shards[0], inputs.rendered / "synth_0001.npz")
    tiles = free.load_free_tiles(FreeFaces(inputs.data, inputs.labels), shards, 0)
    assert len(tiles) == 4 + 12  # six turned portraits and as many as they are


def test_a_start_must_be_free(inputs: Inputs, tmp_path: Path) -> None:
    free.require_free(None)
    for name, fine in (("face", False), ("face-free", True)):
        run = tmp_path / name
        run.mkdir()
        kind = recipes.kind(name)
        save_recipe(run, name, kind, recipes.load(FaceRecipe, name))
        (run / "last.ckpt").write_bytes(b"")
        if fine:
            free.require_free(run / "last.ckpt")
        else:
            with pytest.raises(InputError, match=r"not known to be free"):
                free.require_free(run / "last.ckpt")
    for unknown in (weight_path("face"), tmp_path / "other.ckpt"):
        with pytest.raises(InputError, match=r"not known to be free"):
            free.train(recipes.load(FaceRecipe, "face-free"), replace(inputs, start=unknown))


def test_a_refit_to_human_annotations_is_refused(inputs: Inputs) -> None:
    with pytest.raises(InputError, match="landmarks_rounds: expected 0"):
        free.train(recipes.load(FaceRecipe, "face-free", landmarks_rounds=1), inputs)


@pytest.mark.slow
def test_the_face_network_is_trained_and_exported(inputs: Inputs, tmp_path: Path) -> None:
    small = {"batch": 4, "samples_per_epoch": 8, "warmup_steps": 1, "ema_decay": 0.5, "confidence_rounds": 1}
    final = free.train(recipes.load(FaceRecipe, "face-free", steps=3, **small), inputs)
    network = Engine(export("face", final, tmp_path))
    assert network(np.zeros((1, 128, 128, 3), np.uint8))[3].shape == (1, 68, 2)


@pytest.mark.slow
def test_the_detector_is_trained_and_exported(inputs: Inputs, tmp_path: Path) -> None:
    recipe = recipes.load(OnePassRecipe, "onepass-free", steps=2, batch=2, size_px=64, samples_per_epoch=4)
    final = free.train(replace(recipe, largest_px=60), inputs)
    network = Engine(export("onepass", final, tmp_path))
    assert network(np.zeros((1, 64, 64, 3), np.uint8))[0].shape == (1, 8, 8)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["eyes-free", "mouth-free"])
def test_the_networks_of_regions_are_trained_and_exported(name: str, inputs: Inputs, tmp_path: Path) -> None:
    small = {"batch": 4, "steps": 2, "steps_per_epoch": 2, "warmup_steps": 1, "ema_decay": 0.5, "views": 1}
    final = free.train(recipes.load(RegionRecipe, name, **small), inputs)
    assert export(name, final, tmp_path) == tmp_path / f"{name}.onnx"
    region = region_of(name.removesuffix("-free"))
    points = region.mesh_indices.shape[1] + region.ibug68_indices.shape[1]
    network = Engine(tmp_path / f"{name}.onnx")
    first = np.zeros((1, points, 2), np.float32)
    assert network(np.zeros((1, 64, 64, 3), np.uint8), first=first)[0].shape == (1, points, 2)


def test_portraits_are_not_outnumbered_among_samples_of_regions(inputs: Inputs) -> None:
    data = free.FreeRegionData(recipes.load(RegionRecipe, "eyes-free"), inputs)
    images, table, often = data.training_faces()
    assert len(images) == len(table) == len(often) == 16 + 6 + 4
    shares = [part.sum() for part in np.split(often, [16, 22])]
    np.testing.assert_allclose(shares, free.REGION_SHARES)
    with pytest.raises(InputError, match="give --rendered"):
        free.FreeRegionData(data.recipe, replace(inputs, rendered=None)).training_faces()


def test_the_expression_network_asks_for_samples(inputs: Inputs) -> None:
    with pytest.raises(InputError, match="make them by `facegeom lab expressions`"):
        free.train(recipes.load(ExpressionRecipe, "expression-free"), inputs)


def test_what_calibrates_eight_bits(inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_quantization, "CALIBRATION", 4)
    faces, shards = FreeFaces(inputs.data, inputs.labels), sorted(inputs.rendered.glob("*.npz"))
    assert free_quantization.face_crops(faces, shards).shape == (4, 128, 128, 3)
    with pytest.raises(InputError, match="expected one of face-free, onepass-free, got 'face'"):
        quantise_free("face", inputs.data, inputs.labels, inputs.rendered, tmp_path / "a.onnx", tmp_path)


class Blind:
    """An analyzer that always finds the same boxes."""

    def __init__(self, faces: np.ndarray) -> None:
        self.faces, self.detector = faces, SimpleNamespace(fusion=None)

    def __call__(self, image: np.ndarray) -> SimpleNamespace:
        return SimpleNamespace(box_xyxy=self.faces)


def test_faces_found_and_false_boxes_are_counted() -> None:
    truth = np.full((32, 4), np.nan)
    truth[0], truth[1] = (10, 10, 60, 60), (100, 100, 160, 160)
    scene = {
        "image": torch.zeros(3, 384, 384, dtype=torch.uint8),
        "boxes": torch.from_numpy(truth),
        "sure": torch.arange(32) < 2,
    }
    found = np.array([[12.0, 10, 60, 58], [300, 300, 340, 340]])
    assert free_quantization.matches(Blind(found), scene) == (1, 2, 1)
    assert free_quantization.matches(Blind(np.zeros((0, 4))), scene) == (0, 2, 0)


def test_offsets_are_compared(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SCENES", 2), ("OFFSETS", (-1.0, 0.0)), ("SCENE_PX", 64)):
        monkeypatch.setattr(free_quantization, name, value)
    analyzer = NoFaces()
    table = free_quantization.fusion_table(analyzer, inputs.data, inputs.labels, inputs.rendered)
    assert [row[0] for row in table.rows] == [-1.0, 0.0]
    assert analyzer.detector.fusion.offset == 0.0


class NoFaces(Blind):
    """An analyzer that finds nothing; its results have a length."""

    def __init__(self) -> None:
        super().__init__(np.zeros((0, 4)))

    def __call__(self, image: np.ndarray) -> "Nothing":
        return Nothing()


class Nothing:
    """A result without faces."""

    box_xyxy = np.zeros((0, 4))

    def __len__(self) -> int:
        return 0

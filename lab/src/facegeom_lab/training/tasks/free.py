"""Trainings on free sources alone, from random weights: recipes whose names end with ``-free``.

Networks, losses and samples are those of the modules beside this one; the photos are those of
:mod:`facegeom_lab.datasets.training.free_faces`.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import lightning as L
import numpy as np

from facegeom.errors import InputError
from facegeom.geometry.boxes import face_box
from facegeom.models.weights import FREE, manifest
from facegeom_lab.datasets.published.pack import free_background_files, read_images
from facegeom_lab.datasets.training.augment import dim
from facegeom_lab.datasets.training.detection import FRAMED, SPOILED, DetectionImages
from facegeom_lab.datasets.training.detection_photos import PhotoPyramid, masked
from facegeom_lab.datasets.training.face_labels import FaceLabels
from facegeom_lab.datasets.training.face_samples import Augmentation, FaceCrops, FaceCropsPlain, upright_view
from facegeom_lab.datasets.training.free_faces import FreeFaces, boxed
from facegeom_lab.evaluation.run import RECIPE, read_recipe
from facegeom_lab.synth.lights import read_probes
from facegeom_lab.training.tasks import expression, onepass
from facegeom_lab.training.tasks.detector import fit
from facegeom_lab.training.tasks.expression import ExpressionRecipe
from facegeom_lab.training.tasks.face import FaceData, FaceRecipe, blended, fit_face, save_final
from facegeom_lab.training.tasks.last_layer import fit_scales
from facegeom_lab.training.tasks.onepass import OnePassRecipe, OnePassTask
from facegeom_lab.training.tasks.regions import RegionData, RegionRecipe, fit_region
from facegeom_lab.training.trainers import Inputs

KINDS = ("face-free", "onepass-free", "region-free", "expression-free")

PROFILED = 2400
"""Portraits turned in 3D."""

WEIGHTS = {"photo": 4.0, "human": 6.0, "profiled": 1.2}
"""How often a photo is drawn, by its origin."""

RENDERED_SHARE = 0.4
"""Of all samples; however many heads there are."""

REGION_SHARES = (0.3, 0.15, 0.55)
"""Of portraits, portraits turned in 3D and rendered heads among the samples of eyes and mouths."""

DIM_TILES, LEAST_LIGHT = 0.3, 0.08
"""Of the detector's images in little light, and of its close-ups, which are not darker than this: official
portraits are all well lit."""

TEST_HEADS = "test"
"""Folder of held-out people beside the rendered heads."""


def require_free(start: Path | None) -> None:
    """Check that a training may start from a file: one of a free run, or a free network that ships.

    Raises:
        InputError: it has seen other data.
    """
    if start is None:
        return
    if start.suffix == ".onnx":
        known = any(start.resolve() in entry.paths for entry in manifest().values() if entry.family == FREE)
    else:
        recipe = start.parent / RECIPE
        known = recipe.is_file() and read_recipe(start.parent).get("kind") in KINDS
    if not known:
        raise InputError(
            f"a free network starts from random weights or from a free one; {start} is not known to be free"
        )


Recipe = FaceRecipe | OnePassRecipe | RegionRecipe | ExpressionRecipe


def train(recipe: Recipe, inputs: Inputs) -> Path:
    """Train or resume the free network of the recipe; ``inputs.labels`` is the folder of the labels' files.

    Raises:
        InputError: the weights to start from are not free, or data is missing.
    """
    require_free(inputs.start)
    match recipe:
        case FaceRecipe():
            return _train_face(recipe, inputs)
        case OnePassRecipe():
            return _train_onepass(recipe, inputs)
        case RegionRecipe():
            return fit_region(recipe, inputs, FreeRegionData(recipe, inputs))
    return expression.train(recipe, inputs)


class FreeFaceData(FaceData):
    """Free portraits, the same turned in 3D, and those rendered heads that exist when an epoch begins."""

    def setup(self, stage: str) -> None:
        """Read the data."""
        self.faces = FreeFaces(self.data, self.labels)
        images, table = self.faces.photos("train")
        weights = np.where(table.landmarks_weight[:, 0] == 1, WEIGHTS["human"], WEIGHTS["photo"])
        turned, profiled = self.faces.profiled(PROFILED, self.recipe.seed)
        self.images, self.table = images + turned, FaceLabels.concatenate([table, profiled])
        self.weights = [*weights.tolist(), *[WEIGHTS["profiled"]] * PROFILED]
        self.photos = read_images(free_background_files(self.data, "train"))
        self.val = self._held_out()
        self.drawn: list[np.ndarray] = []
        self.exact: list[FaceLabels] = []
        self.read: set[Path] = set()

    def _held_out(self) -> FaceCropsPlain:
        images, table = self.faces.photos("val")
        if shards := sorted((self.rendered / TEST_HEADS).glob("synth_*.npz")) if self.rendered else []:
            drawn, exact = self.faces.rendered(shards)
            images, table = images + drawn, FaceLabels.concatenate([table, exact])
        return FaceCropsPlain(images, table, self.photos, view=upright_view)

    def faces_of_epoch(self) -> tuple[list[np.ndarray], FaceLabels, list[float]]:
        """Return images, labels and how often each is drawn."""
        for shard in sorted(self.rendered.glob("synth_*.npz")) if self.rendered else []:
            if shard not in self.read:
                drawn, exact = self.faces.rendered([shard])
                self.drawn, self.exact = self.drawn + drawn, [*self.exact, exact]
                self.read.add(shard)
        rendered = sum(self.weights) * RENDERED_SHARE / (1 - RENDERED_SHARE) / max(1, len(self.drawn))
        weights = self.weights + [rendered] * len(self.drawn)
        return self.images + self.drawn, FaceLabels.concatenate([self.table, *self.exact]), weights


class FreeRegionData(RegionData):
    """Crops of a region from free portraits, the same turned in 3D, and rendered heads."""

    weights_set = FREE

    def __init__(self, recipe: RegionRecipe, inputs: Inputs) -> None:
        super().__init__(recipe, inputs)
        self.faces = FreeFaces(inputs.data, inputs.labels)

    def backgrounds(self) -> list[np.ndarray]:
        """Return photos without a face."""
        return read_images(free_background_files(self.inputs.data, "train"))

    def training_faces(self) -> tuple[list[np.ndarray], FaceLabels, np.ndarray]:
        """Return images, labels, and how often (N, S) each side of them is drawn."""
        if not (shards := self.inputs.heads):
            raise InputError("expected heads of `facegeom lab synth --free --motions`; give --rendered")
        turned = self.faces.profiled(PROFILED, self.recipe.seed)
        parts = (self.faces.photos("train"), turned, self.faces.rendered(shards))
        often = [self.frequency(table) for _, table in parts]
        often = [share * each / each.sum() for share, each in zip(REGION_SHARES, often, strict=True)]
        images = [image for part, _ in parts for image in part]
        return images, FaceLabels.concatenate([table for _, table in parts]), np.concatenate(often)

    def validation_faces(self) -> tuple[list[np.ndarray], FaceLabels]:
        """Return portraits of people that training does not see."""
        return self.faces.photos("val")


def _train_face(recipe: FaceRecipe, inputs: Inputs) -> Path:
    if recipe.landmarks_rounds:
        raise InputError(f"landmarks_rounds: expected 0 for a free network, got {recipe.landmarks_rounds}")
    data = FreeFaceData(recipe, inputs)
    fit_face(recipe, inputs, data)
    return refit(recipe, inputs, data)


def refit(recipe: FaceRecipe, inputs: Inputs, data: FreeFaceData) -> Path:
    """Blend and fit the expected errors as for the face network: ``out/final.ckpt``.

    The errors are those on all photos and on as many rendered heads. The points stay as trained: human
    annotations of free photos are of frontal faces, and refitted to them alone, turned heads suffer.
    """
    net = blended(recipe, inputs, data.faces.to68.linear)
    images, table = data.images, data.table
    if data.exact:
        part = slice(0, len(data.images))
        exact = FaceLabels.concatenate(data.exact)
        chosen = {each.name: getattr(exact, each.name)[part] for each in fields(FaceLabels)}
        images, table = images + data.drawn[part], FaceLabels.concatenate([table, FaceLabels(**chosen)])
    mild = Augmentation(recipe.mild_strength, hidden_share=recipe.hidden_share)
    crops = FaceCrops(images, table, data.photos, negatives=0, seed=recipe.seed, augmentation=mild)
    fit_scales(net, crops, np.arange(len(images)), recipe.confidence_rounds, inputs.workers)
    return save_final(net, inputs.out)


def _train_onepass(recipe: OnePassRecipe, inputs: Inputs) -> Path:
    L.seed_everything(recipe.seed, workers=True)
    faces = FreeFaces(inputs.data, inputs.labels)
    shards = inputs.heads
    images = DetectionImages(
        [PhotoPyramid.build(image, box) for image, box in boxed(*faces.photos("train"))],
        load_free_empty(inputs),
        load_free_tiles(faces, shards, recipe.seed),
        (recipe.smallest_px, recipe.largest_px),
        size_px=recipe.size_px,
        length=recipe.samples_per_epoch,
        framed=FRAMED,
        spoiled=SPOILED,
    )
    last = fit(OnePassTask(recipe, inputs.start), images, recipe.batch, inputs.out, inputs.workers)
    return onepass.blended(last, inputs, recipe.start_share)


def load_free_empty(inputs: Inputs) -> list[PhotoPyramid]:
    """Load what has no face: groceries, flowers, light probes, and the crops of ``inputs.hard_negatives``."""
    photos = read_images(free_background_files(inputs.data, "train"))
    for probe in read_probes(inputs.data / "free" / "hdri"):
        level = np.clip(probe.panorama / (2.5 * probe.panorama.mean()), 0, 1) ** (1 / 2.2)
        photos += [(255 * level).astype(np.uint8)] * 8
    if inputs.hard_negatives:
        photos += list(np.load(inputs.hard_negatives)["crops"])
    return [PhotoPyramid.build(photo, np.zeros((0, 4))) for photo in photos]


def load_free_tiles(faces: FreeFaces, shards: list[Path], seed: int) -> list[PhotoPyramid]:
    """Load close-ups of one face each, some with a drawn mask, as many photos as rendered heads.

    The photos are portraits, half of them turned in 3D; they are listed again and again to be as many.
    """
    rng = np.random.default_rng(seed)

    def tile(image: np.ndarray, points: np.ndarray) -> PhotoPyramid:
        if rng.random() < DIM_TILES:
            image = dim(rng, image, LEAST_LIGHT)
        return PhotoPyramid.build(masked(rng, image, points), face_box(points.astype(np.float64)))

    images, table = faces.rendered(shards)
    rendered = [tile(*each) for each in zip(images, table.landmarks, strict=True)]
    turned, table = faces.profiled(PROFILED, seed)
    straight = faces.close_ups()
    photos = [tile(*each) for each in zip(turned, table.landmarks, strict=True)]
    portraits = [tile(*straight[index % len(straight)]) for index in range(len(photos))]
    photos = [each for pair in zip(photos, portraits, strict=True) for each in pair]
    return rendered + [photos[index % len(photos)] for index in range(max(len(photos), len(rendered)))]

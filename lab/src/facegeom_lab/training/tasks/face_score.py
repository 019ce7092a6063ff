"""Training of the face network's score: ``facegeom lab train face-score``.

The training of the whole network sees faces with points; the small, masked and turned faces of crowds have
none. Here the branch of the score learns from what the detector takes for faces, and the rest of the network
stays as it is, to the bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from facegeom.errors import InputError
from facegeom_lab.datasets.published.pack import background_files, read_images
from facegeom_lab.datasets.training.face_candidates import FaceCandidates
from facegeom_lab.datasets.training.face_labels import real_faces, synthetic_faces
from facegeom_lab.datasets.training.face_samples import Augmentation, FaceCrops
from facegeom_lab.networks.checkpoint import network_from_checkpoint
from facegeom_lab.networks.face import FaceNet
from facegeom_lab.training import loop
from facegeom_lab.training.tasks.face import save_final
from facegeom_lab.training.trainers import Inputs


@dataclass(frozen=True)
class FaceScoreRecipe:
    """Settings of the training; see ``recipes/face-score.yaml``."""

    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    candidates_weight: float
    negatives: float
    hidden_share: float
    upside_down_share: float
    far_share: float
    seed: int


@dataclass(frozen=True)
class Judged:
    """What the branch learns from.

    Attributes:
        maps: (N, 128, 8, 8) float16, of :meth:`facegeom_lab.networks.face.FaceNet.maps`.
        face: (N,) 1 or 0.
        weight: (N,) in the loss, with a sum of 1.
    """

    maps: torch.Tensor
    face: torch.Tensor
    weight: torch.Tensor


def train(recipe: FaceScoreRecipe, inputs: Inputs) -> Path:
    """Train the branch of the network in ``inputs.start``: ``out/final.ckpt``.

    Raises:
        InputError: there is no ``start``.
    """
    if inputs.start is None:
        raise InputError("face-score trains the score of a network that exists; give it with --start")
    L.seed_everything(recipe.seed, workers=True)
    net = network_from_checkpoint(inputs.start, FaceNet())
    parts, weights = _views(recipe, inputs)
    fit_score(net, seen(net, parts, weights, inputs.workers), recipe)
    return save_final(net, inputs.out)


def _views(recipe: FaceScoreRecipe, inputs: Inputs) -> tuple[list[Dataset], list[float]]:
    """Return the detector's candidates, real faces and rendered ones, if any, and their weights."""
    photos = read_images(background_files(inputs.data, "train"))
    augmentation = Augmentation(
        hidden_share=recipe.hidden_share,
        upside_down_share=recipe.upside_down_share,
        far_share=recipe.far_share,
    )
    options: dict[str, Any] = {
        "negatives": recipe.negatives,
        "seed": recipe.seed,
        "augmentation": augmentation,
    }
    images, table = real_faces(inputs.data, inputs.labels, "train")
    parts: list[Dataset] = [FaceCrops(images, table, photos, **options)]
    drawn, exact = synthetic_faces(inputs.rendered)
    if exact is not None:
        parts.append(FaceCrops(drawn, exact, photos, **options))
    rest = (1 - recipe.candidates_weight) / len(parts)
    return [FaceCandidates(inputs.data), *parts], [recipe.candidates_weight, *(rest for _ in parts)]


@torch.no_grad()
def seen(net: FaceNet, parts: Sequence[Dataset], weights: Sequence[float], workers: int) -> Judged:
    """Compute the maps of all crops; a part's crops share its weight."""
    maps: list[torch.Tensor] = []
    faces: list[torch.Tensor] = []
    shares: list[torch.Tensor] = []
    for crops, weight in tqdm(list(zip(parts, weights, strict=True)), desc="maps", unit="part"):
        before = len(faces)
        for batch in DataLoader(crops, 128, num_workers=workers):
            maps.append(net.maps(batch["crop"].float()).half())
            faces.append(batch["face"])
        count = sum(map(len, faces[before:]))
        shares.append(torch.full((count,), weight / count))
    return Judged(torch.cat(maps), torch.cat(faces), torch.cat(shares))


def fit_score(net: FaceNet, data: Judged, recipe: FaceScoreRecipe) -> None:
    """Train the branch of the score in place; the rest of the network stays."""
    net.judge.train()
    optimizer = torch.optim.AdamW(
        net.judge.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    count, size = len(data.face), min(recipe.batch, len(data.face))
    schedule = loop.cosine_schedule(optimizer, recipe.epochs * (count // size), warmup=50)
    for epoch in range(recipe.epochs):
        progress = tqdm(loop.shuffled_batches(count, size), desc=f"epoch {epoch}", unit="batch")
        for rows in progress:
            logit = net.score_logit(data.maps[rows].float())
            weight = data.weight[rows] * count
            loss = F.binary_cross_entropy_with_logits(logit, data.face[rows], weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            progress.set_postfix(loss=f"{float(loss.detach()):.3f}")
    net.judge.eval()

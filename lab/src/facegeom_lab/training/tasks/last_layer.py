"""Refit of the face network's last layer at the end of its training.

1. Blend the 68 points with those that follow from the mesh, which has learned from many more faces.
2. Fit the 68 points to human annotations on images that are not mirrored: annotations have a sideways bias,
   which training with mirror images averages out.
3. Fit the expected errors to the finished network's errors on faces with human annotations: during training
   the errors shrink and the predicted scales lag behind.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset
from tqdm import tqdm

from facegeom_lab.networks.face import LANDMARKS, MESH, FaceNet
from facegeom_lab.teachers.linear_map import LinearMap
from facegeom_lab.training.loop import cosine_schedule, shuffled_batches
from facegeom_lab.training.losses import scale_nll

SCALES = LANDMARKS + MESH
RIDGE = 2.0
"""Ridge penalty for standardised features; 1 to 16 all improve on none on held-out faces."""

SPREAD_FLOOR = 1e-6
DISTANCE_FLOOR = 1e-4  # crop units


@torch.no_grad()
def blend_landmarks(net: FaceNet, linear_map: LinearMap, fraction: float) -> None:
    """Blend the 68 points in place: ``fraction`` from the mesh by the linear map, the rest from their rows.

    Both are linear in the features, so the rows of the last layer are blended and inference costs no more.
    """
    ends = np.cumsum(net.sizes)
    own, mesh = slice(ends[1], ends[2]), slice(ends[2], ends[3])
    for parameter in (net.answer.weight, net.answer.bias):
        rows = parameter[mesh].reshape(MESH, 3, -1)[:, :2].permute(2, 0, 1)
        mapped = torch.from_numpy(linear_map.apply(rows.numpy())).permute(1, 2, 0).reshape(LANDMARKS * 2, -1)
        parameter[own] = (
            fraction * mapped.reshape(parameter[own].shape).float() + (1 - fraction) * parameter[own]
        )


def fit_landmarks(net: FaceNet, views: Sequence[Dataset], workers: int) -> None:
    """Correct the rows of the 68 points in place by a ridge regression of their errors.

    Args:
        net: trained network.
        views: crops of faces with human annotations, not mirrored.
        workers: processes that prepare samples.
    """
    net.eval()
    parts = []
    for crops in tqdm(views, desc="points", unit="view"):
        parts += _residuals(net, DataLoader(crops, 128, num_workers=workers))
    features, residual = (torch.cat(column).double() for column in zip(*parts, strict=True))
    mean, spread = features.mean(dim=0), features.std(dim=0) + SPREAD_FLOOR
    standard = (features - mean) / spread
    gram = standard.T @ standard / len(standard) + RIDGE * torch.eye(len(mean), dtype=torch.float64)
    rows = torch.linalg.solve(gram, standard.T @ residual / len(standard)).T / spread
    own = slice(sum(net.sizes[:2]), sum(net.sizes[:3]))
    with torch.no_grad():
        net.answer.weight[own] += rows.float()
        net.answer.bias[own] += (residual.mean(dim=0) - rows @ mean).float()


@torch.no_grad()
def _residuals(net: FaceNet, batches: DataLoader) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield features (N, 256), and annotated minus predicted points (N, 136) in crop units."""
    for batch in batches:
        features = net.features(net.maps(batch["crop"].float()))
        yield features, (batch["landmarks"] - net.outputs(features)["landmarks"]).flatten(1)


def fit_scales(net: FaceNet, crops: Dataset, rows: np.ndarray, rounds: int, workers: int) -> None:
    """Fit the scales' rows of the last layer in place.

    Args:
        net: trained network.
        crops: samples as in training.
        rows: indices of the samples to use, faces with human annotations.
        rounds: augmented views of each sample.
        workers: processes that prepare samples.
    """
    net.eval()
    loader = DataLoader(Subset(crops, np.tile(rows, rounds).tolist()), 128, num_workers=workers)
    parts = list(_errors(net, tqdm(loader, desc="errors", unit="batch")))
    features, distance, weight = (torch.cat(column) for column in zip(*parts, strict=True))
    head = nn.Linear(features.shape[1], SCALES)
    head.load_state_dict({"weight": net.answer.weight[-SCALES:], "bias": net.answer.bias[-SCALES:]})
    _fit(head, features, distance.clamp(min=DISTANCE_FLOOR), weight)
    with torch.no_grad():
        net.answer.weight[-SCALES:] = head.weight
        net.answer.bias[-SCALES:] = head.bias


@torch.no_grad()
def _errors(net: FaceNet, batches: tqdm) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Yield features (N, 256), 2D errors (N, 546) in crop units and their weights (N, 546)."""
    for batch in batches:
        features = net.features(net.maps(batch["crop"].float()))
        predicted = net.outputs(features)
        distance = [
            torch.linalg.norm((predicted[name] - batch[name])[..., :2], dim=2)
            for name in ("landmarks", "mesh")
        ]
        weight = [batch["landmarks_weight"], batch["mesh_weight"]]
        face = batch["face"][:, None]
        yield features, torch.cat(distance, dim=1), torch.cat(weight, dim=1) * face


def _fit(head: nn.Linear, features: torch.Tensor, distance: torch.Tensor, weight: torch.Tensor) -> None:
    optimizer = torch.optim.AdamW(head.parameters(), 2e-3, weight_decay=0.05)
    epochs, size = 30, min(256, len(features))
    schedule = cosine_schedule(optimizer, epochs * (len(features) // size))
    for _ in range(epochs):
        for rows in shuffled_batches(len(features), size):
            loss = scale_nll(distance[rows], head(features[rows])) * weight[rows]
            optimizer.zero_grad()
            loss.mean().backward()
            optimizer.step()
            schedule.step()

"""The last steps of the face network's training, in its last layer alone.

The 68 points are blended with those that follow from the mesh, which has learned from many more faces, and
are fitted once more to people's points, on pictures as they are: these lie to one side of what pictures and
their mirror images agree on, and training sees both. Then the expected errors are fitted to the finished
network's own errors, on faces that people labelled: while a network still learns, its errors shrink and its
scales run behind.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset
from tqdm import tqdm

from facegeom_lab.networks.face import LANDMARKS, MESH, FaceNet
from facegeom_lab.teachers.linear_map import LinearMap
from facegeom_lab.training.losses import scale_nll

SCALES = LANDMARKS + MESH
LANDMARKS_RIDGE = 2.0
"""Against features of spread 1; of 1 to 16 all were better than none on faces not fitted on."""

SPREAD_FLOOR = 1e-6
DISTANCE_FLOOR = 1e-4  # crop units; no error is certain to be 0


@torch.no_grad()
def blend_landmarks(net: FaceNet, linear_map: LinearMap, share: float) -> None:
    """Mix the 68 points in place: ``share`` of what the mesh gives by the linear map, the rest their own.

    Both are linear in the features, so that the rows of the last layer are mixed once and nothing is added.
    """
    ends = np.cumsum(net.sizes)
    own, mesh = slice(ends[2], ends[3]), slice(ends[3], ends[4])
    for parameter in (net.answer.weight, net.answer.bias):
        rows = parameter[mesh].reshape(MESH, 3, -1)[:, :2].permute(2, 0, 1)
        mapped = torch.from_numpy(linear_map.apply(rows.numpy())).permute(1, 2, 0).reshape(LANDMARKS * 2, -1)
        parameter[own] = share * mapped.reshape(parameter[own].shape).float() + (1 - share) * parameter[own]


def fit_landmarks(net: FaceNet, views: Sequence[Dataset], workers: int) -> None:
    """Change the rows of the 68 points in place by a ridge regression of what they miss.

    Args:
        net: trained.
        views: crops of faces whose points people have set, not mirrored.
        workers: processes that prepare samples.
    """
    net.eval()
    parts = []
    for crops in tqdm(views, desc="points", unit="view"):
        parts += _misses(net, DataLoader(crops, 128, num_workers=workers))
    features, missed = (torch.cat(column).double() for column in zip(*parts, strict=True))
    mean, spread = features.mean(dim=0), features.std(dim=0) + SPREAD_FLOOR
    usual = (features - mean) / spread
    gram = usual.T @ usual / len(usual) + LANDMARKS_RIDGE * torch.eye(len(mean), dtype=torch.float64)
    rows = torch.linalg.solve(gram, usual.T @ missed / len(usual)).T / spread
    own = slice(sum(net.sizes[:3]), sum(net.sizes[:4]))
    with torch.no_grad():
        net.answer.weight[own] += rows.float()
        net.answer.bias[own] += (missed.mean(dim=0) - rows @ mean).float()


@torch.no_grad()
def _misses(net: FaceNet, batches: DataLoader) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Features (N, 256), and from the 68 points to people's (N, 136), crop units."""
    for batch in batches:
        features = net.features(batch["crop"].float())
        yield features, (batch["landmarks"] - net.answers(features)["landmarks"]).flatten(1)


def fit_scales(net: FaceNet, crops: Dataset, rows: np.ndarray, rounds: int, workers: int) -> None:
    """Fit the scales' rows of ``net.answer`` in place.

    Args:
        net: trained; only those rows change.
        crops: samples as in training.
        rows: which of them to use: faces whose points people have set.
        rounds: how often each is seen, cropped and changed differently.
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
    """Features (N, 256), 2D errors (N, 546) in crop units and their weights (N, 546)."""
    for batch in batches:
        features = net.features(batch["crop"].float())
        answer = net.answers(features)
        distance = [
            torch.linalg.norm((answer[name] - batch[name])[..., :2], dim=2) for name in ("landmarks", "mesh")
        ]
        weight = [batch["landmarks_weight"], batch["mesh_weight"][:, None].expand(-1, MESH)]
        face = batch["face"][:, None]
        yield features, torch.cat(distance, dim=1), torch.cat(weight, dim=1) * face


def _fit(head: nn.Linear, features: torch.Tensor, distance: torch.Tensor, weight: torch.Tensor) -> None:
    optimizer = torch.optim.AdamW(head.parameters(), 2e-3, weight_decay=0.05)
    epochs, size = 30, 256
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * (len(features) // size))
    for _ in range(epochs):
        for rows in torch.randperm(len(features)).split(size)[: len(features) // size]:
            loss = scale_nll(distance[rows], head(features[rows])) * weight[rows]
            optimizer.zero_grad()
            loss.mean().backward()
            optimizer.step()
            schedule.step()

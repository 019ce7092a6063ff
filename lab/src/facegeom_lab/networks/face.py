"""The face network: one crop in, all geometry of the face out."""

import torch
from torch import nn

from facegeom.models.face import CROP_PX
from facegeom_lab.networks.blocks import RepConv, stage_blocks

LANDMARKS = 68
MESH = 478

JUDGE_WIDTH, JUDGE_HIDDEN = 48, 64
"""Channels and hidden units of the branch that tells faces from what is none."""


class FaceNet(nn.Module):
    """A plain convolutional backbone and one linear layer for the geometry; 93 M multiply-adds at 128 px.

    The score comes from a branch of its own, whose input are the last maps but one: the features of the
    points tell faces of crowds less well from what is none (docs/experiments.md).

    Coordinates are in crop units: x right, y down, 0 in the centre, ±0.5 at the edges; z on the same scale.
    A scale is the expected error of a point, in the same unit. The attributes ``body``, ``judge`` and
    ``answer`` name the weights in checkpoints and ONNX files.
    """

    def __init__(
        self, widths: tuple[int, ...] = (16, 32, 64, 128, 192), depths: tuple[int, ...] = (0, 2, 3, 2, 1)
    ):
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width, depth in zip(widths, depths, strict=True):
            layers += stage_blocks(channels, width, depth)
            channels = width
        self.body = nn.Sequential(*layers)
        self.judged = len(layers) - depths[-1] - 1
        cells = CROP_PX // 2 ** len(widths)
        self.judge = nn.Sequential(
            RepConv(widths[-2], JUDGE_WIDTH, stride=2),
            RepConv(JUDGE_WIDTH, JUDGE_WIDTH),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(JUDGE_WIDTH * cells**2, JUDGE_HIDDEN),
            nn.ReLU(),
            nn.Linear(JUDGE_HIDDEN, 1),
        )
        self.squeeze = nn.Sequential(nn.Conv2d(channels, 64, 1), nn.ReLU(), nn.Flatten())
        self.hidden = nn.Sequential(nn.Linear(64 * cells**2, 256), nn.ReLU())
        self.sizes = (4, 6, LANDMARKS * 2, MESH * 3, LANDMARKS, MESH)
        self.answer = nn.Linear(256, sum(self.sizes))

    def forward(self, crops: torch.Tensor) -> dict[str, torch.Tensor]:
        """Predict from crops (N, 3, 128, 128), RGB in [0, 255].

        Returns:
            score_logit (N,), box (N, 4), rotation6d (N, 6), landmarks (N, 68, 2), mesh (N, 478, 3),
            landmarks_log_scale (N, 68), mesh_log_scale (N, 478).
        """
        maps = self.maps(crops)
        return {"score_logit": self.score_logit(maps), **self.outputs(self.features(maps))}

    def maps(self, crops: torch.Tensor) -> torch.Tensor:
        """Compute the last maps but one (N, 128, 8, 8) from crops (N, 3, 128, 128)."""
        return self.body[: self.judged]((crops - 127.5) / 64)

    def score_logit(self, maps: torch.Tensor) -> torch.Tensor:
        """Judge by the maps whether there is a face: logits (N,)."""
        return self.judge(maps)[:, 0]

    def features(self, maps: torch.Tensor) -> torch.Tensor:
        """Compute the input of the last layer (N, 256) from the maps."""
        return self.hidden(self.squeeze(self.body[self.judged :](maps)))

    def outputs(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
        """Apply the last layer to features (N, 256); returns as :meth:`forward`, without the score."""
        box, rotation, points, mesh, points_scale, mesh_scale = self.answer(features).split(self.sizes, dim=1)
        return {
            "box": box,
            "rotation6d": rotation,
            "landmarks": points.reshape(-1, LANDMARKS, 2),
            "mesh": mesh.reshape(-1, MESH, 3),
            "landmarks_log_scale": points_scale,
            "mesh_log_scale": mesh_scale,
        }


class FaceNetForExport(nn.Module):
    """Runtime form of the face network: bytes in, probabilities and lengths out."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Predict the outputs named in ``OUTPUTS`` from crops (N, 128, 128, 3) uint8 RGB."""
        output = self.net(crops.permute(0, 3, 1, 2).float())
        return (
            torch.sigmoid(output["score_logit"]),
            output["box"],
            output["rotation6d"],
            output["landmarks"],
            output["mesh"],
            torch.exp(output["landmarks_log_scale"]),
            torch.exp(output["mesh_log_scale"]),
        )


OUTPUTS = ("score", "box", "rotation6d", "landmarks", "mesh", "landmarks_scale", "mesh_scale")

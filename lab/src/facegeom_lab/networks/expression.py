"""The expression network: what the regions' networks see, mesh and rotation in; coefficients and gaze out."""

import torch
from torch import nn

from facegeom.geometry.schemes import ARKIT52
from facegeom.models.expression import GAZE_NEAR_DEG
from facegeom.models.regions import FEATURES

COEFFICIENTS = len(ARKIT52) - 1
"""All but the tongue's, which the heads of training do not show."""

POINTS_SCALE = 0.5
"""Millimetres of the mesh enter in units of 2 mm."""


class ExpressionNet(nn.Module):
    """Two hidden layers over features, mesh and rotation; 0.9 M multiply-adds.

    Args:
        width: of the hidden layers.
        dropout: in training.
    """

    def __init__(self, width: int = 256, dropout: float = 0.1) -> None:
        super().__init__()
        inputs, outputs = FEATURES + 478 * 3 + 6, COEFFICIENTS + 6 + 2
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        self.hidden = nn.Sequential(
            nn.Linear(inputs, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.answer = nn.Linear(width, outputs)

    def joined(self, features: torch.Tensor, points: torch.Tensor, rotation6d: torch.Tensor) -> torch.Tensor:
        """Return all inputs side by side (N, 3072), as they are."""
        return torch.cat([features, points.flatten(1), rotation6d], dim=1)

    def normalise(self, joined: torch.Tensor) -> None:
        """Take means of the inputs from a training set (N, 3072), and deviations of the features."""
        self.mean.copy_(joined.mean(dim=0))
        self.scale[:FEATURES] = 1 / joined[:, :FEATURES].std(dim=0).clamp(min=0.05)
        self.scale[FEATURES:-6] = POINTS_SCALE

    def forward(
        self, features: torch.Tensor, points: torch.Tensor, rotation6d: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Predict coefficients (N, 51), directions (N, 2, 3) of length 1, and log errors (N, 2) in degrees.

        Args:
            features: (N, 1632) of the regions' networks.
            points: (N, 478, 3) in the canonical head's frame and size, millimetres.
            rotation6d: (N, 6) of the head as seen.
        """
        answer = self.answer(
            self.hidden((self.joined(features, points, rotation6d) - self.mean) * self.scale)
        )
        ahead = answer.new_tensor([0.0, 0.0, -1.0])
        gaze = answer[:, COEFFICIENTS : COEFFICIENTS + 6].reshape(-1, 2, 3) / 4 + ahead
        return answer[:, :COEFFICIENTS], nn.functional.normalize(gaze, dim=2), answer[:, -2:]


class ExpressionNetForExport(nn.Module):
    """Runtime form: coefficients within [0, 1], that of the tongue with them, and a confidence."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, features: torch.Tensor, points: torch.Tensor, rotation6d: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Predict expression (N, 52), gaze (N, 2, 3) in the head's frame, confidence (N, 2)."""
        coefficients, gaze, log_error_deg = self.net(features, points, rotation6d)
        expression = nn.functional.pad(coefficients.clamp(0, 1), (0, 1))
        return expression, gaze, 1 - torch.exp(-GAZE_NEAR_DEG / log_error_deg.clamp(-2, 5).exp())


INPUTS = ("features", "points", "rotation6d")
OUTPUTS = ("expression", "gaze", "gaze_confidence")

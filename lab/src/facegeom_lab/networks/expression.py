"""The expression network: the points of a face in, expression coefficients and gaze out."""

import torch
from torch import nn

from facegeom.geometry.schemes import ARKIT52
from facegeom.models.expression import GAZE_NEAR_DEG

COEFFICIENTS = len(ARKIT52) - 1
"""All but the tongue's, which the points do not show."""

UNIT_MM = 3.0


class ExpressionNet(nn.Module):
    """Two hidden layers over the mesh, beside a linear path; 0.4 million multiply-adds.

    Args:
        width: of the hidden layers.
        dropout: in training.
    """

    def __init__(self, width: int = 256, dropout: float = 0.1) -> None:
        super().__init__()
        self.register_buffer("mean_mm", torch.zeros(478, 3))
        inputs, outputs = 478 * 3 + 6, COEFFICIENTS + 6 + 2
        self.hidden = nn.Sequential(
            nn.Linear(inputs, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width), nn.GELU()
        )
        self.answer = nn.Linear(width, outputs)
        self.straight = nn.Linear(inputs, outputs, bias=False)

    def forward(
        self, points: torch.Tensor, rotation6d: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Predict coefficients (N, 51), directions (N, 2, 3) of length 1, and log errors (N, 2) in degrees.

        Args:
            points: (N, 478, 3) in the canonical head's frame and size, millimetres.
            rotation6d: (N, 6) of the head as seen.
        """
        moved = ((points - self.mean_mm) / UNIT_MM).flatten(1)
        seen = torch.cat([moved, rotation6d], dim=1)
        answer = self.answer(self.hidden(seen)) + self.straight(seen)
        ahead = answer.new_tensor([0.0, 0.0, -1.0])
        gaze = answer[:, COEFFICIENTS : COEFFICIENTS + 6].reshape(-1, 2, 3) / 4 + ahead
        return answer[:, :COEFFICIENTS], nn.functional.normalize(gaze, dim=2), answer[:, -2:]


class ExpressionNetForExport(nn.Module):
    """Runtime form: coefficients within [0, 1], that of the tongue with them, and the gaze's confidence."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, points: torch.Tensor, rotation6d: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Predict expression (N, 52), gaze (N, 2, 3), confidence (N, 2)."""
        coefficients, gaze, log_error_deg = self.net(points, rotation6d)
        expression = nn.functional.pad(coefficients.clamp(0, 1), (0, 1))
        return expression, gaze, 1 - torch.exp(-GAZE_NEAR_DEG / log_error_deg.clamp(-2, 5).exp())


INPUTS = ("points", "rotation6d")
OUTPUTS = ("expression", "gaze", "gaze_confidence")

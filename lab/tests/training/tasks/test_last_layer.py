"""Refit of the face network's last layer: what it changes, and what it keeps."""

import numpy as np
import torch
from torch.utils.data import Dataset

from facegeom_lab.networks.face import FaceNet
from facegeom_lab.training.tasks.last_layer import fit_landmarks


class Moved(Dataset):
    """Noise whose annotated points lie to one side of the predicted ones."""

    def __init__(self, net: FaceNet, count: int, right: float) -> None:
        generator = torch.Generator().manual_seed(1)
        self.crops = torch.randint(0, 256, (count, 3, 128, 128), generator=generator, dtype=torch.uint8)
        with torch.no_grad():
            seen = net(self.crops.float())["landmarks"]
        self.landmarks = seen + torch.tensor([right, 0.0])

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"crop": self.crops[index], "landmarks": self.landmarks[index]}


def test_points_move_to_the_annotated_ones() -> None:
    torch.manual_seed(0)
    net = FaceNet().eval()
    faces = Moved(net, 24, right=0.02)
    pictures = faces.crops[:4].float()
    with torch.no_grad():
        before = net(pictures)
        fit_landmarks(net, [faces], workers=0)
        after = net(pictures)
    np.testing.assert_allclose(
        after["landmarks"] - before["landmarks"], faces.landmarks[:4] - before["landmarks"], atol=1e-3
    )
    for name in before.keys() - {"landmarks"}:
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=0)

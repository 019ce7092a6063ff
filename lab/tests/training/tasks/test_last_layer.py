"""Refit of the face network's last layer: what it changes, and what it keeps."""

import numpy as np
import torch
from torch.utils.data import Dataset

from facegeom_lab.networks.face import FaceNet
from facegeom_lab.training.tasks.last_layer import fit_landmarks, fit_scales


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


class Labelled(Moved):
    """The same with all that the scales are fitted to."""

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        mesh, ones = torch.zeros(478, 3), torch.ones(478)
        weights = {"landmarks_weight": ones[:68], "mesh_weight": ones, "face": torch.tensor(1.0)}
        return {**super().__getitem__(index), "mesh": mesh, **weights}


def test_scales_are_fitted_to_few_samples_too() -> None:
    """Fewer samples than a batch holds: the expected errors of points come nearer to the true 0.5."""
    torch.manual_seed(0)
    net = FaceNet().eval()
    faces = Labelled(net, 12, right=0.5)
    pictures = faces.crops[:4].float()
    with torch.no_grad():
        before = net(pictures)["landmarks_log_scale"]
    fit_scales(net, faces, np.arange(12), rounds=1, workers=0)
    with torch.no_grad():
        after = net(pictures)["landmarks_log_scale"]
    far, near = ((each - np.log(0.5)).abs().mean() for each in (before, after))
    assert near < far - 0.01

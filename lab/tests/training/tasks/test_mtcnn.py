"""MTCNN as published: shapes, loss by hand, windows, the cascade over a photo, a training that resumes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from facegeom.errors import InputError
from facegeom_lab.datasets.training.pose_photos import PosePhoto
from facegeom_lab.evaluation.run import read_result
from facegeom_lab.networks.mtcnn import PUBLISHED_WINDOWS, MtcnnStage
from facegeom_lab.training import recipes
from facegeom_lab.training.tasks import mtcnn
from facegeom_lab.training.tasks.mtcnn import MtcnnRecipe, MtcnnTask, _examples, cascade
from facegeom_lab.training.trainers import Inputs, evaluate, train

FIVE = np.array([[130.0, 130], [170, 130], [150, 150], [135, 170], [165, 170]])
SMALL = {"windows_per_photo": 6, "photos_every": 3, "batch": 8, "epochs": 1}


def photo() -> PosePhoto:
    image = np.random.default_rng(0).integers(0, 256, (240, 300, 3), dtype=np.uint8)
    box = np.array([[100.0, 100, 200, 200]])
    return PosePhoto("one", lambda: image, FIVE[None], box, np.zeros((0, 4)), np.full((1, 3, 3), np.nan))


@pytest.mark.parametrize(("name", "parameters"), [("pnet", 6_832), ("rnet", 100_706), ("onet", 389_839)])
def test_the_published_networks(name: str, parameters: int) -> None:
    net = MtcnnStage(name).eval()
    side = PUBLISHED_WINDOWS[name]
    logits, offsets, landmarks = net(torch.zeros(2, 3, side, side))
    assert logits.reshape(2, -1).shape == (2, 1)
    assert offsets.reshape(2, -1).shape == (2, 4) and landmarks.reshape(2, -1).shape == (2, 10)
    assert sum(each.numel() for each in net.parameters()) == pytest.approx(parameters, rel=0.04)


def test_an_unknown_stage() -> None:
    with pytest.raises(InputError, match="expected a stage pnet, rnet, onet, got 'fpnet'"):
        MtcnnStage("fpnet")


def test_loss_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """For windows without a face the classification alone counts."""
    task = MtcnnTask(recipes.load(MtcnnRecipe, "mtcnn-published"), "rnet")
    outputs = torch.zeros(2), torch.full((2, 4), 0.1), torch.full((2, 10), 0.2)
    monkeypatch.setattr(MtcnnStage, "forward", lambda net, windows: outputs)
    batch = [torch.zeros(2, 3, 24, 24), torch.tensor([1.0, 0]), torch.zeros(2, 4), torch.zeros(2, 10)]
    expected = np.log(2) + (4 * 0.01 + 10 * 0.04) / 2
    assert task.loss(batch).item() == pytest.approx(expected, rel=1e-5)


def test_windows_of_a_photo() -> None:
    made = _examples(photo(), "onet", {}, 9, np.random.default_rng(0))
    assert made["windows"].shape == (9, 48, 48, 3) and made["face"].tolist() == [1] * 3 + [0] * 6
    assert (np.abs(made["offsets"][:3]) < 0.4).all() and not made["offsets"][3:].any()
    points = made["landmarks"][:3].reshape(3, 5, 2)
    assert (points[:, 1, 0] > points[:, 0, 0]).all() and (points > 0.1).all() and (points < 0.9).all()


class Seer(torch.nn.Module):
    """A stage that knows the face: its score is the overlap, its box and points are exact."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.window = name, PUBLISHED_WINDOWS[name]

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        if self.name == "pnet":
            rows, columns = ((side - 2) // 2 - 4 for side in images.shape[2:])
            logits = torch.full((1, rows, columns), -9.0)
            if images.shape[2] == 24:  # the level on which a face of 100 pixels has 10 to 12
                logits[0, 4:6, 4:6] = 9
            return logits, torch.zeros(1, 4, rows, columns), torch.zeros(1, 10, rows, columns)
        count = len(images)
        return torch.full((count,), 9.0), torch.zeros(count, 4), torch.full((count, 10), 0.5)


def test_the_cascade_over_a_photo() -> None:
    image = photo().read()
    nets = {name: Seer(name) for name in PUBLISHED_WINDOWS}
    boxes, scores, points = cascade({"pnet": nets["pnet"]}, image)
    assert boxes.shape == (len(scores), 4) and (points == 0).all()
    boxes, scores, points = cascade(nets, image)
    assert len(boxes) == len(scores) == len(points)
    if len(boxes):
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        np.testing.assert_allclose(points.mean(axis=1), middle, atol=1e-6)


def test_a_photo_without_proposals() -> None:
    quiet = MtcnnStage("pnet").eval()
    torch.nn.init.constant_(quiet.answer.bias, -20)
    boxes, scores, points = cascade({"pnet": quiet, "rnet": MtcnnStage("rnet")}, photo().read())
    assert boxes.shape == (0, 4) and scores.shape == (0,) and points.shape == (0, 5, 2)


@pytest.mark.slow
def test_three_stages_train_resume_and_are_measured(
    training_pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = Inputs(training_pack.data, tmp_path, labels=training_pack.labels, workers=0)
    made = train("mtcnn-published", inputs, SMALL)
    assert list(made) == ["pnet-published", "rnet-published", "onet-published"]
    assert all(file.is_file() for file in made.values())
    monkeypatch.setattr(mtcnn, "_windows", None)
    assert train("mtcnn-published", inputs, SMALL) == made  # nothing is repeated
    figures = evaluate(inputs)
    assert figures == read_result(tmp_path)
    for name in PUBLISHED_WINDOWS:
        assert 0 <= figures[name]["recall"] <= 1 and figures[name]["macs"] > 0

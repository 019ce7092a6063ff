"""Training of the cascade on a generated data pack, and the labels of its windows."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from facegeom.models.engine import Engine
from facegeom_lab.datasets.training.detection import DetectionImages
from facegeom_lab.export import export
from facegeom_lab.networks.cascade import PNet, RNet
from facegeom_lab.training import recipes
from facegeom_lab.training.tasks import detector
from facegeom_lab.training.tasks.detector import (
    DetectorRecipe,
    PNetTask,
    RNetTask,
    crop_windows,
    mined_score_loss,
    pairwise_iou,
    windows_xyxy,
)
from facegeom_lab.training.trainers import Inputs

STEPS_PER_EPOCH = 2
NAN4 = [float("nan")] * 4


def recipe(pnet_steps: int = 6, rnet_steps: int = 4) -> DetectorRecipe:
    small = {"pnet_batch": 4, "rnet_batch": 4, "ema_decay": 0.5}
    return recipes.load(DetectorRecipe, "detector", pnet_steps=pnet_steps, rnet_steps=rnet_steps, **small)


@pytest.fixture
def steps_done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the network of each training step."""
    names: list[str] = []
    for task in (PNetTask, RNetTask):
        plain = task.training_step

        def counted(self: PNetTask, batch: dict, index: int, plain=plain) -> torch.Tensor:
            loss = plain(self, batch, index)
            assert torch.isfinite(loss)
            names.append(type(self.net).__name__)
            return loss

        monkeypatch.setattr(task, "training_step", counted)
    return names


def test_windows_of_the_cells() -> None:
    windows = windows_xyxy(torch.Size([40, 61]), torch.device("cpu"))
    assert windows.shape == (15, 25, 4) == (*PNet()(torch.zeros(1, 3, 40, 61))[0].shape[1:], 4)
    assert windows[0, 0].tolist() == [-0.5, -0.5, 11.5, 11.5]
    assert windows[3, 7].tolist() == [13.5, 5.5, 25.5, 17.5]


def test_overlaps() -> None:
    windows = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30]])
    faces = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], NAN4])
    expected = torch.tensor([[1, 1 / 3, 0], [0, 0, 0]])
    torch.testing.assert_close(pairwise_iou(windows, faces), expected)


def test_score_loss_takes_the_hardest_negatives() -> None:
    """One positive, four times 32 negatives at most; what lies between does not count."""
    overlap = torch.tensor([0.9, *[0.4] * 50, *[0.0] * 500])
    logits = torch.tensor([0.0, *[9.0] * 50, *[2.0] * 128, *[-9.0] * 372])
    expected = (np.log(2) + 128 * np.log1p(np.exp(2))) / 129
    assert mined_score_loss(logits, overlap, 4.0).item() == pytest.approx(expected, rel=1e-5)
    assert mined_score_loss(logits[:0], overlap[:0], 4.0).item() == 0


@pytest.mark.parametrize("window", [(3.5, 6.5, 27.5, 30.5), (10.0, 8.0, 22.0, 20.0), (0.2, 1.7, 40.0, 41.5)])
def test_crop_windows_obeys_the_half_pixel_rule(window: tuple[float, ...]) -> None:
    y, x = torch.meshgrid(torch.arange(60.0), torch.arange(70.0), indexing="ij")
    pictures = torch.stack([x, y, x + y])[None]
    piece = crop_windows(pictures, torch.tensor([[window]]), 24)[0, 0]
    step = (window[2] - window[0]) / 24
    expected = window[0] + (torch.arange(24) + 0.5) * step
    torch.testing.assert_close(piece[0, 5], expected, atol=1e-3, rtol=0)
    expected = window[1] + (torch.arange(24) + 0.5) * (window[3] - window[1]) / 24
    torch.testing.assert_close(piece[1, :, 5], expected, atol=1e-3, rtol=0)


def test_crop_windows_of_several_pictures() -> None:
    pictures = torch.arange(2.0)[:, None, None, None] * 100 + torch.zeros(2, 3, 40, 40)
    pieces = crop_windows(pictures, torch.tensor([[[0.0, 0, 12, 12]] * 3] * 2), 24)
    assert pieces.shape == (2, 3, 3, 24, 24)
    torch.testing.assert_close(pieces[:, 1, 2].mean(dim=(1, 2)), torch.tensor([0.0, 100]))


def test_proposals_lie_where_pnet_sees_a_face() -> None:
    """P-Net works at half size; its window comes back at the size of the picture."""
    task = RNetTask(recipe(), PNet())

    class Seer(torch.nn.Module):
        def forward(self, half: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            logits = torch.full((1, 15, 15), -50.0)
            logits[0, 4, 9] = 50
            return logits, torch.zeros(1, 4, 15, 15)

    task.pnet = [Seer()]
    found = task._proposals(torch.zeros(1, 3, 80, 80))
    assert found.shape == (1, RNetTask.PROPOSALS, 4)
    assert found[0, 0].tolist() == [35.5, 15.5, 59.5, 39.5]  # twice [17.5, 7.5, 29.5, 19.5], edges at -0.5


def test_jittered_boxes_stay_near() -> None:
    torch.manual_seed(0)
    faces = torch.tensor([[[10.0, 10, 34, 34], NAN4]]).repeat(50, 1, 1)
    jittered = RNetTask(recipe(), PNet())._jittered(faces)
    assert jittered.shape == (50, 2 * RNetTask.JITTERED, 4)
    kept = jittered[torch.isfinite(jittered[..., 0])]
    assert len(kept) == 50 * RNetTask.JITTERED
    torch.testing.assert_close(kept[:, 2] - kept[:, 0], kept[:, 3] - kept[:, 1])
    assert pairwise_iou(kept, faces[0, :1]).median() > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("network", ["pnet", "rnet"])
def test_learns_one_batch_by_heart(
    network: str, monkeypatch: pytest.MonkeyPatch, training_pack: object
) -> None:
    torch.manual_seed(0)
    scenes = detector.load_scenes(training_pack.data, "train")
    window = PNet.WINDOW if network == "pnet" else RNet.WINDOW
    pictures = DetectionImages(
        scenes, detector.load_empty(training_pack.data, "val"), scenes, detector.face_sizes(window)
    )
    batch = torch.utils.data.default_collate([pictures[0] for _ in range(6)])
    task = PNetTask(recipe()) if network == "pnet" else RNetTask(recipe(), PNet())
    monkeypatch.setattr(task, "log_dict", lambda *_, **__: None)
    optimizer = torch.optim.Adam(task.net.parameters(), 0.004)
    losses = []
    for step in range(60):
        torch.manual_seed(1)  # R-Net's windows are random
        loss = task.training_step(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.slow
def test_interrupted_training_goes_on(
    training_pack: object, tmp_path: Path, steps_done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector, "DetectionImages", partial(DetectionImages, length=4 * STEPS_PER_EPOCH))
    counted = PNetTask.training_step

    def fails(task: PNetTask, batch: dict[str, torch.Tensor], index: int) -> torch.Tensor:
        if len(steps_done) == STEPS_PER_EPOCH + 1:
            raise RuntimeError("power cut")
        return counted(task, batch, index)

    def train() -> dict[str, Path]:
        pack = training_pack
        given = Inputs(pack.data, tmp_path, labels=pack.labels, rendered=pack.rendered, workers=0)
        return detector.train(recipe(), given)

    with monkeypatch.context() as patch:
        patch.setattr(PNetTask, "training_step", fails)
        with pytest.raises(RuntimeError, match="power cut"):
            train()
    assert torch.load(tmp_path / "pnet" / "last.ckpt", weights_only=True)["global_step"] == STEPS_PER_EPOCH
    steps_done.clear()
    made = train()
    assert steps_done == ["PNet"] * (6 - STEPS_PER_EPOCH) + ["RNet"] * 4
    assert made == {name: tmp_path / name / "last.ckpt" for name in ("pnet", "rnet")}
    steps_done.clear()
    train()
    assert steps_done == []  # a complete training is not repeated
    for name, size in (("pnet", 30), ("rnet", 24)):
        network = Engine(export(name, made[name], tmp_path / "made"))
        answers = network(np.zeros((2, size, size, 3), np.uint8))
        assert all(len(answer) == 2 and np.isfinite(answer).all() for answer in answers)

"""FPNet's training: loss by hand, trimmed mean, warning of a collapse, a run from start to figures."""

from pathlib import Path

import numpy as np
import pytest
import torch

from facegeom.errors import InputError
from facegeom.geometry.rotation import rotation_from_angles, rotation_to_6d
from facegeom_lab.evaluation.run import read_metrics
from facegeom_lab.export import NETWORKS
from facegeom_lab.networks.cascade import FPNet
from facegeom_lab.training import recipes
from facegeom_lab.training.losses import geodesic, trimmed_mean, trimmed_mean_by_class
from facegeom_lab.training.tasks import fpnet
from facegeom_lab.training.tasks.fpnet import FPNetRecipe, FPNetTask, errors_deg, to_rotations
from facegeom_lab.training.trainers import Inputs

ANGLES = ((0, 0, 0), (30, 10, 0), (-50, 0, 20), (75, -15, 5))


def recipe(**changes: object) -> FPNetRecipe:
    small = {"teacher": "points", "batch": 4, "epochs": 2, "learning_rate": 0.001, "precision": "32-true"}
    return recipes.load(FPNetRecipe, "fpnet", **small | changes)


@pytest.mark.parametrize("target", ["vectors", "angles"])
def test_loss_by_hand(target: str) -> None:
    """Cross-entropy for all windows, squared errors of box and rotation for faces only.

    In training the cross-entropy of windows without a face is scaled up, since only a part of them is drawn.
    """
    task = FPNetTask(recipe(target=target, box_weight=2.0, rotation_weight=0.5, others_share=0.25))
    raw = torch.as_tensor(rotation_to_6d(rotation_from_angles(45, 0, 0)), dtype=torch.float32)
    right = raw if target == "vectors" else torch.tensor([0.5, 0, 0])
    values = torch.stack([right, right + 0.1, right + 9])
    answer = (torch.zeros(3), torch.full((3, 4), 0.2), values)
    batch = {"face": torch.tensor([1.0, 1, 0]), "raw": raw.repeat(3, 1)}
    batch["offsets"] = torch.full((3, 4), 0.1)
    score, box, turn = np.log(2), 2 * 4 * 0.01, 0.5 * len(right) * 0.01
    for training, other in ((True, 4 * score), (False, score)):
        expected = torch.tensor([score + box, score + box + turn, other]).float()
        losses = task.train(training).losses(answer, batch).float()
        torch.testing.assert_close(losses, expected, atol=1e-5, rtol=1e-5)


def test_the_published_recipe() -> None:
    made = recipes.load(FPNetRecipe, "fpnet-published")
    assert (made.learning_rate, made.rate_factor, made.batch, made.epochs) == (0.01, 0.83, 64, 30)
    assert (made.middle_share, made.mining, made.target, made.teacher) == (
        0.6,
        "batch",
        "vectors",
        "6drepnet",
    )
    assert made.others_share == made.rotation_weight == made.box_weight == 1 and made.dropout > 0


@pytest.mark.parametrize("mining", ["class", "batch"])
def test_mining(mining: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The middle 60 % of the whole batch, or of its faces and of its other windows."""
    task = FPNetTask(recipe(mining=mining, middle_share=0.6))
    losses = torch.tensor([0.0, 1.0, 2.0, 3.0, 100.0, 10.0, 11.0, 12.0, 13.0, 99.0])
    face = torch.tensor([0.0] * 5 + [1.0] * 5)
    monkeypatch.setattr(task, "losses", lambda predicted, batch: losses)
    monkeypatch.setattr(task, "log", lambda *_, **__: None)
    found = task.training_step({"window": torch.zeros(1, 3, 48, 48), "face": face}, 0)
    expected = trimmed_mean(losses, 0.6) if mining == "batch" else trimmed_mean_by_class(losses, face, 0.6)
    assert found == expected
    with pytest.raises(InputError, match="expected the mining class or batch, got 'hard'"):
        fpnet.train(recipe(mining="hard"), Inputs(Path(), Path()))


def test_trimmed_mean_leaves_both_tails_out() -> None:
    losses = torch.tensor([100.0, 3, 1, 2, 0.01])
    assert trimmed_mean(losses, 0.6).item() == 2 and trimmed_mean(losses, 1.0).item() == pytest.approx(21.202)


def test_trimmed_mean_by_class_keeps_the_class_with_larger_losses() -> None:
    losses = torch.tensor([0.0, 1.0, 2.0, 3.0, 100.0, 10.0, 11.0, 12.0, 13.0, 99.0])
    kinds = torch.tensor([0.0] * 5 + [1.0] * 5)
    assert trimmed_mean_by_class(losses, kinds, 0.6).item() == pytest.approx((2 + 12) / 2)
    assert trimmed_mean_by_class(losses, kinds, 1.0).item() == pytest.approx(losses.mean().item())


def test_geodesic_is_the_angle() -> None:
    vectors = torch.as_tensor(rotation_to_6d(rotation_from_angles(25, 0, 0)), dtype=torch.float32)[None]
    vectors.requires_grad_()
    angle = geodesic(vectors, torch.eye(3)[None])
    assert torch.rad2deg(angle).item() == pytest.approx(25, abs=1e-3)
    geodesic(vectors * 1, torch.as_tensor(rotation_from_angles(25, 0, 0)[None]).float()).sum().backward()
    assert torch.isfinite(vectors.grad).all()


def test_rotations_of_answers() -> None:
    wanted = rotation_from_angles(*np.array(ANGLES, float).T)
    np.testing.assert_allclose(to_rotations(rotation_to_6d(wanted)), wanted, atol=1e-12)
    np.testing.assert_allclose(to_rotations(np.array(ANGLES) / 90), wanted, atol=1e-12)


def test_errors_by_axis_and_band() -> None:
    truth = rotation_from_angles(*np.array(ANGLES, float).T)
    said = rotation_from_angles(*(np.array(ANGLES, float) + np.array((2, 0, 0))).T)
    errors = errors_deg(said, truth)
    assert errors["yaw"] == pytest.approx(2) and errors["pitch"] == pytest.approx(0, abs=1e-9)
    assert set(errors["by_yaw"]) == {"0-30", "30-60", "60-90"}
    assert errors["by_yaw"]["0-30"] == pytest.approx(2)


@pytest.fixture
def pose_set(tmp_path: Path) -> Path:
    """Six faces and six empty windows in each split."""
    rng = np.random.default_rng(1)
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        kind = np.array([1, 0] * 6, np.uint8)
        rotation = rotation_from_angles(*rng.uniform(-60, 60, (3, 12)))
        known = np.where(kind == 1, 1.0, np.nan)
        np.savez(
            tmp_path / split / "poses_00000.npz",
            windows=rng.integers(0, 256, (12, 64, 64, 3), dtype=np.uint8),
            kind=kind,
            offsets=np.zeros((12, 4)) * known[:, None],
            rotation=rotation * known[:, None, None],
            raw_points=rotation_to_6d(rotation) * known[:, None],
        )
    return tmp_path


@pytest.mark.parametrize("target", ["vectors", "angles"])
def test_a_run_from_start_to_figures(target: str, pose_set: Path, tmp_path: Path) -> None:
    inputs, settings = Inputs(pose_set, tmp_path / "run", workers=0), recipe(target=target)
    (name,) = made = fpnet.train(settings, inputs)
    assert made[name].is_file() and (name in NETWORKS) == (target == "vectors")
    log = read_metrics(inputs.out)
    assert len(log["val/geodesic_deg"]) == 2 and np.isfinite(log["train/loss"]).all()
    np.testing.assert_allclose(
        log["lr"], 0.001 * settings.rate_factor ** np.array([1, 2]), rtol=1e-5
    )  # after each epoch
    figures = fpnet.evaluate(settings, inputs)
    assert figures["teacher"]["geodesic"] == pytest.approx(0, abs=1e-3)
    assert figures["student"]["geodesic"] == pytest.approx(figures["student_to_teacher_deg"], abs=0.1)
    assert 0 <= figures["accuracy"] <= 1 and figures["macs"] > 1e6


def test_a_second_round_begins_where_the_first_ended(pose_set: Path, tmp_path: Path) -> None:
    (first,) = fpnet.train(recipe(), Inputs(pose_set, tmp_path / "first", workers=0)).values()
    still = Inputs(pose_set, tmp_path / "second", workers=0, start=first)
    (second,) = fpnet.train(recipe(epochs=1, learning_rate=1e-9), still).values()
    before, after = (torch.load(file, weights_only=True)["state_dict"] for file in (first, second))
    torch.testing.assert_close(after, before, atol=1e-6, rtol=0)


def test_collapse_is_reported(pose_set: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A network that begins and stays at the mean: its answers do not vary."""
    fpnet.train(recipe(learning_rate=1e-9), Inputs(pose_set, tmp_path / "run", workers=0))
    assert "collapsed to the mean" in caplog.text
    assert fpnet.evaluate(recipe(), Inputs(pose_set, tmp_path / "run", workers=0))["collapsed"]


def test_unknown_target() -> None:
    with pytest.raises(InputError, match="vectors or angles"):
        FPNetTask(recipe(target="quaternions"))


def test_network_shapes() -> None:
    logits, offsets, values = FPNet(values=3)(torch.zeros(2, 3, 48, 48))
    assert logits.shape == (2,) and offsets.shape == (2, 4) and values.shape == (2, 3)

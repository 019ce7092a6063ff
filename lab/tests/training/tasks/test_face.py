"""Training of the face network on a generated data pack: it learns, resumes and is exported."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from facegeom.errors import InputError
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.models.engine import Engine
from facegeom_lab.datasets.training.face_labels import real_faces
from facegeom_lab.datasets.training.face_samples import FaceCropsPlain
from facegeom_lab.export import export
from facegeom_lab.networks.blocks import fold
from facegeom_lab.networks.checkpoint import initial_network, network_from_checkpoint
from facegeom_lab.networks.face import FaceNet
from facegeom_lab.training import recipes
from facegeom_lab.training.tasks import face
from facegeom_lab.training.tasks.face import FaceData, FaceRecipe, FaceTask
from facegeom_lab.training.trainers import Inputs

STEPS_PER_EPOCH = 2


def recipe(steps: int) -> FaceRecipe:
    small = {"batch": 4, "samples_per_epoch": 4 * STEPS_PER_EPOCH, "warmup_steps": 1, "ema_decay": 0.5}
    return recipes.load(FaceRecipe, "face", steps=steps, **small)


@pytest.fixture
def steps_done(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the loss of each training step."""
    losses, plain = [], FaceTask.training_step

    def counted(task: FaceTask, batch: dict[str, torch.Tensor], index: int) -> torch.Tensor:
        losses.append(plain(task, batch, index))
        return losses[-1]

    monkeypatch.setattr(FaceTask, "training_step", counted)
    return losses


def train(pack: object, out: Path, steps: int) -> Path:
    return face.train(recipe(steps), inputs(pack, out))


def inputs(pack: object, out: Path) -> Inputs:
    return Inputs(pack.data, out, labels=pack.labels, rendered=pack.rendered, workers=0)


def test_validation_errors_in_percent_and_degrees() -> None:
    """Points a tenth of the eye distance away, and a head of 0.2°: no smoothing hides a small angle."""
    points, mesh = torch.zeros(1, 68, 2), torch.zeros(1, 478, 3)
    points[:, 45, 0], mesh[:, 263, 0] = 0.4, 0.5
    turned = torch.from_numpy(rotation_from_angles(0.2, 0, 0)).float()[None]
    answer = {
        "landmarks": points + torch.tensor([0.04, 0.0]),
        "mesh": mesh + torch.tensor([0.0, 0.05, 9.0]),
        "rotation6d": turned[:, :, :2].transpose(1, 2).flatten(1),
    }
    logged: dict[str, float] = {}

    class Task:
        def __call__(self, crops: torch.Tensor) -> dict[str, torch.Tensor]:
            return answer

        def log(self, name: str, value: torch.Tensor, prog_bar: bool) -> None:
            logged[name] = float(value)

    batch = {"crop": points, "landmarks": points, "mesh": mesh, "rotation": torch.eye(3)[None]}
    FaceTask.validation_step(Task(), batch, 0)  # type: ignore[arg-type]
    assert logged["val/nme"] == pytest.approx(10) and logged["val/mesh"] == pytest.approx(10)
    assert logged["val/rotation_deg"] == pytest.approx(0.2, abs=0.03)


@pytest.mark.slow
def test_learns_one_batch_by_heart(training_pack: object) -> None:
    torch.manual_seed(0)
    crops = FaceCropsPlain(
        *real_faces(training_pack.data, training_pack.labels, "train"), [np.zeros((9, 9, 3), np.uint8)]
    )
    batch = torch.utils.data.default_collate([crops[index] for index in range(6)])
    task = FaceTask(recipe(30)).train()
    optimizer = torch.optim.AdamW(task.parameters(), 0.002)
    totals = []
    for _ in range(30):
        total = sum(task.losses(task(batch["crop"]), batch).values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert np.isfinite(totals).all()
    assert totals[-1] < 0.5 * totals[0]


def test_perfect_answers_cost_nothing_but_the_scales(training_pack: object) -> None:
    crops = FaceCropsPlain(
        *real_faces(training_pack.data, training_pack.labels, "val"), [np.zeros((9, 9, 3), np.uint8)]
    )
    batch = torch.utils.data.default_collate([crops[index] for index in range(4)])
    answer = {
        "score_logit": torch.full((4,), 40.0),
        "rotation6d": batch["rotation"][:, :, :2].transpose(1, 2).flatten(1),
        "landmarks_log_scale": torch.zeros(4, 68),
        "mesh_log_scale": torch.zeros(4, 478),
        **{name: batch[name] for name in ("box", "landmarks", "mesh")},
    }
    losses = FaceTask(recipe(1)).losses(answer, batch)
    for name in ("points", "mesh", "scale", "box", "score"):
        assert losses[name].item() == pytest.approx(0, abs=1e-6)
    assert losses["rotation"].item() == pytest.approx(3 * 1e-2, abs=1e-3)  # the smoothing of the distance


def test_pictures_without_a_face_teach_the_score_alone(training_pack: object) -> None:
    crops = FaceCropsPlain(
        *real_faces(training_pack.data, training_pack.labels, "val"), [np.zeros((9, 9, 3), np.uint8)]
    )
    nothing = crops._negative(0, np.random.default_rng(0))
    batch = torch.utils.data.default_collate([nothing, nothing])
    task = FaceTask(recipe(1)).train()
    losses = task.losses(task(batch["crop"]), batch)
    assert {name for name, loss in losses.items() if loss.item() != 0} == {"score"}


def test_rate_warms_up_and_falls() -> None:
    task = FaceTask(recipes.load(FaceRecipe, "face", steps=100, warmup_steps=10))
    rate = task.configure_optimizers()["lr_scheduler"]["scheduler"].lr_lambdas[0]
    rates = np.array([rate(step) for step in range(101)])
    assert rates[0] == 0.1 and rates[9] == rates[10] == 1
    assert (np.diff(rates[10:]) < 0).all() and rates[-1] == pytest.approx(0.005)


@pytest.mark.slow
def test_interrupted_training_goes_on(
    training_pack: object, tmp_path: Path, steps_done: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = FaceTask.training_step

    def fails(task: FaceTask, batch: dict[str, torch.Tensor], index: int) -> torch.Tensor:
        if len(steps_done) == STEPS_PER_EPOCH + 1:
            raise RuntimeError("power cut")
        return counted(task, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(FaceTask, "training_step", fails)
        with pytest.raises(RuntimeError, match="power cut"):
            train(training_pack, tmp_path, 6)
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert saved["global_step"] == STEPS_PER_EPOCH
    steps_done.clear()
    final = train(training_pack, tmp_path, 6)
    assert len(steps_done) == 6 - STEPS_PER_EPOCH
    assert torch.stack(steps_done).isfinite().all()
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 6
    steps_done.clear()
    train(training_pack, tmp_path, 6)
    assert steps_done == []  # a complete training is not repeated
    network = Engine(export("face", final, tmp_path / "made"))
    answers = network(np.zeros((2, 128, 128, 3), np.uint8))
    assert [answer.shape for answer in answers[:5]] == [(2,), (2, 4), (2, 6), (2, 68, 2), (2, 478, 3)]
    assert all(np.isfinite(answer).all() for answer in answers)


@pytest.mark.slow
def test_a_round_in_the_folded_form(training_pack: object, tmp_path: Path) -> None:
    first = train(training_pack, tmp_path / "first", 2)
    folded = replace(recipe(2), folded=True, learning_rate=1e-5)
    given = replace(inputs(training_pack, tmp_path / "second"), start=first)
    again = face.train(folded, given)
    pictures = torch.randint(0, 256, (2, 3, 128, 128)).float()
    answers = [network_from_checkpoint(file, FaceNet())(pictures) for file in (first, again)]
    for name in ("box", "rotation6d", "mesh"):  # it began where the first one ended
        torch.testing.assert_close(answers[1][name], answers[0][name], atol=0.02, rtol=0)
        assert not torch.equal(answers[1][name], answers[0][name])


def test_weights_are_blended_with_the_initial_ones(tmp_path: Path) -> None:
    files = []
    for name in ("start.ckpt", "end.ckpt"):
        folded = fold(FaceNet())
        files.append(tmp_path / name)
        state = {f"net.{key}": value for key, value in folded.state_dict().items()}
        torch.save({"state_dict": state}, files[-1])
    start, end = (network_from_checkpoint(file, FaceNet()) for file in files)
    for fraction in (0.0, 0.25, 1.0):
        net = network_from_checkpoint(files[1], FaceNet())
        face.blend_weights(net, files[0], fraction)
        for own, first, last in zip(net.parameters(), start.parameters(), end.parameters(), strict=True):
            torch.testing.assert_close(own, fraction * first + (1 - fraction) * last)
    with pytest.raises(InputError, match="give --start"):
        face.blend_weights(end, None, 0.5)


@pytest.mark.parametrize("fraction", [0.0, 0.5])
def test_a_start_with_normalisation_is_blended_as_it_answers(tmp_path: Path, fraction: float) -> None:
    """Of a training that has changed nothing yet, no blend changes anything."""
    start = FaceNet()
    for part in start.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.uniform_(-0.5, 0.5)
            part.running_var.uniform_(0.5, 2)
    file = tmp_path / "start.ckpt"
    torch.save({"state_dict": {f"net.{key}": value for key, value in start.state_dict().items()}}, file)
    state = {
        f"net.{key}": value for key, value in initial_network(FaceNet(), file, True).state_dict().items()
    }
    torch.save({"state_dict": state}, tmp_path / "last.ckpt")
    net = network_from_checkpoint(tmp_path / "last.ckpt", FaceNet())
    face.blend_weights(net, file, fraction)
    pictures = torch.rand(2, 3, 128, 128) * 255
    torch.testing.assert_close(net(pictures)["mesh"], start.eval()(pictures)["mesh"], atol=1e-4, rtol=1e-3)


def test_rendered_heads_join_the_real_ones(training_pack: object, tmp_path: Path) -> None:
    given = inputs(training_pack, tmp_path)
    for rendered, count in ((None, 10), (given.rendered, 13)):
        module = FaceData(recipe(1), replace(given, rendered=rendered))
        module.setup("fit")
        loader = module.train_dataloader()
        assert len(loader.dataset) == len(loader.sampler.weights) == count
        assert len(module.val) == 4

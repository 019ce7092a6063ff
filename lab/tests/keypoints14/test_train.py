"""Training: the trial leaves nothing behind, an interrupted one goes on as if nothing had happened."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from facegeom.errors import InputError
from facegeom_lab.keypoints14 import detect, train_detector
from facegeom_lab.keypoints14.data import GT, write_table
from facegeom_lab.keypoints14.network import load_training_cost
from facegeom_lab.keypoints14.task import Keypoints14Recipe, KeypointTask

MakeRecipe = Callable[..., Keypoints14Recipe]

CHANGING = {"os.mkdir", "os.rename", "os.remove", "os.link", "os.symlink", "os.truncate", "tempfile.mkstemp"}
_changes: list[list[str]] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Record changes of files; an audit hook cannot be removed, so it records only on demand."""
    if not _changes:
        return
    writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    if event in CHANGING or (event == "open" and arguments[2] & writes):
        _changes[-1].append(f"{event} {arguments[0]}")


sys.addaudithook(_watch)


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Record what is written, made, renamed or removed."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    _changes.append([])
    yield _changes[-1]
    _changes.clear()


@contextmanager
def interruption() -> Iterator[None]:
    """Interrupt the training in the middle of its third epoch."""
    plain = KeypointTask.training_step

    def step(self: KeypointTask, batch: dict, index: int) -> torch.Tensor:
        if self.current_epoch == 2 and index == 1:
            raise KeyError("killed")
        return plain(self, batch, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(KeypointTask, "training_step", step)
        yield


def weights(net: torch.nn.Module) -> torch.Tensor:
    return torch.cat([value.flatten().float() for value in net.state_dict().values()])


def test_the_audit_sees_writing(tmp_path: Path, changes: list[str]) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "a").read_text()
    assert changes == [f"open {tmp_path / 'a'}"]


@pytest.mark.slow
def test_a_trial_writes_nothing(
    faces: Any, make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o555)
    before = sorted(faces.folder.iterdir())
    net = train_detector(faces.points, faces.folder, fast_train=True, recipe=make_recipe())
    tmp_path.chmod(0o755)
    assert changes == []
    assert not list(tmp_path.iterdir()) and sorted(faces.folder.iterdir()) == before
    assert torch.isfinite(weights(net)).all() and not net.training


@pytest.mark.slow
def test_a_trial_is_one_epoch_of_a_few_batches(
    faces: Any, make_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    plain = KeypointTask.training_step

    def step(self: KeypointTask, batch: dict, index: int) -> torch.Tensor:
        seen.append((self.current_epoch, len(batch["image"])))
        return plain(self, batch, index)

    monkeypatch.setattr(KeypointTask, "training_step", step)
    train_detector(faces.points, faces.folder, True, recipe=make_recipe(epochs=9, batch=3, fast_batches=3))
    assert seen == [(0, 3)] * 2  # of nine pictures two are kept out, and one would be a smaller batch


@pytest.mark.slow
def test_training(faces: Any, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    """It goes on after an interruption to the very weights of one without; the file holds what it gives."""
    whole = tmp_path / "whole" / "model.ckpt"
    write_table(tmp_path / GT, faces.points)
    net = train_detector(str(tmp_path / GT), str(faces.folder), out=str(whole), recipe=make_recipe())
    assert [path.name for path in whole.parent.iterdir()] == ["model.ckpt"]
    effort = load_training_cost(whole)
    assert 1 <= effort.epochs <= 3 and effort.samples == 8 * effort.epochs
    assert effort.train_seconds > 0 and effort.val_error > 0
    statistics = np.concatenate([net.mean.numpy(), net.std.numpy()])
    assert (statistics > 10).all() and (statistics < 245).all()
    assert set(detect(whole, faces.folder)) == set(faces.points)


@pytest.mark.slow
def test_interrupted_training_goes_on(faces: Any, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    out = tmp_path / "model.ckpt"
    with interruption(), pytest.raises(KeyError, match="killed"):
        train_detector(faces.points, faces.folder, out=out, recipe=make_recipe())
    assert [path.name for path in tmp_path.iterdir()] == ["model.ckpt.last"]
    with pytest.raises(InputError, match=r"model\.ckpt\.last is of a training with other images or settings"):
        train_detector(faces.points, faces.folder, out=out, recipe=make_recipe(dropout=0.3))
    after = train_detector(faces.points, faces.folder, out=out, recipe=make_recipe())
    assert [path.name for path in tmp_path.iterdir()] == ["model.ckpt"]
    plain = train_detector(faces.points, faces.folder, out=tmp_path / "b.ckpt", recipe=make_recipe())
    assert torch.equal(weights(after), weights(plain))
    assert load_training_cost(out).samples == load_training_cost(tmp_path / "b.ckpt").samples


@pytest.mark.parametrize("content", [b"", b"nothing of the kind", b"PK\x03\x04"])
def test_damaged_state(content: bytes, faces: Any, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    (tmp_path / "model.ckpt.last").write_bytes(content)
    with pytest.raises(InputError, match=r"model\.ckpt\.last cannot be read .*; remove it to train anew"):
        train_detector(faces.points, faces.folder, out=tmp_path / "model.ckpt", recipe=make_recipe())


@pytest.mark.slow
def test_diverged(faces: Any, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    wild = make_recipe(optimizer="sgd", learning_rate=1e30, warmup_epochs=0.0, epochs=1)
    with pytest.raises(InputError, match="diverged: no epoch gave a finite error"):
        train_detector(faces.points, faces.folder, out=tmp_path / "model.ckpt", recipe=wild)
    assert not (tmp_path / "model.ckpt").exists()

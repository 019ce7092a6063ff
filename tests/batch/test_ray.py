"""The Ray engine: the same bytes as the local one, and workers that are killed; one Ray for all tests."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from facegeom.batch import Progress, analyze_many, ray_engine
from facegeom.batch.work import Settings
from facegeom.errors import InputError
from facegeom.worker_pool.process import WorkerError
from facegeom_lab.bench.batch_driver import worker_pids

from .conftest import parts_of


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """Ray on this machine as the engine starts it, for all tests of this file."""
    module = ray_engine.import_ray()
    assert ray_engine.connect(module, 2)
    yield module
    module.shutdown()


@pytest.mark.usefixtures("ray", "in_process")
def test_same_bytes_as_the_local_engine(album: Path, tmp_path: Path) -> None:
    for engine in ("local", "ray"):
        end = analyze_many([album], tmp_path / engine, engine=engine, workers=1, part_size=3)
        assert end.done.photos == 10 and end.done.errors == 3
    assert parts_of(tmp_path / "ray") == parts_of(tmp_path / "local")


@pytest.mark.usefixtures("ray", "in_process")
def test_killed_workers_are_replaced(album: Path, tmp_path: Path) -> None:
    """A run of one engine that the other has begun; its worker is killed at the first part."""
    killed: list[int] = []

    def kill_once(progress: Progress) -> None:
        if progress.done.photos > progress.earlier and not killed:
            killed.extend(worker_pids(os.getpid(), "ray"))
            os.kill(killed[0], signal.SIGKILL)

    analyze_many([album], tmp_path / "local", part_size=1)
    analyze_many([album], tmp_path / "ray", part_size=1)
    for part in list((tmp_path / "ray/parts").iterdir())[:6]:
        part.unlink()
    end = analyze_many([album], tmp_path / "ray", engine="ray", workers=1, tell=kill_once)
    assert killed and end.earlier == 4
    assert parts_of(tmp_path / "ray") == parts_of(tmp_path / "local")


def test_nothing_to_do(ray: Any) -> None:
    assert list(ray_engine.run([], Settings(), workers=1)) == []


def test_without_ray(album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'facegeom\[batch\]'"):
        analyze_many([album], tmp_path / "out", engine="ray")


class TaskError(Exception):
    """As Ray's: the worker's own error is in ``cause``."""

    def __init__(self, cause: Exception) -> None:
        super().__init__("Traceback:\n  much text\nInputError: min_score: expected a number")
        self.cause = cause


def test_errors_of_workers_are_told_as_they_are() -> None:
    wrong = InputError("min_score: expected a number")
    for error in (TaskError(wrong), TaskError(TaskError(wrong))):
        assert ray_engine.unwrapped(error) is wrong
    other = ray_engine.unwrapped(TaskError(KeyError("x")))
    assert isinstance(other, WorkerError)
    assert str(other) == "Ray failed: InputError: min_score: expected a number"

"""The Ray engine: the same bytes as the local one, and workers that are killed; one Ray for all tests."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from facegeom.batch import Progress, analyze_many, ray_engine
from facegeom.batch.inventory import Job
from facegeom.batch.sources import list_photos
from facegeom.batch.work import Settings
from facegeom.bench.batch_driver import worker_pids
from facegeom.errors import FacegeomError, InputError

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


@pytest.mark.usefixtures("ray")
def test_wrong_settings_are_told(album: Path) -> None:
    jobs = [Job(0, tuple(list_photos([album])))]
    with pytest.raises(FacegeomError, match="min_score: expected"):
        list(ray_engine.run(jobs, Settings(options={"min_score": 7}), workers=1))


def test_nothing_to_do(ray: Any) -> None:
    assert list(ray_engine.run([], Settings(), workers=1)) == []


def test_without_ray(album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'facegeom\[batch\]'"):
        analyze_many([album], tmp_path / "out", engine="ray")

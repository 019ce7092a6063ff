"""The Ray engine: the same bytes as the local one, killed workers, errors. All tests share one Ray."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from facegeom.batch import Progress, analyze_many, ray_engine
from facegeom.batch.input_index import Job, PhotoRef
from facegeom.batch.stores import UnreachableError
from facegeom.batch.work import Outcome, Piece, Settings
from facegeom.errors import InputError
from facegeom.worker_pool.process import WorkerError

from .conftest import parts_of


def ray_workers() -> list[int]:
    """Return the process ids of Ray's workers below this process, from /proc."""
    children: dict[int, list[int]] = {}
    titles: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):  # a process that has just ended
                pid, stat = int(entry.name), (entry / "stat").read_text()
                titles[pid] = (entry / "cmdline").read_text(errors="replace")
                children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(pid)
    descendants = [os.getpid()]
    for pid in descendants:
        descendants += children.get(pid, [])
    return [pid for pid in descendants if "ray::MapWorker" in titles.get(pid, "")]


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """Start Ray on this machine as the engine does."""
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


@pytest.mark.slow
@pytest.mark.usefixtures("ray", "in_process")
def test_killed_workers_are_replaced(album: Path, tmp_path: Path) -> None:
    """Resume a run of the local engine with Ray, and kill the worker after its first part file."""
    killed: list[int] = []

    def kill_once(progress: Progress) -> None:
        if progress.done.photos > progress.earlier and not killed:
            killed.extend(ray_workers())
            os.kill(killed[0], signal.SIGKILL)

    analyze_many([album], tmp_path / "local", part_size=1)
    analyze_many([album], tmp_path / "ray", part_size=1)
    for part in list((tmp_path / "ray/parts").iterdir())[:6]:
        part.unlink()
    end = analyze_many([album], tmp_path / "ray", engine="ray", workers=1, tell=kill_once)
    assert killed and end.earlier == 4
    assert parts_of(tmp_path / "ray") == parts_of(tmp_path / "local")


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
def test_a_silent_source_leaves_its_job_open(tmp_path: Path) -> None:
    """It is a pipe that nobody writes to."""
    os.mkfifo(tmp_path / "pipe.jpg")
    job = Job(7, (PhotoRef("pipe.jpg", "pipe.jpg", "file", str(tmp_path / "pipe.jpg")),))
    (end,) = ray_engine.run([job], Settings(silence_s=1), workers=1)
    assert end == Outcome(7, f"{tmp_path / 'pipe.jpg'} cannot be reached: no answer within 1 s")


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
def test_a_photo_that_takes_too_long_is_left_out(tmp_path: Path) -> None:
    """Decoding and analyzing take longer than the limit at any rate."""
    Image.new("RGB", (9900, 9900)).save(tmp_path / "large.png", compress_level=1)
    job = Job(7, (PhotoRef("a", "a", "file", str(tmp_path / "large.png")),))
    piece, end = ray_engine.run([job], Settings(timeout_s=0.02), workers=1)
    assert isinstance(piece, Piece) and end == Outcome(7, None)
    assert "took longer than 0.02 s" in pq.read_table(pa.BufferReader(piece.content))["error"][0].as_py()


@pytest.mark.usefixtures("ray")
def test_other_networks_end_the_run(album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver has another version than the machines of the cluster."""
    monkeypatch.setattr("facegeom.batch.run.version", lambda package: "9.9")
    with pytest.raises(InputError, match=r"has another facegeom than the run: .*, not 9\.9"):
        analyze_many([album], tmp_path / "out", engine="ray", workers=1)


@pytest.mark.usefixtures("ray", "in_process")
def test_as_many_workers_as_cores(album: Path, tmp_path: Path) -> None:
    """Nothing else of Ray waits for a core that the workers hold."""
    cores = os.cpu_count() or 1  # as many as the fixture's Ray has
    end = analyze_many([album], tmp_path / "ray", engine="ray", workers=max(2, cores), part_size=1)
    assert end.done.photos == 10 and end.open == 0


def test_nothing_to_do(ray: Any) -> None:
    assert list(ray_engine.run([], Settings(), workers=1)) == []


@pytest.mark.parametrize(("jobs", "workers", "blocks"), [(10, 2, 10), (10**6, 2, 4096), (10**5, 3200, 51200)])
def test_enough_tasks_for_all_workers(
    ray: Any, monkeypatch: pytest.MonkeyPatch, jobs: int, workers: int, blocks: int
) -> None:
    """With as many tasks as workers, or somewhat more, most workers would wait for a few at the end."""

    def cut(numbers: list[int], override_num_blocks: int) -> None:
        raise LookupError(f"{len(numbers)} jobs in {override_num_blocks} tasks")

    monkeypatch.setattr(ray.data, "from_items", cut)
    with pytest.raises(LookupError, match=f"{jobs} jobs in {blocks} tasks"):
        list(ray_engine.run(range(jobs), Settings(), workers))  # type: ignore[arg-type]


def test_without_ray(album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'facegeom\[batch\]'"):
        analyze_many([album], tmp_path / "out", engine="ray")


class TaskError(Exception):
    """Like Ray's error of this name: the worker's own error is in ``cause``."""

    def __init__(self, cause: Exception) -> None:
        super().__init__("Traceback:\n  much text\nInputError: min_score: expected a number")
        self.cause = cause


def test_errors_of_workers_are_raised_unchanged() -> None:
    wrong = InputError("min_score: expected a number")
    for error in (TaskError(wrong), TaskError(TaskError(wrong))):
        assert ray_engine.root_cause(error) is wrong
    other = ray_engine.root_cause(TaskError(KeyError("x")))
    assert isinstance(other, WorkerError)
    assert str(other) == "Ray failed: InputError: min_score: expected a number"


def test_errors_of_constructors_are_found_in_the_text() -> None:
    text = "The actor died:\n  File x\nfacegeom.errors.InputError: the machine vm has another facegeom\nmore"
    error = ray_engine.root_cause(RuntimeError(text))
    assert type(error) is InputError and str(error) == "the machine vm has another facegeom"


class RefusingRay:
    """Ray of a cluster that cannot be joined."""

    def __init__(self, words: str) -> None:
        self.words = words

    def is_initialized(self) -> bool:
        return False

    def init(self, **options: object) -> None:
        assert options["address"] == "head:6379"
        raise RuntimeError(self.words)

    def shutdown(self) -> None: ...


REFUSALS: list[tuple[str, type[Exception], str]] = [
    (
        "Traceback\n" * 60 + "Unauthenticated: InvalidAuthToken",
        InputError,
        "head:6379 refuses the token; set RAY",
    ),
    ("Failed to connect to GCS", UnreachableError, "head:6379 cannot be reached: Failed to connect"),
]


@pytest.mark.parametrize(("words", "kind", "message"), REFUSALS)
def test_clusters_that_refuse(words: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        ray_engine.connect(RefusingRay(words), 2, "head:6379")
    assert len(str(caught.value)) < 500
    with pytest.raises(InputError, match="expected the address of the cluster, such as host:6379"):
        ray_engine.connect(RefusingRay(""), 2, "ray://head:10001")

"""Worker processes of the service: what they answer, how many there are, and when they die."""

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from facegeom.errors import InputError
from facegeom.serve import crew
from facegeom.serve.crew import Seat, hired, sizes
from facegeom.serve.refusals import RefusedError
from facegeom.serve.work import Done, Task


@pytest.fixture(scope="module")
def seat() -> Iterator[Seat]:
    with hired(1, "cpu", 1) as seats:
        yield seats[0]


def test_answers(seat: Seat, portrait: Path) -> None:
    done, refused = seat([Task(portrait.read_bytes()), Task(b"no photo")])
    assert isinstance(done, Done) and done.faces == 1
    assert "not a picture" in str(refused)


def test_a_worker_killed_from_outside_is_replaced(
    seat: Seat, portrait: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = seat.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    with caplog.at_level(logging.WARNING):
        results = seat([Task(portrait.read_bytes())] * 2)
    assert [result.faces for result in results if isinstance(result, Done)] == [1, 1]
    assert seat.pid not in (None, before) and f"(pid {before}) ended by signal 9" in caplog.text


class Killer:
    """Stands for a worker process; a photo b"deadly" ends it."""

    started = 0

    def __init__(self, *options: object) -> None:
        Killer.started += 1

    def call(self, tasks: list[Task]) -> list[Done]:
        if any(task.content == b"deadly" for task in tasks):
            raise crew.DiedError("a worker process (pid 1) ended by signal 11")
        return [Done(task.content, 0) for task in tasks]


def test_a_deadly_photo_is_refused_and_the_others_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "start", Killer)
    seat = Seat("cpu", 1)
    one, deadly, other = seat([Task(b"one"), Task(b"deadly"), Task(b"other")])
    assert one == Done(b"one", 0) and other == Done(b"other", 0)
    assert isinstance(deadly, RefusedError) and deadly.status == 500
    assert Killer.started == 3 and len(seat([Task(b"next")])) == 1


def test_workers_that_cannot_be_made() -> None:
    with pytest.raises(InputError, match="onnxruntime-gpu"), hired(2, "cuda", 1):
        pass


@pytest.mark.parametrize(
    ("cores", "device", "asked", "expected"),
    [
        (1, "cpu", (None, None), (1, 1)),
        (2, "cpu", (None, None), (2, 1)),
        (16, "cpu", (None, None), (4, 4)),
        (16, "cpu", (8, None), (8, 2)),
        (2, "cpu", (4, None), (4, 1)),
        (16, "cpu", (2, 3), (2, 3)),
        (16, "cuda", (None, None), (1, 16)),
    ],
)
def test_sizes(
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    device: str,
    asked: tuple[int | None, int | None],
    expected: tuple[int, int],
) -> None:
    monkeypatch.setattr(crew, "_cores", lambda: cores)
    assert sizes(device, *asked) == expected

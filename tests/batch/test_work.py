"""The crash tracker: which photos are skipped when workers die; and the rows of skipped photos."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facegeom import FaceAnalyzer
from facegeom.batch.input_index import Job
from facegeom.batch.sources import list_photos
from facegeom.batch.work import Attempt, CrashTracker, Settings, Worker
from facegeom.worker_pool.process import WorkerError

from .conftest import part_of

NONE: dict[int, str] = {}


def test_parts_without_deaths_are_never_tracked() -> None:
    tracker = CrashTracker()
    for part in range(5):
        assert tracker.start(part) == Attempt(track=False, skip=NONE)
        tracker.finish(part)


def test_two_deaths_start_tracking() -> None:
    tracker = CrashTracker()
    assert [tracker.start(7).track for _ in range(4)] == [False, False, True, True]
    assert tracker.start(8).track is False


def test_a_photo_with_two_tracked_deaths_is_skipped() -> None:
    tracker = CrashTracker()
    for expected in ([], [], [], [], [5]):
        attempt = tracker.start(0)
        assert list(attempt.skip) == expected
        if attempt.track:
            tracker.start_photo(0, 4)
            tracker.start_photo(0, 5)


def test_deaths_at_different_photos_skip_none() -> None:
    tracker = CrashTracker()
    for photo in range(10):
        assert tracker.start(0).skip == NONE
        tracker.start_photo(0, photo)


def test_two_deadly_photos() -> None:
    tracker = CrashTracker()
    deadly, attempts = {3, 6}, 0
    while True:
        attempts += 1
        attempt = tracker.start(0)
        remaining = sorted(deadly - attempt.skip.keys())
        if not remaining:
            break
        if attempt.track:
            tracker.start_photo(0, remaining[0])
    assert (attempt.skip.keys(), attempts) == (deadly, 7)


def test_an_overdue_photo_is_skipped_at_once_and_costs_no_death() -> None:
    tracker = CrashTracker()
    tracker.start(0)
    tracker.overdue(0, 4, 30.0)
    assert [tracker.start(0).track for _ in range(3)] == [False, False, True]
    assert tracker.start(0).skip == {4: "it took longer than 30 s and was left out; see --timeout"}
    with pytest.raises(WorkerError, match="do not finish within 30 s; give more time"):
        tracker.overdue(0, 4, 30.0)
    tracker.finish(0)
    assert tracker.start(0).skip == NONE


def test_finished_parts_are_forgotten() -> None:
    tracker = CrashTracker()
    for _ in range(4):
        tracker.start(0)
        tracker.start_photo(0, 1)
    tracker.finish(0)
    assert tracker.start(0) == Attempt(track=False, skip=NONE)


def test_skipped_photos_have_a_row(album: Path) -> None:
    photos = tuple(list_photos([album]))
    attempt = Attempt(False, {1: "a worker died on this photo"})
    content = part_of(Worker(Settings()), Job(1, photos[2:4]), attempt)
    errors = pq.read_table(pa.BufferReader(content))["error"].to_pylist()
    assert errors[0] is None and "died on this photo" in errors[1]


@pytest.mark.parametrize(
    ("error", "message"),
    [(MemoryError(), "not enough memory"), (KeyError("a\nb"), "unexpected KeyError: 'a\\nb'")],
)
def test_unexpected_errors_are_reasons(
    album: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def fail(self: FaceAnalyzer, source: bytes) -> None:
        raise error

    monkeypatch.setattr(FaceAnalyzer, "__call__", fail)
    content = part_of(Worker(Settings()), Job(0, tuple(list_photos([album]))[1:3]))
    reasons = pq.read_table(pa.BufferReader(content))["error"].to_pylist()
    assert len(reasons) == 2 and all(message in reason for reason in reasons)

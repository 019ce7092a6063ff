"""Photos of many requests through one analyzer, together."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from copy import copy
from dataclasses import astuple, dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread

from facegeom.analyzer import FaceAnalyzer
from facegeom.geometry.camera import DEFAULT_FOV_DEG
from facegeom.imaging import UInt8Array
from facegeom.results import Faces


@dataclass(frozen=True)
class Look:
    """How one photo is to be analysed; the fields are those of :class:`FaceAnalyzer`."""

    min_face: float | None = None
    max_faces: int | None = None
    min_score: float = 0.9
    fov_deg: float = DEFAULT_FOV_DEG


@dataclass(frozen=True)
class _Job:
    image: UInt8Array
    look: Look
    answer: "Future[Faces]" = field(default_factory=Future)


class Batcher:
    """One thread that owns the analyzer and takes what has come, up to a number of photos at a time.

    While a batch is at work the next one gathers, so that under load nobody waits for company.

    Args:
        analyzer: its networks are used; its own settings are not.
        most: photos in a batch.
        wait_s: how long the first photo of a batch waits for others, seconds.
        seen: called with the size of each batch.
    """

    def __init__(
        self,
        analyzer: FaceAnalyzer,
        most: int,
        wait_s: float,
        seen: Callable[[int], object] = lambda size: None,
    ) -> None:
        self._analyzer, self._most, self._wait_s, self._seen = analyzer, most, wait_s, seen
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="facegeom-analyzer", daemon=True)
        self._thread.start()

    def submit(self, image: UInt8Array, look: Look) -> "Future[Faces]":
        """The answer to come for a picture (H, W, 3) uint8 RGB; cancel it to leave the queue."""
        job = _Job(image, look)
        self._jobs.put(job)
        return job.answer

    def close(self) -> None:
        """Finish what was submitted, then end the thread."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            jobs, last = self._gather()
            jobs = [job for job in jobs if job.answer.set_running_or_notify_cancel()]
            if jobs:
                self._seen(len(jobs))
                self._answer(jobs)
            if last:
                return

    def _gather(self) -> tuple[list[_Job], bool]:
        """The next batch, and whether it is the last."""
        job = self._jobs.get()
        jobs: list[_Job] = []
        deadline = time.monotonic() + self._wait_s
        while job is not None:
            jobs.append(job)
            if len(jobs) == self._most:
                return jobs, False
            try:
                job = self._jobs.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                return jobs, False
        return jobs, True

    def _answer(self, jobs: Sequence[_Job]) -> None:
        alike: dict[Look, list[_Job]] = defaultdict(list)
        for job in jobs:
            alike[job.look].append(job)
        for look, group in alike.items():
            _analyze(with_look(self._analyzer, look), group)


def with_look(analyzer: FaceAnalyzer, look: Look) -> FaceAnalyzer:
    """An analyzer with other settings over the same networks."""
    view = copy(analyzer)
    view.min_face, view.max_faces, view.min_score, view.fov_deg = astuple(look)
    return view


def _analyze(analyzer: FaceAnalyzer, jobs: Sequence[_Job]) -> None:
    """Answer jobs together; if that fails, each alone, so that only those to blame fail."""
    try:
        answers = analyzer.batch([job.image for job in jobs])
    except Exception as error:  # whatever it is belongs to a request, and the thread must live on
        if len(jobs) == 1:
            jobs[0].answer.set_exception(error)
            return
        for job in jobs:
            _analyze(analyzer, [job])
    else:
        for job, faces in zip(jobs, answers, strict=True):
            job.answer.set_result(faces)

"""Tasks of many requests to the workers, together."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from math import ceil
from queue import SimpleQueue
from threading import Lock, Thread

from facegeom.errors import FacegeomError
from facegeom.serve.work import Done, Task, Work


@dataclass(frozen=True)
class _Job:
    task: Task
    answer: "Future[Done]" = field(default_factory=Future)


class Batcher:
    """One thread for each worker; a free one takes its share of what has come, up to a number of photos.

    While the workers are busy the next batches gather, so that under load nobody waits for company.

    Args:
        crew: the workers; each is called by its own thread alone.
        most: photos in a batch.
        seen: called with the size of each batch.
    """

    def __init__(
        self,
        crew: Sequence[Work],
        most: int,
        seen: Callable[[int], object] = lambda size: None,
    ) -> None:
        self._most, self._seen = most, seen
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._gathering = Lock()
        self._threads = [
            Thread(target=self._run, args=(work,), name="facegeom-batcher", daemon=True) for work in crew
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task) -> "Future[Done]":
        """The answer to come; cancel it to leave the queue."""
        job = _Job(task)
        self._jobs.put(job)
        return job.answer

    def close(self) -> None:
        """Finish what was submitted, then end the threads."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self, work: Work) -> None:
        last = False
        while not last:
            with self._gathering:
                jobs, last = self._gather()
            jobs = [job for job in jobs if job.answer.set_running_or_notify_cancel()]
            if jobs:
                self._seen(len(jobs))
                _answer(work, jobs)

    def _gather(self) -> tuple[list[_Job], bool]:
        """The next batch, a fair share of what waits, and whether the thread shall end."""
        jobs: list[_Job] = []
        job = self._jobs.get()
        share = min(self._most, ceil((1 + self._jobs.qsize()) / len(self._threads)))
        while job is not None:
            jobs.append(job)
            if len(jobs) == share:
                return jobs, False
            job = self._jobs.get()  # it is there: nobody else takes any now
        return jobs, True


def _answer(work: Work, jobs: Sequence[_Job]) -> None:
    try:
        results = work([job.task for job in jobs])
    except Exception as error:  # it belongs to these requests, and the thread must live on
        for job in jobs:
            job.answer.set_exception(error)
        return
    for job, result in zip(jobs, results, strict=True):
        if isinstance(result, FacegeomError):
            job.answer.set_exception(result)
        else:
            job.answer.set_result(result)

"""Photos of many requests in common batches: the service between the routes and the workers."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from math import ceil
from queue import SimpleQueue
from threading import Lock, Thread

from facegeom.errors import FacegeomError
from facegeom.image import reading
from facegeom.serve.limits import PixelBudget, RequestSlots, Settings, check_photo
from facegeom.serve.middleware import Metrics
from facegeom.serve.work import EncodedFaces, Task, TaskFunction

LARGEST_PHOTOS_IN_MEMORY = 4
"""Decoded photos of ``max_pixels`` in memory at once; of smaller photos accordingly more."""


class Service:
    """State shared by all requests. Create it in the event loop that uses it."""

    def __init__(self, workers: Sequence[TaskFunction], settings: Settings, metrics: Metrics) -> None:
        self.settings, self.metrics = settings, metrics
        self.slots = RequestSlots(settings.queue)
        metrics.in_work.set_function(lambda: self.slots.taken)
        self._pixels = PixelBudget(LARGEST_PHOTOS_IN_MEMORY * settings.max_pixels)
        self._batcher = Batcher(workers, settings.batch, metrics.batch.observe)

    async def analyze(self, task: Task) -> bytes:
        """Return the body of the response.

        Raises:
            RefusedError: 404, 413 or 422, the photo or its options exceed a limit; 500, an internal error.
            ImageError: the photo cannot be read.
        """
        width, height = await asyncio.to_thread(reading.header_size_wh, task.content)
        options = task.options
        check_photo(width, height, self.settings, options.min_face, options.orientation)
        async with self._pixels.hold(width * height):
            faces = await asyncio.wrap_future(self._batcher.submit(task))
        self.metrics.faces.inc(faces.count)
        return faces.body

    def close(self) -> None:
        """Finish the submitted tasks, then end the threads."""
        self._batcher.close()


@dataclass(frozen=True)
class _Job:
    task: Task
    future: "Future[EncodedFaces]" = field(default_factory=Future)


class Batcher:
    """Queue of tasks with one thread per worker.

    A free worker takes its share of the waiting tasks, at most ``max_batch``, without a batching delay. While
    all workers are busy, tasks gather for the next batches. ``observe`` gets the size of each batch.
    """

    def __init__(
        self,
        workers: Sequence[TaskFunction],
        max_batch: int,
        observe: Callable[[int], object] = lambda size: None,
    ) -> None:
        self._max_batch, self._observe = max_batch, observe
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._gathering = Lock()
        self._threads = [
            Thread(target=self._run, args=(worker,), name="facegeom-batcher", daemon=True)
            for worker in workers
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task) -> "Future[EncodedFaces]":
        """Queue a task and return the future of its result; cancel it to leave the queue."""
        job = _Job(task)
        self._queue.put(job)
        return job.future

    def close(self) -> None:
        """Finish the submitted tasks, then end the threads."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self, worker: TaskFunction) -> None:
        last = False
        while not last:
            with self._gathering:
                jobs, last = self._gather()
            jobs = [job for job in jobs if job.future.set_running_or_notify_cancel()]
            if jobs:
                self._observe(len(jobs))
                _run_batch(worker, jobs)

    def _gather(self) -> tuple[list[_Job], bool]:
        """Return the next batch, and whether the thread must end after it."""
        jobs: list[_Job] = []
        job = self._queue.get()
        size = min(self._max_batch, ceil((1 + self._queue.qsize()) / len(self._threads)))
        while job is not None:
            jobs.append(job)
            if len(jobs) == size:
                return jobs, False
            job = self._queue.get()  # does not block: the lock keeps other threads from taking it
        return jobs, True


def _run_batch(worker: TaskFunction, jobs: Sequence[_Job]) -> None:
    try:
        results = worker([job.task for job in jobs])
    except Exception as error:  # these requests fail; the thread must survive
        for job in jobs:
            job.future.set_exception(error)
        return
    for job, result in zip(jobs, results, strict=True):
        if isinstance(result, FacegeomError):
            job.future.set_exception(result)
        else:
            job.future.set_result(result)

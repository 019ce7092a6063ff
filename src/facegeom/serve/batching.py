"""Photos of many requests in common batches: the service between the routes and the workers."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from math import ceil
from threading import Condition, Event, Thread

from facegeom.errors import FacegeomError
from facegeom.image import reading
from facegeom.serve.formats import FORMATS
from facegeom.serve.limits import ByteBudget, RequestSlots, Settings, busy, check_photo
from facegeom.serve.middleware import Metrics
from facegeom.serve.problems import RefusedError, internal_error
from facegeom.serve.uploads import Uploads
from facegeom.serve.work import EncodedFaces, Result, Task, TaskFunction
from facegeom.worker_pool.process import WorkerDiedError, WorkerOverdueError

_log = logging.getLogger(__name__)

BODIES_IN_MEMORY = 6
"""Uploads of ``max_bytes`` in memory at once; of smaller ones accordingly more."""

MAX_DEATHS = 3
"""Workers that may die of a photo before it is refused: chance may kill two."""

BATCH_PIXELS = 8_000_000
"""Most pixels of the photos in one batch."""

LARGE_PIXELS = 4_000_000
"""A photo of more pixels is large: it is a batch alone."""

RESERVE_S = 2.0
"""After a small photo one worker takes no large photos for so many seconds."""

_CLOSE_S = 1.0


class Service:
    """State shared by all requests. Create it in the event loop that uses it."""

    def __init__(self, workers: Sequence[TaskFunction], settings: Settings, metrics: Metrics) -> None:
        self.settings, self.metrics = settings, metrics
        self.slots, self.uploads = RequestSlots(settings.queue), Uploads(settings, len(workers))
        self.bytes = ByteBudget(BODIES_IN_MEMORY * settings.max_bytes)
        metrics.in_work.set_function(lambda: self.slots.taken)
        self._batcher = Batcher(workers, settings.batch, metrics.batch.observe)

    async def analyze(self, task: Task) -> bytes:
        """Return the body of the response.

        Raises:
            RefusedError: 404, 413 or 422, the photo or its options exceed a limit; 500, an internal error;
                503, no worker began in time; 504, the photo took too long.
            ImageError: the photo cannot be read.
        """
        width, height = await asyncio.to_thread(reading.header_size_wh, task.content)
        options = task.options
        check_photo(width, height, self.settings, options.min_face, options.orientation)
        job = self._batcher.submit(task, width * height * FORMATS[options.format or "json"].cost)
        future = asyncio.wrap_future(job.future)
        future.add_done_callback(lambda done: done.cancelled() or done.exception())  # also if nobody waits
        try:
            done, _ = await asyncio.wait({future}, timeout=self.settings.wait_s)
            if not done and self._batcher.withdraw(job):
                raise busy(f"no worker was free for {self.settings.wait_s:g} s")
            faces = await future
        finally:
            self._batcher.withdraw(job)
            del job, future  # an error refers to this frame: together they would keep the photo
        self.metrics.faces.inc(faces.count)
        return faces.body

    def close(self) -> None:
        """Finish the submitted tasks, then end the threads."""
        self._batcher.close()


@dataclass(eq=False)
class Job:
    """A photo in the queue or in work.

    Attributes:
        task: the request.
        pixels: size of the photo, times the cost of the response's format.
        future: the result.
        deaths: workers that died while they had it.
    """

    task: Task
    pixels: int = 0
    future: "Future[EncodedFaces]" = field(default_factory=Future)
    deaths: int = 0


class Batcher:
    """Queue of tasks with one thread per worker.

    A free worker takes its share of the waiting tasks, at most ``max_batch``, without a batching delay. While
    all workers are busy, tasks gather for the next batches. Large photos wait in a queue of their own, and
    leave one worker to the small ones. Photos of a worker that died come first, each alone. ``observe`` gets
    the size of each batch.
    """

    def __init__(
        self,
        workers: Sequence[TaskFunction],
        max_batch: int,
        observe: Callable[[int], object] = lambda size: None,
    ) -> None:
        self._max_batch, self._observe = max_batch, observe
        self._changed, self._closing = Condition(), Event()
        self._again, self._small, self._large = deque[Job](), deque[Job](), deque[Job]()
        self._on_large, self._reserved_until = 0, 0.0
        self._threads = [
            Thread(target=self._run, args=(worker,), name="facegeom-batcher", daemon=True)
            for worker in workers
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task, pixels: int = 0) -> Job:
        """Queue a task and return it with the future of its result."""
        job = Job(task, pixels)
        with self._changed:
            if pixels > LARGE_PIXELS:
                self._large.append(job)
            else:
                self._small.append(job)
                self._reserved_until = time.monotonic() + RESERVE_S
            self._changed.notify_all()
        return job

    def withdraw(self, job: Job) -> bool:
        """Cancel a task that no worker has begun; return whether that was so."""
        with self._changed:
            for queue in (self._small, self._large):
                if job in queue:
                    queue.remove(job)
                    return job.future.cancel()
        return False

    def close(self) -> None:
        """Finish the submitted tasks, then end the threads; leave a thread that works on for long."""
        with self._changed:
            self._closing.set()
            self._changed.notify_all()
        end = time.monotonic() + _CLOSE_S
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _run(self, worker: TaskFunction) -> None:
        while jobs := self._next_batch():
            self._observe(len(jobs))
            died = False
            try:
                _deliver(jobs, worker([job.task for job in jobs]))
            except WorkerDiedError as death:
                self._try_again(jobs, death)
                died = True
            except Exception as error:  # these requests fail; the thread must survive
                for job in jobs:
                    job.future.set_exception(error)
            with self._changed:
                self._on_large -= jobs[0].pixels > LARGE_PIXELS
                self._changed.notify_all()
            if died:
                self._restart(worker)

    def _next_batch(self) -> list[Job]:
        """Wait for a batch and return it; return none when the thread must end."""
        with self._changed:
            while not (jobs := self._take()):
                if self._closing.is_set():
                    return []
                self._changed.wait(RESERVE_S if self._large else None)
            self._on_large += jobs[0].pixels > LARGE_PIXELS
            return jobs

    def _take(self) -> list[Job]:
        """Take the tasks of the next batch from the queues."""
        if self._again:
            return [self._again.popleft()]
        jobs: list[Job] = []
        most, room = min(self._max_batch, ceil(len(self._small) / len(self._threads))), BATCH_PIXELS
        while self._small and len(jobs) < most and (not jobs or self._small[0].pixels <= room):
            job = self._small.popleft()
            if job.future.set_running_or_notify_cancel():
                jobs.append(job)
                room -= job.pixels
        while self._large and not jobs and not self._is_reserved():
            job = self._large.popleft()
            if job.future.set_running_or_notify_cancel():
                jobs = [job]
        return jobs

    def _is_reserved(self) -> bool:
        """Return whether the last worker without a large photo is kept for small ones."""
        others = len(self._threads) - 1
        reserved = time.monotonic() < self._reserved_until and not self._closing.is_set()
        return reserved and 0 < others <= self._on_large

    def _try_again(self, jobs: Sequence[Job], death: WorkerDiedError) -> None:
        """Queue the tasks of a dead worker again, except those that it seems to have died of."""
        for job in jobs:
            job.deaths += 1
            if isinstance(death, WorkerOverdueError) and len(jobs) == 1:
                job.future.set_exception(
                    RefusedError(504, "the analysis took too long; send a smaller photo")
                )
            elif job.deaths == MAX_DEATHS:
                job.future.set_exception(internal_error())
            else:
                with self._changed:
                    self._again.append(job)
                    self._changed.notify_all()

    def _restart(self, worker: TaskFunction) -> None:
        """Call a worker without tasks, until that succeeds: then its process runs."""
        while not self._closing.is_set():
            try:
                worker([])
                return
            except (WorkerDiedError, FacegeomError) as error:
                _log.error("a worker does not start: %s", error)
                self._closing.wait(1.0)


def _deliver(jobs: Sequence[Job], results: Sequence[Result]) -> None:
    for job, result in zip(jobs, results, strict=True):
        if isinstance(result, FacegeomError):
            job.future.set_exception(result)
        else:
            job.future.set_result(result)

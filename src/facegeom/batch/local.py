"""The local engine: worker processes on this machine, each replaced when it dies."""

import logging
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from facegeom.batch.input_index import Job
from facegeom.batch.work import CrashTracker, Settings
from facegeom.worker_pool.process import WorkerDiedError, WorkerOverdueError, WorkerProcess, start

_log = logging.getLogger(__name__)

_WORKER = "facegeom.batch.work:Worker"


def run(jobs: Iterable[Job], settings: Settings, workers: int) -> Iterator[tuple[int, bytes]]:
    """Process jobs and yield the number and content of each part file, in the order they finish.

    Args:
        jobs: taken one at a time as workers become free.
        settings: of the workers.
        workers: number of processes.

    Raises:
        FacegeomError: the settings are wrong, or workers do not start.
    """
    pool = _Pool(iter(jobs), settings, workers)
    try:
        yield from pool.results()
    finally:
        pool.close()


class _Pool:
    """A pool with one thread for each worker process: the thread waits, the process computes."""

    def __init__(self, jobs: Iterator[Job], settings: Settings, workers: int) -> None:
        self._jobs, self._settings = jobs, settings
        self._lock = threading.Lock()
        self._crashes = CrashTracker()
        self._stop = threading.Event()
        self._results: queue.Queue[Any] = queue.Queue(maxsize=2 * workers)
        self._processes: dict[int, WorkerProcess] = {}  # by slot
        self._threads = [threading.Thread(target=self._run_slot, args=(slot,)) for slot in range(workers)]
        for thread in self._threads:
            thread.start()

    def results(self) -> Iterator[tuple[int, bytes]]:
        """Yield results until every thread has ended; raise the first error of a thread."""
        working = len(self._threads)
        while working:
            message = self._results.get()
            if isinstance(message, BaseException):
                raise message
            if message is None:
                working -= 1
            else:
                yield message

    def close(self) -> None:
        """Stop all threads and kill all workers."""
        self._stop.set()
        for thread in self._threads:
            while thread.is_alive():
                for process in list(self._processes.values()):
                    process.kill()
                while not self._results.empty():  # a thread may be waiting for room in the queue
                    self._results.get_nowait()
                thread.join(0.05)

    def _run_slot(self, slot: int) -> None:
        """Process jobs in one thread until none is left, then put None in the queue."""
        try:
            while (job := self._next_job()) is not None:
                self._results.put((job.part, self._process(slot, job)))
            self._results.put(None)
        except BaseException as error:  # results() raises it again in the caller's thread
            self._results.put(error)
        finally:
            if process := self._processes.pop(slot, None):
                process.end()

    def _next_job(self) -> Job | None:
        with self._lock:
            return None if self._stop.is_set() else next(self._jobs, None)

    def _process(self, slot: int, job: Job) -> bytes:
        """Return the part file of a job, starting new workers until one completes it."""
        while True:
            if slot not in self._processes:
                self._processes[slot] = start(_WORKER, self._settings)
            attempt, current = self._crashes.start(job.part), [0]

            def on_photo(photo: int, current: list[int] = current) -> None:
                current[0] = photo
                self._crashes.start_photo(job.part, photo)

            timeout_s = self._settings.timeout_s
            try:
                process = self._processes[slot]
                content = process.call(job, dict(attempt.skip), on_message=on_photo, limit_s=timeout_s)
            except WorkerDiedError as death:
                del self._processes[slot]
                if self._stop.is_set():
                    raise
                if isinstance(death, WorkerOverdueError):
                    self._crashes.overdue(job.part, current[0], timeout_s)
                _log.warning("%s in part %d; another one takes over", death, job.part)
            else:
                self._crashes.finish(job.part)
                return bytes(content)

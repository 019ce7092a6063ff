"""The local engine: worker processes of this machine, each replaced when it dies."""

import logging
import queue
import threading
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from facegeom.batch.inventory import Job
from facegeom.batch.ledger import Attempt, Ledger
from facegeom.batch.work import Settings
from facegeom.worker_pool.process import DiedError, WorkerProcess, start

_log = logging.getLogger(__name__)

_WORKER = "facegeom.batch.work:Worker"


def run(jobs: Iterable[Job], settings: Settings, workers: int) -> Iterator[tuple[int, bytes]]:
    """Numbers and files of the parts, as they get ready.

    Args:
        jobs: taken one by one as workers get free.
        settings: of the workers.
        workers: processes.

    Raises:
        FacegeomError: the settings are wrong, or workers do not start.
    """
    pool = _Pool(iter(jobs), settings, workers)
    try:
        yield from pool.results()
    finally:
        pool.close()


class _Pool:
    """One thread for each worker process; the thread waits, the process works."""

    def __init__(self, jobs: Iterator[Job], settings: Settings, workers: int) -> None:
        self._jobs, self._settings = jobs, settings
        self._lock = threading.Lock()
        self._ledger = Ledger()
        self._stop = threading.Event()
        self._ready: queue.Queue[Any] = queue.Queue(maxsize=2 * workers)
        self._workers: dict[int, WorkerProcess] = {}
        self._threads = [threading.Thread(target=self._serve, args=(seat,)) for seat in range(workers)]
        for thread in self._threads:
            thread.start()

    def results(self) -> Iterator[tuple[int, bytes]]:
        """What the threads have ready, until all have ended; the first error of one is raised."""
        working = len(self._threads)
        while working:
            message = self._ready.get()
            if isinstance(message, BaseException):
                raise message
            if message is None:
                working -= 1
            else:
                yield message

    def close(self) -> None:
        """End workers and threads, whatever they are at."""
        self._stop.set()
        for thread in self._threads:
            while thread.is_alive():
                for worker in list(self._workers.values()):
                    worker.kill()
                while not self._ready.empty():  # a thread may wait for room
                    self._ready.get_nowait()
                thread.join(0.05)

    def _serve(self, seat: int) -> None:
        try:
            while (job := self._next()) is not None:
                self._ready.put((job.part, self._work(seat, job)))
            self._ready.put(None)
        except BaseException as error:  # raised again by results(), in the thread that wants the work
            self._ready.put(error)
        finally:
            if worker := self._workers.pop(seat, None):
                worker.end()

    def _next(self) -> Job | None:
        with self._lock:
            return None if self._stop.is_set() else next(self._jobs, None)

    def _work(self, seat: int, job: Job) -> bytes:
        """The part's file, with as many workers as it takes."""
        while True:
            if seat not in self._workers:
                self._workers[seat] = start(_WORKER, self._settings)
            attempt = self._ledger.enter(job.part)
            try:
                content = self._workers[seat].call(job, attempt.skip, told=partial(self._begun, job, attempt))
            except DiedError as death:
                del self._workers[seat]
                if self._stop.is_set():
                    raise
                _log.warning("%s in part %d; another one takes over", death, job.part)
            else:
                self._ledger.leave(job.part)
                return bytes(content)

    def _begun(self, job: Job, attempt: Attempt, place: int) -> None:
        if attempt.careful:
            self._ledger.begin(job.part, place)

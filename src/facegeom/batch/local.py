"""The local engine: worker processes on this machine, each replaced when it dies."""

import logging
import queue
from collections.abc import Iterable, Iterator
from functools import partial
from threading import Event, Lock, Thread
from typing import Any

from facegeom.batch.input_index import Job, Record
from facegeom.batch.work import Attempt, CrashTracker, Outcome, Piece, Settings
from facegeom.worker_pool.process import WorkerDiedError, WorkerOverdueError, WorkerProcess, start

_log = logging.getLogger(__name__)

_WORKER = "facegeom.batch.work:Worker"


def run(jobs: Iterable[Job], settings: Settings, workers: int) -> Iterator[Piece | Outcome]:
    """Process jobs and yield each part file and the end of each job, in the order they finish.

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
        self._lock = Lock()
        self._crashes = CrashTracker()
        self._stop = Event()
        self._results: queue.Queue[Any] = queue.Queue(maxsize=2 * workers)
        self._processes: dict[int, WorkerProcess] = {}  # by slot
        self._threads = [Thread(target=self._run_slot, args=(slot,), daemon=True) for slot in range(workers)]

    def results(self) -> Iterator[Piece | Outcome]:
        """Start the threads; yield results until all have ended; raise the first error of a thread."""
        for thread in self._threads:
            thread.start()
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
                self._results.put(Outcome(job.part, self._process(slot, job)))
            self._results.put(None)
        except BaseException as error:  # results() raises it again in the caller's thread
            self._results.put(error)
        finally:
            if process := self._processes.pop(slot, None):
                process.end()

    def _next_job(self) -> Job | None:
        with self._lock:
            return None if self._stop.is_set() else next(self._jobs, None)

    def _process(self, slot: int, job: Job) -> str | None:
        """Have a job done, by new workers until one completes it; return why it stays open, else None."""
        timeout_s = self._settings.timeout_s
        while True:
            if slot not in self._processes:
                register = partial(self._processes.__setitem__, slot)  # close() also kills who still starts
                self._processes[slot] = start(_WORKER, self._settings, on_spawn=register)
            attempt, watch = self._crashes.start(job.part), _Watch(job.part, self._crashes, self._results)
            try:
                call = self._processes[slot].call
                problem = call(
                    job, Attempt(attempt.track, dict(attempt.skip)), on_message=watch, limit_s=timeout_s
                )
            except WorkerDiedError as death:
                del self._processes[slot]
                if self._stop.is_set():
                    raise
                if isinstance(death, WorkerOverdueError):
                    self._crashes.overdue(job.part, watch.photo, timeout_s)
                _log.warning("%s in part %d; another one takes over", death, job.part)
                if watch.records and watch.records[-1].last:  # it died after its work was done
                    self._crashes.finish(job.part)
                    return None
                if not job.retry:
                    job = job._replace(records=(*job.records, *watch.records))
            else:
                self._crashes.finish(job.part)
                return None if problem is None else str(problem)


class _Watch:
    """Follow what a worker reports of a job: the current photo, and part files, which are passed on."""

    def __init__(self, part: int, crashes: CrashTracker, results: "queue.Queue[Any]") -> None:
        self._part, self._crashes, self._results = part, crashes, results
        self.photo, self.records = 0, list[Record]()

    def __call__(self, event: int | Piece | None) -> None:
        if isinstance(event, int):
            self.photo = event
            self._crashes.start_photo(self._part, event)
        elif event:
            self.records.append(event.record)
            self._results.put(event)

"""Worker processes of the service; one that dies is replaced."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Timer
from typing import Any

from facegeom.serve.problems import RefusedError, internal_error
from facegeom.serve.work import Result, Task
from facegeom.worker_pool import available_cores
from facegeom.worker_pool.process import WorkerDiedError, WorkerProcess, start

_log = logging.getLogger(__name__)

MAX_WORKERS = 4
"""Largest default number of workers: each holds the networks in memory."""

_WORKER = "facegeom.serve.work:Worker"


def workers_and_threads(device: str, workers: int | None, threads: int | None) -> tuple[int, int]:
    """Return the number of workers and of threads per worker.

    By default the workers share the cores of the processor; a GPU has one worker.
    """
    cores = available_cores()
    workers = workers or (min(MAX_WORKERS, cores) if device == "cpu" else 1)
    return workers, threads or max(1, cores // workers)


@contextmanager
def started_workers(
    count: int, options: Mapping[str, Any], limit_s: float
) -> Iterator[list["RestartingWorker"]]:
    """Start so many of :class:`RestartingWorker`, and end them when the context ends."""
    with ThreadPoolExecutor(count) as pool:  # each takes a second to start
        starts = [pool.submit(RestartingWorker, options, limit_s) for _ in range(count)]
    try:
        yield [each.result() for each in starts]
    finally:
        for each in starts:
            if each.exception() is None:
                each.result().end()


class RestartingWorker:
    """A worker process, started again when it dies or takes more than ``limit_s`` seconds for a batch.

    Raises:
        FacegeomError: :class:`FaceAnalyzer` refuses the arguments, or the process does not start.
    """

    def __init__(self, options: Mapping[str, Any], limit_s: float) -> None:
        self._options, self._limit_s = options, limit_s
        self._process: WorkerProcess | None = start(_WORKER, options)

    @property
    def pid(self) -> int | None:
        """Process id; None while no process runs."""
        return self._process.pid if self._process else None

    def __call__(self, tasks: Sequence[Task]) -> list[Result]:
        """Return the results of the tasks.

        If the worker dies, its successor gets each task alone; a task that ends a worker alone fails with
        status 500. If it takes too long, all tasks fail with status 504: their requests have ended by then.

        Raises:
            FacegeomError: no successor starts.
        """
        if results := self._try(tasks):
            return results
        return [result for task in tasks for result in self._try([task]) or [internal_error()]]

    def _try(self, tasks: Sequence[Task]) -> list[Result]:
        """Return the results of the worker, started if there is none; an empty list if it dies."""
        if self._process is None:
            self._process = start(_WORKER, self._options)
        process, overrun = self._process, Event()

        def end_overrun() -> None:
            overrun.set()
            process.kill()

        timer = Timer(self._limit_s, end_overrun)
        timer.start()
        try:
            return list(process.call(tasks))
        except WorkerDiedError as death:
            _log.warning("%s at %d photos; another one takes over", death, len(tasks))
            self._process = None
            if not overrun.is_set():
                return []
            detail = f"the analysis took longer than {self._limit_s:g} s, the limit; try again"
            return [RefusedError(504, detail) for _ in tasks]
        finally:
            timer.cancel()

    def end(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.end()

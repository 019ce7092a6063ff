"""Worker processes of the service; one that dies is replaced."""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from facegeom.serve.problems import internal_error
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
def started_workers(count: int, device: str, threads: int) -> Iterator[list["RestartingWorker"]]:
    """Start workers, and end them when the context ends.

    Args:
        count: number of processes.
        device: as for :class:`FaceAnalyzer`.
        threads: of each process, as for :class:`FaceAnalyzer`.

    Raises:
        FacegeomError: :class:`FaceAnalyzer` refuses the arguments, or the processes do not start.
    """
    with ThreadPoolExecutor(count) as pool:  # each takes a second to start
        starts = [pool.submit(RestartingWorker, device, threads) for _ in range(count)]
    try:
        yield [each.result() for each in starts]
    finally:
        for each in starts:
            if each.exception() is None:
                each.result().end()


class RestartingWorker:
    """A worker process, started again when it dies.

    Args:
        device, threads: as for :class:`FaceAnalyzer`.

    Raises:
        FacegeomError: :class:`FaceAnalyzer` refuses the arguments, or the process does not start.
    """

    def __init__(self, device: str, threads: int) -> None:
        self._arguments = (device, threads)
        self._process: WorkerProcess | None = start(_WORKER, *self._arguments)

    @property
    def pid(self) -> int | None:
        """Process id; None while no process runs."""
        return self._process.pid if self._process else None

    def __call__(self, tasks: Sequence[Task]) -> list[Result]:
        """Return the results of the tasks.

        If the worker dies, its successor gets each task alone; a task that ends a worker alone fails with
        status 500.

        Raises:
            FacegeomError: no successor starts.
        """
        if results := self._try(tasks):
            return results
        return [result for task in tasks for result in self._try([task]) or [internal_error()]]

    def _try(self, tasks: Sequence[Task]) -> list[Result]:
        """Return the results of the worker, started if there is none; an empty list if it dies."""
        if self._process is None:
            self._process = start(_WORKER, *self._arguments)
        try:
            return list(self._process.call(tasks))
        except WorkerDiedError as death:
            _log.warning("%s at %d photos; another one takes over", death, len(tasks))
            self._process = None
            return []

    def end(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.end()

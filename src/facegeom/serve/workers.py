"""Worker processes of the service; one that dies is replaced."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from facegeom.models.devices import EIGHT_BITS, resolve
from facegeom.parallel import available_cores
from facegeom.serve.work import Result, Task
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
    workers = workers or (min(MAX_WORKERS, cores) if resolve(device) in EIGHT_BITS else 1)
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
    """A worker process, started again after it died or took more than ``limit_s`` seconds for a batch.

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
        """Return the results of the tasks; without tasks, make sure that a process runs.

        Raises:
            WorkerOverdueError: it took too long and was killed.
            WorkerDiedError: it died.
            FacegeomError: no process starts.
        """
        if self._process is None:
            self._process = start(_WORKER, self._options)
        try:
            return list(self._process.call(tasks, limit_s=self._limit_s)) if tasks else []
        except WorkerDiedError as death:
            _log.warning("%s at %d photos; another one takes over", death, len(tasks))
            self._process = None
            raise

    def end(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.end()

"""The worker processes of a service; one that dies is replaced."""

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from facegeom.serve.refusals import failed
from facegeom.serve.work import Result, Task
from facegeom.worker_pool.process import DiedError, WorkerProcess, start

_log = logging.getLogger(__name__)

MOST = 4
"""Workers by default, where the processor has as many cores: each holds the networks in memory."""

_WORKER = "facegeom.serve.work:Worker"


def sizes(device: str, workers: int | None, threads: int | None) -> tuple[int, int]:
    """Number of workers and threads of each: by default the cores are shared out; a GPU has one worker."""
    cores = _cores()
    workers = workers or (min(MOST, cores) if device == "cpu" else 1)
    return workers, threads or max(1, cores // workers)


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def hired(workers: int, device: str, threads: int) -> Iterator[list["Seat"]]:
    """So many workers, ready, for as long as the context lasts.

    Args:
        workers: processes.
        device, threads: as for :class:`FaceAnalyzer`.

    Raises:
        FacegeomError: no analyzer can be made so, or workers do not start.
    """
    with ThreadPoolExecutor(workers) as pool:  # each takes a second to start
        starts = [pool.submit(Seat, device, threads) for _ in range(workers)]
    try:
        yield [each.result() for each in starts]
    finally:
        for each in starts:
            if each.exception() is None:
                each.result().end()


class Seat:
    """A worker process and its successors.

    Args:
        device, threads: as for :class:`FaceAnalyzer`.

    Raises:
        FacegeomError: no analyzer can be made so, or the process does not start.
    """

    def __init__(self, device: str, threads: int) -> None:
        self._options = (device, threads)
        self._process: WorkerProcess | None = start(_WORKER, *self._options)

    @property
    def pid(self) -> int | None:
        """Number of the process that sits here now, if one does."""
        return self._process.pid if self._process else None

    def __call__(self, tasks: Sequence[Task]) -> list[Result]:
        """The worker's answers; if it dies, its successor's to each task alone.

        Raises:
            FacegeomError: no successor starts.
        """
        if results := self._tried(tasks):
            return results
        return [result for task in tasks for result in self._tried([task]) or [failed()]]

    def _tried(self, tasks: Sequence[Task]) -> list[Result]:
        """The answers of the worker, or of a new one where there is none; nothing if it dies."""
        if self._process is None:
            self._process = start(_WORKER, *self._options)
        try:
            return list(self._process.call(tasks))
        except DiedError as death:
            _log.warning("%s at %d photos; another one takes over", death, len(tasks))
            self._process = None
            return []

    def end(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.end()

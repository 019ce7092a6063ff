"""The Ray engine: the same work with Ray Data, on this machine or on a cluster."""

import faulthandler
import logging
import os
import pickle
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import pyarrow as pa

from facegeom.batch.input_index import Job
from facegeom.batch.work import CrashTracker, Settings, Worker
from facegeom.errors import FacegeomError, InputError
from facegeom.worker_pool.process import Deadline, WorkerError

_START_ATTEMPTS = 3
_GRACE_S = 20.0
"""Seconds after its deadline in which a worker reports the photo and ends; where a decoder holds the
interpreter, a timer in C ends it then, unreported, and the photo counts as one that kills workers."""


def run(
    jobs: Iterable[Job], settings: Settings, workers: int, gpus_per_worker: float = 1.0
) -> Iterator[tuple[int, bytes]]:
    """Process jobs and yield the number and content of each part file, in the order they finish.

    Uses the running Ray (``ray.init`` was called, or RAY_ADDRESS is set). Otherwise starts one on this
    machine, without dashboard and usage statistics, and stops it at the end.

    Args:
        jobs: held in Ray's object store, compressed.
        settings: of the workers.
        workers: number of actors; each uses one core, or a fraction of a GPU.
        gpus_per_worker: that fraction, for the device "cuda".

    Raises:
        FacegeomError: the settings are wrong, or Ray is not installed or fails.
    """
    ray = import_ray()
    started_here = connect(ray, workers)
    try:
        items = [{"part": job.part, "job": zlib.compress(pickle.dumps(job))} for job in jobs]
        if items:
            yield from _results(ray, items, settings, workers, gpus_per_worker)
    except ray.exceptions.RayError as error:
        raise root_cause(error) from error
    finally:
        if started_here:
            ray.shutdown()


class RayWorker:
    """Callable of a Ray Data actor: takes batches of one job, returns batches of one part file."""

    def __init__(self, settings: Settings, crashes: Any) -> None:
        self._worker, self._crashes, self._timeout_s = Worker(settings), crashes, settings.timeout_s
        self._current = (0, 0)  # part and photo

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Process a table with the columns ``part`` and ``job``; return one with ``part`` and ``content``."""
        import ray

        job = pickle.loads(zlib.decompress(batch["job"][0].as_py()))
        attempt = ray.get(self._crashes.start.remote(job.part))
        with open(os.devnull, "w") as nothing, Deadline(self, self._timeout_s) as deadline:

            def on_photo(photo: int) -> None:
                deadline.extend()
                faulthandler.dump_traceback_later(self._timeout_s + _GRACE_S, exit=True, file=nothing)
                self._current = job.part, photo
                if attempt.track:
                    ray.get(self._crashes.start_photo.remote(job.part, photo))

            try:
                content = self._worker(job, attempt.skip, on_photo)
            finally:
                faulthandler.cancel_dump_traceback_later()
        self._crashes.finish.remote(job.part)
        return pa.table({"part": [job.part], "content": pa.array([content], pa.large_binary())})

    def kill(self) -> None:
        """End this process, which takes too long for a photo; Ray starts another one."""
        import ray

        with suppress(Exception):  # the end must not depend on Ray
            ray.get(self._crashes.overdue.remote(*self._current, self._timeout_s), timeout=_GRACE_S / 2)
        os._exit(1)


def _results(
    ray: Any, items: list[dict[str, Any]], settings: Settings, workers: int, gpus_per_worker: float
) -> Iterator[tuple[int, bytes]]:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.actor_task_retry_on_errors = True  # failed tasks like killed ones, limited by the crash tracker
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    crashes = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(CrashTracker).remote()
    resources = {"num_gpus": gpus_per_worker} if settings.device == "cuda" else {"num_cpus": 1}
    results = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        RayWorker,
        fn_constructor_args=(settings, crashes),
        batch_size=1,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2),
        **resources,
    )
    for table in results.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        for part, content in zip(table["part"].to_pylist(), table["content"], strict=True):
            yield part, content.as_py()


def import_ray() -> Any:
    """Import Ray on demand and return the module; raise an InputError if it is not installed."""
    try:
        import ray
        import ray.data
        import ray.exceptions
    except ImportError as error:
        raise InputError(
            "the engine 'ray' needs Ray: pip install 'facegeom[batch]', or use the engine 'local'"
        ) from error
    return ray


def connect(ray: Any, workers: int) -> bool:
    """Connect to Ray, or start one that holds so many actors; return whether the caller must shut it down.

    Raises:
        WorkerError: Ray does not start.
    """
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    cores = max(workers, os.cpu_count() or 1)
    local = {"address": "local", "num_cpus": cores, "include_dashboard": False}
    options = {} if os.environ.get("RAY_ADDRESS") else local
    problem = ""
    for _ in range(_START_ATTEMPTS):  # on a busy machine Ray's own processes may time out
        try:
            ray.init(logging_level=logging.ERROR, **options)
            return True
        except Exception as error:  # Ray raises no specific type
            problem = str(error)
            ray.shutdown()
    raise WorkerError(f"Ray does not start: {problem}")


def root_cause(error: Exception) -> FacegeomError:
    """Return the facegeom error that a worker raised, else a WorkerError with the last line of Ray's."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, FacegeomError):
            return cause
        cause = getattr(cause, "cause", None) or cause.__cause__
    return WorkerError(f"Ray failed: {str(error).strip().splitlines()[-1]}")

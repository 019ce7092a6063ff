"""The Ray engine: the same work by Ray Data, on this machine or on a cluster."""

import logging
import os
import pickle
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from facegeom.batch.inventory import Job
from facegeom.batch.ledger import Ledger
from facegeom.batch.work import Settings, Worker
from facegeom.errors import FacegeomError, InputError
from facegeom.worker_pool.process import WorkerError

_STARTS = 3


def run(
    jobs: Iterable[Job], settings: Settings, workers: int, gpus_per_worker: float = 1.0
) -> Iterator[tuple[int, bytes]]:
    """Numbers and files of the parts, as they get ready.

    Uses the Ray that is running (``ray.init`` was called, or RAY_ADDRESS is set), else starts one on this
    machine, without dashboard and usage statistics, and stops it at the end.

    Args:
        jobs: held in Ray's object store, compressed.
        settings: of the workers.
        workers: actors, one core each, or a share of a GPU.
        gpus_per_worker: that share, for the device "cuda".

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
        raise unwrapped(error) from error
    finally:
        if started_here:
            ray.shutdown()


class RayWorker:
    """What an actor of Ray Data runs: batches of one job in, batches of one part's file out."""

    def __init__(self, settings: Settings, ledger: Any) -> None:
        self._work, self._ledger = Worker(settings), ledger

    def __call__(self, batch: pa.Table) -> pa.Table:
        """The part's file, for a table with the columns ``part`` and ``job``."""
        import ray

        job = pickle.loads(zlib.decompress(batch["job"][0].as_py()))
        attempt = ray.get(self._ledger.enter.remote(job.part))

        def begin(place: int) -> None:
            if attempt.careful:
                ray.get(self._ledger.begin.remote(job.part, place))

        content = self._work(job, attempt.skip, begin)
        self._ledger.leave.remote(job.part)
        return pa.table({"part": [job.part], "content": pa.array([content], pa.large_binary())})


def _results(
    ray: Any, items: list[dict[str, Any]], settings: Settings, workers: int, gpus_per_worker: float
) -> Iterator[tuple[int, bytes]]:
    _quiet(ray.data.DataContext.get_current())
    ledger = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Ledger).remote()
    share = {"num_gpus": gpus_per_worker} if settings.device == "cuda" else {"num_cpus": 1}
    parts = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        RayWorker,
        fn_constructor_args=(settings, ledger),
        batch_size=1,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2),
        **share,
    )
    for table in parts.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        for part, content in zip(table["part"].to_pylist(), table["content"], strict=True):
            yield part, content.as_py()


def import_ray() -> Any:
    """The module, imported only where it is asked for; InputError when it is not installed."""
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
    """Have Ray; whether it was started for this, so that it is to be shut down.

    Args:
        ray: the module.
        workers: that will work on this machine.

    Raises:
        WorkerError: it does not start.
    """
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    cores = max(workers, os.cpu_count() or 1)
    own = {"address": "local", "num_cpus": cores, "include_dashboard": False}
    fresh = {} if os.environ.get("RAY_ADDRESS") else own
    problem = ""
    for _ in range(_STARTS):  # on a busy machine Ray loses patience with its own processes
        try:
            ray.init(logging_level=logging.ERROR, **fresh)
            return True
        except Exception as error:  # Ray raises nothing more special
            problem = str(error)
            ray.shutdown()
    raise WorkerError(f"Ray does not start: {problem}")


def _quiet(context: Any) -> None:
    """No bars but ours; what fails in a worker is tried again, as when it is killed: the ledger ends that."""
    context.enable_progress_bars = False
    context.actor_task_retry_on_errors = True
    logging.getLogger("ray.data").setLevel(logging.WARNING)


def unwrapped(error: Exception) -> FacegeomError:
    """The error of facegeom that a worker raised, else the first line of Ray's."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, FacegeomError):
            return cause
        cause = getattr(cause, "cause", None) or cause.__cause__
    return WorkerError(f"Ray failed: {str(error).strip().splitlines()[-1]}")

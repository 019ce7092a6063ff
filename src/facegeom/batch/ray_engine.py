"""The Ray engine: the same work with Ray Data, on this machine or on a cluster."""

import faulthandler
import logging
import os
import pickle
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from textwrap import shorten
from typing import Any

import pyarrow as pa

from facegeom import errors
from facegeom.batch.input_index import Job
from facegeom.batch.stores import UnreachableError
from facegeom.batch.work import Attempt, CrashTracker, Outcome, Piece, Settings, Worker
from facegeom.errors import FacegeomError, InputError
from facegeom.worker_pool.process import Deadline, WorkerError

_START_ATTEMPTS = 3
_MOST_BLOCKS, _BLOCKS_PER_WORKER = 4096, 16
"""Tasks into which Ray cuts many jobs: few, but so many for each worker that all of them end together."""

_BLOCK_BYTES = 1024
"""Of records that wait in a worker, so that the driver hears of every other job."""

_GRACE_S = 20.0
"""Seconds after its deadline in which a worker reports the photo and ends; where a decoder holds the
interpreter, a timer in C ends it then, unreported, and the photo counts as one that kills workers."""


def run(
    jobs: Sequence[Job],
    settings: Settings,
    workers: int,
    gpus_per_worker: float = 1.0,
    address: str | None = None,
) -> Iterator[Piece | Outcome]:
    """Process jobs and yield each part file and the end of each job, in the order they finish.

    Uses the running Ray (``ray.init`` was called), or that at the address or in RAY_ADDRESS. Otherwise starts
    one on this machine, without dashboard and usage statistics, and stops it at the end.

    Args:
        jobs: read one at a time by an actor beside this process; it can be pickled.
        settings: of the workers.
        workers: number of actors; each uses one core, or a fraction of a GPU.
        gpus_per_worker: that fraction, for the device "cuda".
        address: of a running cluster.

    Raises:
        FacegeomError: the settings are wrong, or Ray is not installed or fails.
        UnreachableError: the cluster cannot be reached.
    """
    ray = import_ray()
    started_here = connect(ray, workers, address)
    try:
        if len(jobs):
            yield from _results(ray, jobs, settings, workers, gpus_per_worker)
    except ray.exceptions.RayError as error:
        raise root_cause(error) from error
    finally:
        if started_here:
            ray.shutdown()


class Coordinator:
    """An actor on the driver's machine: hands out jobs, and keeps what must outlive a worker.

    Args:
        jobs: of the run.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs, self._crashes = jobs, CrashTracker()
        self._pieces: dict[int, list[Piece]] = {}  # of jobs that are being processed

    def start(self, number: int) -> tuple[Job, Attempt, list[Piece]]:
        """Return a job, how to process it, and the part files that an earlier worker has made of it."""
        job, pieces = self._jobs[number], self._pieces.setdefault(number, [])
        attempt = self._crashes.start(job.part)
        return job, Attempt(attempt.track, dict(attempt.skip)), pieces

    def add(self, number: int, piece: Piece) -> None:
        """Keep a part file of a job that goes on."""
        self._pieces[number].append(piece)

    def start_photo(self, part: int, photo: int) -> None:
        """Record that a worker starts a photo."""
        self._crashes.start_photo(part, photo)

    def overdue(self, part: int, photo: int, timeout_s: float) -> None:
        """Record that a worker is killed because a photo takes too long."""
        self._crashes.overdue(part, photo, timeout_s)

    def finish(self, number: int, part: int) -> None:
        """Forget a job that is done."""
        self._crashes.finish(part)
        if any(piece.content for piece in self._pieces.get(number, ())):
            del self._pieces[number]  # else small, and useful where Ray does a task of several jobs again


class RayWorker:
    """Callable of a Ray Data actor: takes a table with the number of one job, returns one of what it made."""

    def __init__(self, settings: Settings, coordinator: Any) -> None:
        self._worker, self._coordinator, self._timeout_s = Worker(settings), coordinator, settings.timeout_s
        self._writes = settings.writes
        self._current = (0, 0)  # part and photo

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Process the job of the column ``item``; return a row for each :class:`Piece` and the outcome."""
        import ray

        number = batch["item"][0].as_py()
        job, attempt, pieces = ray.get(self._coordinator.start.remote(number))
        if not job.retry:
            job = job._replace(records=(*job.records, *(piece.record for piece in pieces)))
        with open(os.devnull, "w") as nothing, Deadline(self, self._timeout_s) as deadline:

            def on_event(event: int | Piece | None) -> None:
                deadline.extend()
                faulthandler.dump_traceback_later(self._timeout_s + _GRACE_S, exit=True, file=nothing)
                if isinstance(event, int):
                    self._current = job.part, event
                    if attempt.track:
                        ray.get(self._coordinator.start_photo.remote(job.part, event))
                elif event:
                    pieces.append(event)
                    if self._writes:
                        self._coordinator.add.remote(number, event)

            try:
                problem = None
                if not (job.records and job.records[-1].last and not job.retry):
                    problem = self._worker(job, attempt, on_event)
            finally:
                faulthandler.cancel_dump_traceback_later()
        self._coordinator.finish.remote(number, job.part)
        events = [*pieces, Outcome(job.part, problem)]
        return pa.table({"event": pa.array(map(pickle.dumps, events), pa.large_binary())})

    def kill(self) -> None:
        """End this process, which takes too long for a photo; Ray starts another one."""
        import ray

        with suppress(Exception):  # the end must not depend on Ray
            ray.get(self._coordinator.overdue.remote(*self._current, self._timeout_s), timeout=_GRACE_S / 2)
        os._exit(1)


def _results(
    ray: Any, jobs: Sequence[Job], settings: Settings, workers: int, gpus_per_worker: float
) -> Iterator[Piece | Outcome]:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.actor_task_retry_on_errors = True  # failed tasks like killed ones, limited by the crash tracker
    context.target_max_block_size = _BLOCK_BYTES
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    keeper = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)
    coordinator = keeper(Coordinator).remote(jobs)
    resources = {"num_gpus": gpus_per_worker} if settings.device == "cuda" else {"num_cpus": 1}
    blocks = min(len(jobs), max(_MOST_BLOCKS, _BLOCKS_PER_WORKER * workers))
    numbers = list(range(len(jobs)))  # ray.data.range would need a core, which the actors may hold all
    results = ray.data.from_items(numbers, override_num_blocks=blocks).map_batches(
        RayWorker,
        fn_constructor_args=(settings, coordinator),
        batch_size=1,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2),
        **resources,
    )
    ended: set[int] = set()  # where a block is done again, all of its jobs are
    for table in results.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        for content in table["event"]:
            event = pickle.loads(content.as_py())
            if isinstance(event, Piece) or event.part not in ended:
                yield event
            if isinstance(event, Outcome):
                ended.add(event.part)


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


def connect(ray: Any, workers: int, address: str | None = None) -> bool:
    """Connect to Ray, or start one that holds so many actors; return whether the caller must shut it down.

    Raises:
        InputError: the address is that of Ray's client, or the cluster refuses the token.
        UnreachableError: the cluster cannot be reached.
        WorkerError: Ray does not start.
    """
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = address or os.environ.get("RAY_ADDRESS")
    if address and address.startswith("ray://"):
        raise InputError(
            f"expected the address of the cluster, such as host:6379, got {address!r}; run the command on a"
            " machine of the cluster, or by `ray job submit`"
        )
    cores = max(workers, os.cpu_count() or 1)
    local = {"address": "local", "num_cpus": cores, "include_dashboard": False}
    problem = ""
    for _ in range(1 if address else _START_ATTEMPTS):  # on a busy machine Ray's processes may time out
        try:
            ray.init(logging_level=logging.ERROR, **({"address": address} if address else local))
            return True
        except Exception as error:  # Ray raises no specific type
            problem = " ".join(str(error).split())
            with suppress(Exception):
                ray.shutdown()
    if re.search("token|[Aa]uthenticat", problem):
        raise InputError(
            f"the Ray cluster {address or ''} refuses the token; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
            f" or RAY_AUTH_TOKEN_PATH as on the cluster ({shorten(problem, 200, placeholder=' …')})"
        )
    if address:
        raise UnreachableError(
            f"the Ray cluster {address} cannot be reached: {shorten(problem, 200, placeholder=' …')}"
        )
    raise WorkerError(f"Ray does not start: {problem}")


def root_cause(error: Exception) -> FacegeomError:
    """Return the facegeom error that a worker raised, else a WorkerError with the last line of Ray's.

    Of errors of an actor's constructor Ray keeps the text alone.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, FacegeomError):
            return cause
        cause = getattr(cause, "cause", None) or cause.__cause__
    if told := re.search(r"^facegeom\.errors\.(\w+): (.+)$", str(error), re.MULTILINE):
        kind: type[FacegeomError] = getattr(errors, told[1], WorkerError)
        return kind(told[2])
    return WorkerError(f"Ray failed: {str(error).strip().splitlines()[-1]}")

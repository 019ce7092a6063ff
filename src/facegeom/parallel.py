"""Work on all processor cores by threads: decoders and networks let other threads run meanwhile."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import local
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_thread = local()


def available_cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_cores() -> int:
    """Return the number of cores for this thread: 1 inside of :func:`side_by_side`, whose threads use all."""
    return 1 if getattr(_thread, "is_one_of_many", False) else available_cores()


def side_by_side(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield a function's results in the order of the items, computed on all free cores.

    Items are taken in the caller's thread, only few ahead of the results. An error is raised in the place of
    its result; what has begun by then is finished, the rest is left.
    """
    cores = free_cores()
    if cores == 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(cores, initializer=lambda: setattr(_thread, "is_one_of_many", True))
    try:
        pending: deque[Future[Result]] = deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > cores:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)

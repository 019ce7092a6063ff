"""A run on a Ray cluster of two nodes, over a store that stumbles; a worker and a node are killed."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from facegeom.batch import Progress, analyze_many, ray_engine, read_rows
from facegeom.batch.rows import Counts

from .conftest import BUCKET, RUN, parts_in_store
from .proxy import STUMBLES, Store
from .test_ray import ray_workers

pytestmark = pytest.mark.slow

_NODE = {"object_store_memory": 100 << 20, "include_dashboard": False}


@pytest.fixture
def cluster(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Start two nodes on this machine; their workers use the store of the test."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "300")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, **_NODE})
    found.second = found.add_node(num_cpus=1, object_store_memory=100 << 20)
    yield found
    ray_engine.import_ray().shutdown()
    found.shutdown()


def stumbling(method: str, key: str, times: int) -> str | None:
    """Fail at every tenth request for a key, and at the first for a tenth of the keys."""
    number = sum(key.encode()) + times
    return STUMBLES[number % 3] if number % 10 == 0 else None


def test_a_worker_and_a_node_are_killed(
    store: Store, undisturbed: dict[str, bytes], cluster: Any, in_process: list[int]
) -> None:
    """Afterwards every row is there once, and the part files are those of an undisturbed local run."""
    store.fault = stumbling
    killed: list[str] = []

    def kill(progress: Progress) -> None:
        if progress.done.photos and not killed:
            os.kill(ray_workers()[0], signal.SIGKILL)
            cluster.remove_node(cluster.second, allow_graceful=False)
            killed.extend(("worker", "node"))

    options: dict[str, Any] = {"engine": "ray", "ray_address": cluster.address, "workers": 2, "part_size": 2}
    end = analyze_many([BUCKET], RUN, tell=kill, **options)
    if end.open:
        end = analyze_many([BUCKET], RUN, **options)
    assert killed == ["worker", "node"] and end.done == Counts(10, 4, 3) and end.open == end.unlisted == 0
    assert parts_in_store() == undisturbed
    assert len({row.key for row in read_rows(RUN)}) == 10

"""Runs of ``facegeom batch``: undisturbed, and killed again and again; what they leave is compared."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from facegeom_lab.bench.batch_driver import Driver, Job

_LAST_KILL = 0.95
_DELAY_S = 1.5


@dataclass(frozen=True)
class Kills:
    """What a killed run went through.

    Attributes:
        workers: killed worker processes.
        drivers: killed drivers, each followed by the same command again.
        seconds: from the first start to the last end.
    """

    workers: int
    drivers: int
    seconds: float


class _Moment(NamedTuple):
    """When a kill comes: so long after so many parts are there; and whom it hits."""

    parts: int
    delay_s: float
    target: str


def undisturbed(job: Job, out: Path) -> float:
    """Run from start to end; seconds of the whole command.

    Raises:
        ProcessError: it failed, or took too long.
    """
    started = time.monotonic()
    with Driver(job, out, started + job.limit_s) as driver:
        driver.finish()
    return time.monotonic() - started


def working_rate(job: Job, out: Path) -> float | None:
    """Photos a second from the moment when every worker's first part was there to that of the last part."""
    ends = _part_ends(out)
    later = len(ends) - job.workers
    if later < 1:
        return None
    return later * job.photos / job.parts / (ends[-1] - ends[job.workers - 1])


def longest_delay_s(out: Path) -> float:
    """How long a kill may be put off: 1.5 seconds, or a quarter of the work of an undisturbed run if less."""
    ends = _part_ends(out)
    return min(_DELAY_S, (ends[-1] - ends[0]) / 4)


def _part_ends(out: Path) -> list[float]:
    """When each part was there, seconds, the first one first."""
    return sorted(path.stat().st_mtime for path in (out / "parts").glob("part-*"))


def killed(job: Job, out: Path, kills: int, seed: int, delay_s: float) -> Kills:
    """Run, killed at random moments of its work, and started again after each death of the driver.

    The moments are drawn evenly over the parts and each is put off by up to ``delay_s``, so that they fall
    into reading, analysing, writing and starting alike. Every second one hits the driver, the others a
    worker that is drawn too. A kill that comes after the end of the run is not counted.

    Raises:
        ProcessError: the command failed, or all together took too long.
    """
    draw = random.Random(seed)
    marks = sorted(draw.uniform(0, _LAST_KILL * job.parts) for _ in range(kills))
    moments = iter(
        [
            _Moment(int(mark), draw.uniform(0, delay_s), ("driver", "worker")[place % 2])
            for place, mark in enumerate(marks)
        ]
    )
    started = time.monotonic()
    done: Counter[str] = Counter()
    restart = True
    while restart:
        with Driver(job, out, started + job.limit_s) as driver:
            restart = _harass(driver, moments, draw, done)
    return Kills(done["worker"], done["driver"], time.monotonic() - started)


def _harass(driver: Driver, moments: Iterator[_Moment], draw: random.Random, done: Counter[str]) -> bool:
    """Kill as long as the driver lives; whether it was killed in the end."""
    for moment in moments:
        if not _strike(driver, moment, draw):
            break
        done[moment.target] += 1
        if moment.target == "driver":
            return True
    driver.finish()
    return False


def _strike(driver: Driver, moment: _Moment, draw: random.Random) -> bool:
    """Kill the target at its moment; False if the run ended before."""
    if not driver.wait_for_parts(moment.parts):
        return False
    time.sleep(moment.delay_s)
    if moment.target == "worker":
        return driver.kill_worker(draw)
    if driver.ended():
        return False
    driver.kill()
    return True


def differing_parts(first: Path, second: Path) -> list[str]:
    """Names of part files that only one of two runs has, or that differ in a byte."""
    names = {path.name for out in (first, second) for path in (out / "parts").glob("part-*")}
    return sorted(name for name in names if _content(first, name) != _content(second, name))


def _content(out: Path, name: str) -> bytes | None:
    path = out / "parts" / name
    return path.read_bytes() if path.is_file() else None


def rows_and_keys(out: Path) -> tuple[int, int]:
    """How many rows a run has, and how many different photos they are about."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    keys = pq.read_table(out / "parts", columns=["key"])["key"]
    return len(keys), pc.count_distinct(keys).as_py()

"""``facegeom bench batch``: what two workers gain over one process, and what is left after kills."""

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from facegeom.analyzer import FaceAnalyzer
from facegeom_lab.bench.batch_driver import Job
from facegeom_lab.bench.batch_photos import make_photos
from facegeom_lab.bench.batch_runs import (
    differing_parts,
    killed,
    longest_delay_s,
    rows_and_keys,
    undisturbed,
    working_rate,
)
from facegeom_lab.bench.processes import output
from facegeom_lab.measures.about import about
from facegeom_lab.measures.tables import Cell, Report, Table, percent

_SPEED_PROTOCOL = (
    "{photos} photos made from a folder of photos (each changed a little, every 97th damaged): a third as "
    "files, a third in a tar file, a third in a Parquet file. Ideal: the number of workers times what one "
    "process does alone, FaceAnalyzer(threads=1) on the same photos one by one, read and decoded, nothing "
    "written; measured before and after, the mean of both. The engines run as `facegeom batch`, the disk "
    "warm. Photos per second: from the moment when as many parts of {part_size} photos were there as there "
    "are workers, to the last part. Seconds: the whole command, with the start of Python, of the workers "
    "and of Ray."
)
_KILL_PROTOCOL = (
    "The same photos. SIGKILL at random moments, drawn evenly over the parts and put off by up to 1.5 "
    "seconds, or a quarter of the undisturbed run's work if less, by turns to the driver, which is then "
    "started again, and to one of its workers. Afterwards the parts are compared with those of the "
    "undisturbed run, byte by byte."
)
_SPEED_COLUMNS = ("system", "photos per second", "% of ideal", "seconds in all")
_KILL_COLUMNS = (
    "engine",
    "workers killed",
    "drivers killed",
    "seconds",
    "photos",
    "rows",
    "different photos in them",
    "parts that differ",
)
_ALONE = """
import os, sys, time
from facegeom.batch.reading import Reader
from facegeom.batch.sources import list_photos
from facegeom import FaceAnalyzer, FacegeomError

analyze, read, done = FaceAnalyzer(threads=1), Reader(), 0
for photo in list_photos(sys.argv[2:]):
    if done == 20:  # the first ones warm up
        started = time.perf_counter()
    try:
        analyze(read(photo))
    except FacegeomError:
        pass
    done += 1
    if done == int(sys.argv[1]):
        break
print((done - 20) / (time.perf_counter() - started))
"""


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        photos: made and analysed, at least 60.
        workers: of each engine.
        part_size: photos of a part.
        kills: of each engine; 0 leaves the kills out.
        seed: of the photos and of the kills.
        minutes: longest that one run may take.
    """

    photos: int = 5000
    workers: int = 2
    part_size: int = 64
    kills: int = 20
    seed: int = 0
    minutes: float = 60


def run_batch(
    folder: Path,
    out: Path,
    engines: Sequence[str],
    effort: Effort,
    show: Callable[[Table], object] = lambda table: None,
) -> Report:
    """Measure, save ``out/batch.md`` and ``out/batch.json``, and return the report.

    Args:
        folder: photos to make the others from.
        out: of the results.
        engines: of "local" and "ray".
        effort: how much to measure.
        show: called with each table as soon as it is there.

    Raises:
        InputError: the folder holds no photo.
        ProcessError: a run failed, or took too long.
    """
    tables: list[Table] = []
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        sources = make_photos(folder, place / "photos", effort.photos, effort.seed)
        jobs = [_job(sources, engine, effort) for engine in engines]
        for measure in (_speed, *([_kills] if effort.kills else [])):
            tables.append(measure(jobs, place, effort))
            show(tables[-1])
    report = Report("facegeom bench batch", about(FaceAnalyzer(threads=1), ()), tables)
    report.save(out, "batch")
    return report


def _job(sources: Sequence[Path], engine: str, effort: Effort) -> Job:
    limit_s = 60 * effort.minutes
    return Job(sources, effort.photos, engine, effort.workers, effort.part_size, limit_s)


def _speed(jobs: Sequence[Job], place: Path, effort: Effort) -> Table:
    """One process alone, each engine, one process alone again."""
    alone = [_alone(jobs[0])]
    seconds = [undisturbed(job, place / job.engine) for job in jobs]
    alone.append(_alone(jobs[0]))
    one = mean(alone)
    rows: list[tuple[Cell, ...]] = [("one process alone", one, None, None)]
    for job, total in zip(jobs, seconds, strict=True):
        rate = working_rate(job, place / job.engine)
        share = None if rate is None else percent(rate, job.workers * one)
        rows.append((f"{job.engine}, {job.workers} workers", rate, share, total))
    protocol = _SPEED_PROTOCOL.format(photos=effort.photos, part_size=effort.part_size)
    return Table("Throughput", protocol, _SPEED_COLUMNS, rows)


def _alone(job: Job) -> float:
    """Photos a second of one process with one thread."""
    return float(output(sys.executable, "-c", _ALONE, str(job.photos), *map(str, job.sources)))


def _kills(jobs: Sequence[Job], place: Path, effort: Effort) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for job in jobs:
        out = place / f"{job.engine}-killed"
        delay_s = longest_delay_s(place / job.engine)
        kills = killed(job, out, effort.kills, effort.seed, delay_s)
        different = len(differing_parts(place / job.engine, out))
        found = rows_and_keys(out)
        rows.append((job.engine, kills.workers, kills.drivers, kills.seconds, job.photos, *found, different))
    if len(jobs) == 2:
        first, second = (place / job.engine for job in jobs)
        found = rows_and_keys(second)
        different = len(differing_parts(first, second))
        rows.append(("local against ray, undisturbed", 0, 0, None, jobs[0].photos, *found, different))
    return Table("After kills", _KILL_PROTOCOL, _KILL_COLUMNS, rows)

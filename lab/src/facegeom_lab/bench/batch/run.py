"""``facegeom bench batch``: throughput of the engines, and their output after killed processes."""

import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from facegeom.analyzer import FaceAnalyzer
from facegeom_lab.bench.batch.driver import (
    Job,
    differing_parts,
    longest_delay_s,
    rows_and_keys,
    run_undisturbed,
    run_with_kills,
    working_rate,
)
from facegeom_lab.bench.batch.photos import make_photos
from facegeom_lab.bench.batch.scale import measure_scale
from facegeom_lab.bench.speed.processes import output
from facegeom_lab.measures.about import about
from facegeom_lab.measures.tables import Cell, Report, Table, percent

_SPEED_PROTOCOL = (
    "{photos} photos made from a folder of photos (each changed a little, every 97th damaged): a third as "
    "files, a third in a tar file, a third in a Parquet file. Ideal: the number of workers times the rate of "
    "one process alone, FaceAnalyzer(threads=1) on the same photos one by one, read and decoded, nothing "
    "written; mean of a measurement before and one after. At once: as many such processes, started together; "
    "what is lost there is lost by the machine. The engines run as `facegeom batch`, the disk "
    "warm. Photos per second: between the moment when there are as many parts of {part_size} photos as "
    "workers, and the last part. Seconds: the whole command, including the start of Python, of the workers "
    "and of Ray."
)
_KILL_PROTOCOL = (
    "The same photos. SIGKILL at random moments, uniform over the parts and delayed by up to 1.5 seconds, or "
    "a quarter of the undisturbed run's work if less, alternately to the driver, which is then started "
    "again, and to one of its workers. Afterwards the parts are compared with those of the undisturbed run, "
    "byte by byte."
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
_SINGLE_PROCESS = """
import os, sys, time
from facegeom.batch.input_index import jobs_of
from facegeom.batch.reading import Reader
from facegeom.batch.sources import list_photos
from facegeom import FaceAnalyzer, FacegeomError

analyze, read, done = FaceAnalyzer(threads=1), Reader(), 0
for photo in (photo for job in jobs_of(list_photos(sys.argv[2:]), 128) for photo in read.photos(job)):
    if done == 20:  # the first ones warm up
        started = time.perf_counter()
    try:
        analyze(photo.content)
    except FacegeomError:
        pass
    done += 1
    if done == int(sys.argv[1]):
        break
print((done - 20) / (time.perf_counter() - started))
"""


@dataclass(frozen=True)
class BatchConfig:
    """How much is measured.

    Attributes:
        photos: number of photos to make and analyse, at least 60.
        workers: worker processes of each engine.
        part_size: photos per part file.
        kills: kills per engine; 0 for none.
        seed: of the photos and of the kills.
        minutes: time limit of one run.
        listed: files to list, to measure the driver of a large run; 0 for none.
    """

    photos: int = 5000
    workers: int = 2
    part_size: int = 64
    kills: int = 20
    seed: int = 0
    minutes: float = 60
    listed: int = 0


def run_batch(
    folder: Path,
    out: Path,
    engines: Sequence[str],
    config: BatchConfig,
    show: Callable[[Table], object] = lambda table: None,
) -> Report:
    """Measure, save ``out/batch.md`` and ``out/batch.json``, and return the report.

    Args:
        folder: photos to make the others from.
        out: folder of the results.
        engines: some of "local" and "ray".
        config: how much to measure.
        show: called with each table as soon as it is measured.

    Raises:
        InputError: the folder holds no photo.
        ProcessError: a run failed, or took too long.
    """
    tables: list[Table] = []
    if config.listed:
        tables.append(measure_scale(config.listed))
        show(tables[-1])
    with tempfile.TemporaryDirectory() as scratch:
        runs = Path(scratch)
        sources = make_photos(folder, runs / "photos", config.photos, config.seed)
        jobs = [_job(sources, engine, config) for engine in engines]
        for measure in (_throughput, *([_after_kills] if config.kills else [])):
            tables.append(measure(jobs, runs, config))
            show(tables[-1])
    report = Report("facegeom bench batch", about(FaceAnalyzer(threads=1), ()), tables)
    report.save(out, "batch")
    return report


def _job(sources: Sequence[Path], engine: str, config: BatchConfig) -> Job:
    limit_s = 60 * config.minutes
    return Job(sources, config.photos, engine, config.workers, config.part_size, limit_s)


def _throughput(jobs: Sequence[Job], runs: Path, config: BatchConfig) -> Table:
    """Measure one process alone, several at once, each engine, and one process alone again."""
    baseline = [_single_process_rate(jobs[0])]
    with ThreadPoolExecutor(config.workers) as pool:
        together = sum(pool.map(_single_process_rate, [jobs[0]] * config.workers))
    seconds = [run_undisturbed(job, runs / job.engine) for job in jobs]
    baseline.append(_single_process_rate(jobs[0]))
    single = mean(baseline)
    ideal = config.workers * single
    rows: list[tuple[Cell, ...]] = [("one process alone", single, None, None)]
    rows.append((f"{config.workers} processes at once", together, percent(together, ideal), None))
    for job, total in zip(jobs, seconds, strict=True):
        rate = working_rate(job, runs / job.engine)
        of_ideal = None if rate is None else percent(rate, ideal)
        rows.append((f"{job.engine}, {job.workers} workers", rate, of_ideal, total))
    protocol = _SPEED_PROTOCOL.format(photos=config.photos, part_size=config.part_size)
    return Table("Throughput", protocol, _SPEED_COLUMNS, rows)


def _single_process_rate(job: Job) -> float:
    """Return photos per second of one process with one thread."""
    return float(output(sys.executable, "-c", _SINGLE_PROCESS, str(job.photos), *map(str, job.sources)))


def _after_kills(jobs: Sequence[Job], runs: Path, config: BatchConfig) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for job in jobs:
        out = runs / f"{job.engine}-killed"
        delay_s = longest_delay_s(runs / job.engine)
        kills = run_with_kills(job, out, config.kills, config.seed, delay_s)
        different = len(differing_parts(runs / job.engine, out))
        found = rows_and_keys(out)
        rows.append((job.engine, kills.workers, kills.drivers, kills.seconds, job.photos, *found, different))
    if len(jobs) == 2:
        first, second = (runs / job.engine for job in jobs)
        found = rows_and_keys(second)
        different = len(differing_parts(first, second))
        rows.append(("local against ray, undisturbed", 0, 0, None, jobs[0].photos, *found, different))
    return Table("After kills", _KILL_PROTOCOL, _KILL_COLUMNS, rows)

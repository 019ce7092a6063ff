"""``facegeom bench batch``: throughput of the engines, output after kills and outages, stores, scale."""

import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
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
from facegeom_lab.bench.batch.scale import measure_merged, measure_scale
from facegeom_lab.bench.batch.store import measure_loose, measure_outages, measure_shards
from facegeom_lab.bench.context import choose_sections
from facegeom_lab.bench.speed.processes import output
from facegeom_lab.measures.about import about
from facegeom_lab.measures.tables import Cell, Report, RunningReport, Table, percent

_SPEED_PROTOCOL = (
    "{photos} photos made from a folder of photos (each changed a little, every 97th damaged): a third as "
    "files, a third in a tar file, a third in a Parquet file. The engines go over them {repeat} times, by "
    "links. Ideal: the number of workers times the rate of one process alone, FaceAnalyzer(threads=1) on "
    "the same photos one by one, read and decoded, nothing written; mean of a measurement before and one "
    "after. At once: as many such processes, started together; what is lost there is lost by the machine. "
    "The engines run as `facegeom batch`, the disk warm. Photos per second: between the moment when there "
    "are as many parts of {part_size} photos as workers, and the last part. Seconds: the whole command, "
    "including the start of Python, of the workers and of Ray. Driver: the most resident memory of the "
    "command itself, without workers."
)
_KILL_PROTOCOL = (
    "The same photos. SIGKILL at random moments, uniform over the parts and delayed by up to 1.5 seconds, or "
    "a quarter of the undisturbed run's work if less, alternately to the driver, which is then started "
    "again, and to one of its workers. Afterwards the parts are compared with those of the undisturbed run, "
    "byte by byte."
)
_SPEED_COLUMNS = ("system", "photos per second", "% of ideal", "seconds in all", "driver, MB")
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
        photos: number of photos to make, at least 60.
        repeat: how often the engines go over them, under another path each time.
        workers: worker processes of each engine.
        part_size: photos per part file.
        kills: kills per engine; 0 for none.
        seed: of the photos and of the kills.
        minutes: time limit of one run.
        listed: files to list, to measure the driver of a large run.
        megabytes: size of each shard in the store, 10^6 bytes.
    """

    photos: int = 5000
    repeat: int = 1
    workers: int = 2
    part_size: int = 64
    kills: int = 20
    seed: int = 0
    minutes: float = 60
    listed: int = 1_000_000
    megabytes: float = 400


class _Bench:
    """What the sections share: the photos, made once, and the undisturbed run of each engine."""

    def __init__(self, folder: Path, runs: Path, engines: Sequence[str], config: BatchConfig) -> None:
        self.folder, self.runs, self.engines, self.config = folder, runs, engines, config
        self.limit_s = 60 * config.minutes
        self._ended: dict[str, tuple[float, float]] = {}

    @cached_property
    def single(self) -> Job:
        """The photos once, for one process."""
        config = self.config
        sources = make_photos(self.folder, self.runs / "photos", config.photos, config.seed)
        return Job(sources, config.photos, "local", config.workers, config.part_size, self.limit_s)

    @cached_property
    def jobs(self) -> list[Job]:
        """The work of each engine."""
        sources = list(self.single.sources)
        for number in range(1, self.config.repeat):
            again = self.runs / f"again{number}"
            again.symlink_to(self.runs / "photos")
            sources += [again / Path(source).name for source in self.single.sources]
        photos = self.config.photos * self.config.repeat
        return [
            Job(sources, photos, engine, self.config.workers, self.config.part_size, self.limit_s)
            for engine in self.engines
        ]

    def undisturbed(self, job: Job) -> tuple[float, float]:
        """Run an engine once from start to end, at the first call; return its seconds and the driver's MB."""
        if job.engine not in self._ended:
            self._ended[job.engine] = run_undisturbed(job, self.runs / job.engine)
        return self._ended[job.engine]


def run_batch(
    folder: Path,
    out: Path,
    engines: Sequence[str],
    config: BatchConfig,
    only: Sequence[str] = (),
    show: Callable[[Table], object] = lambda table: None,
) -> Report:
    """Measure, save ``out/batch.md`` and ``out/batch.json``, and return the report.

    Args:
        folder: photos to make the others from.
        out: folder of the results.
        engines: some of "local" and "ray".
        config: how much to measure.
        only: sections among ``SECTIONS``; tables of the others stay in the files. Without any, throughput and
            kills are measured.
        show: called with each table as soon as it is measured.

    Raises:
        InputError: the folder holds no photo, or a section is unknown.
        ProcessError: a run failed, or took too long.
    """
    chosen = choose_sections(SECTIONS, only or ("throughput", "kills"))
    report = RunningReport("facegeom bench batch", about(FaceAnalyzer(threads=1), ()), out, "batch", show)
    with tempfile.TemporaryDirectory() as scratch:
        bench = _Bench(folder, Path(scratch), engines, config)
        for name in chosen:
            if name != "kills" or config.kills:
                report.add(SECTIONS[name](bench))
    return report.finish(keep=bool(only))


def _throughput(bench: _Bench) -> Table:
    """Measure one process alone, several at once, each engine, and one process alone again."""
    config = bench.config
    baseline = [_single_process_rate(bench.single)]
    with ThreadPoolExecutor(config.workers) as pool:
        together = sum(pool.map(_single_process_rate, [bench.single] * config.workers))
    ended = [bench.undisturbed(job) for job in bench.jobs]
    baseline.append(_single_process_rate(bench.single))
    single = mean(baseline)
    ideal = config.workers * single
    rows: list[tuple[Cell, ...]] = [("one process alone", single, None, None, None)]
    rows.append((f"{config.workers} processes at once", together, percent(together, ideal), None, None))
    for job, (total_s, peak_mb) in zip(bench.jobs, ended, strict=True):
        rate = working_rate(job, bench.runs / job.engine)
        of_ideal = None if rate is None else percent(rate, ideal)
        rows.append((f"{job.engine}, {job.workers} workers", rate, of_ideal, total_s, peak_mb))
    protocol = _SPEED_PROTOCOL.format(photos=config.photos, repeat=config.repeat, part_size=config.part_size)
    return Table("Throughput", protocol, _SPEED_COLUMNS, rows)


def _single_process_rate(job: Job) -> float:
    """Return photos per second of one process with one thread."""
    return float(output(sys.executable, "-c", _SINGLE_PROCESS, str(job.photos), *map(str, job.sources)))


def _after_kills(bench: _Bench) -> Table:
    config, runs = bench.config, bench.runs
    rows: list[tuple[Cell, ...]] = []
    for job in bench.jobs:
        bench.undisturbed(job)
        out = runs / f"{job.engine}-killed"
        kills = run_with_kills(job, out, config.kills, config.seed, longest_delay_s(runs / job.engine))
        different = len(differing_parts(runs / job.engine, out))
        found = rows_and_keys(out)
        rows.append((job.engine, kills.workers, kills.drivers, kills.seconds, job.photos, *found, different))
    if len(bench.jobs) == 2:
        first, second = (runs / job.engine for job in bench.jobs)
        found = rows_and_keys(second)
        different = len(differing_parts(first, second))
        photos = bench.jobs[0].photos
        rows.append(("local against ray, undisturbed", 0, 0, None, photos, *found, different))
    return Table("After kills", _KILL_PROTOCOL, _KILL_COLUMNS, rows)


def _merged(bench: _Bench) -> Table:
    bench.undisturbed(bench.jobs[-1])
    return measure_merged(bench.runs / bench.jobs[-1].engine, bench.runs / "rows")


def _shards(bench: _Bench) -> Table:
    config = bench.config
    return measure_shards(
        bench.folder, bench.runs, config.megabytes, config.workers, bench.limit_s, config.seed
    )


SECTIONS: dict[str, Callable[[_Bench], Table]] = {
    "throughput": _throughput,
    "kills": _after_kills,
    "merged": _merged,
    "shards": _shards,
    "loose": lambda bench: measure_loose(bench.folder, bench.runs, bench.config.part_size, bench.limit_s),
    "outages": lambda bench: measure_outages(
        bench.folder, bench.runs, bench.config.workers, bench.limit_s, bench.config.seed
    ),
    "scale": lambda bench: measure_scale(bench.config.listed),
}
"""What can be measured, by name."""

"""Run a batch: list the photos, find the finished part files, process the others, report progress."""

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeAlias

from facegeom.analyzer import FaceAnalyzer
from facegeom.batch import local, ray_engine
from facegeom.batch.input_index import InputIndex, Job, PhotoRef, write_index
from facegeom.batch.rows import Counts, PartFiles, read_counts
from facegeom.batch.sources import Columns, list_photos
from facegeom.batch.work import Settings
from facegeom.errors import InputError, OutputError
from facegeom.export.files import make_folder, write
from facegeom.models import weights
from facegeom.models.engine import Engine
from facegeom.worker_pool import available_cores

_log = logging.getLogger(__name__)

PART_SIZE = 128
"""Photos per part file by default."""

MANIFEST_FILE = "run.json"
_MANIFEST_FORMAT = 2
_REPORT_EVERY = 1000

EngineName: TypeAlias = Literal["local", "ray"]


@dataclass(frozen=True)
class Progress:
    """Progress of a run.

    Attributes:
        done: photos, faces and errors in the finished part files.
        photos: number of photos in the run; while ``listing``, of those listed so far.
        earlier: photos finished by earlier calls.
        seconds: time since processing began.
        listing: whether the photos are still being listed.
        damaged: sources, or folders and files in them, that could not be listed; each has a row.
    """

    done: Counts = field(default_factory=Counts)
    photos: int = 0
    earlier: int = 0
    seconds: float = 0.0
    listing: bool = False
    damaged: int = 0

    @property
    def photos_per_second(self) -> float:
        """Throughput of this call, without the photos finished earlier."""
        return (self.done.photos - self.earlier) / self.seconds if self.seconds else 0.0


ProgressCallback: TypeAlias = Callable[[Progress], object]


@dataclass(frozen=True)
class EngineOptions:
    """Engine and number of workers.

    Attributes:
        engine: "local" or "ray".
        workers: number of processes; None for one per core, or a single one with a GPU.
        gpus_per_worker: fraction of a GPU that Ray gives to each worker, for the device "cuda".

    Raises:
        InputError: a value is out of its range.
    """

    engine: EngineName = "local"
    workers: int | None = None
    gpus_per_worker: float = 1.0

    def __post_init__(self) -> None:
        if self.engine not in ("local", "ray"):
            raise InputError(f"engine: expected 'local' or 'ray', got {self.engine!r}")
        if self.workers is not None and self.workers < 1:
            raise InputError(f"workers: expected at least 1, got {self.workers!r}")
        if not self.gpus_per_worker > 0:
            raise InputError(f"gpus_per_worker: expected more than 0, got {self.gpus_per_worker!r}")

    def process(self, jobs: Iterator[Job], settings: Settings) -> Iterator[tuple[int, bytes]]:
        """Process jobs and yield the number and content of each part file, in the order they finish."""
        workers = self.workers or (1 if settings.device == "cuda" else available_cores())
        if self.engine == "ray":
            return ray_engine.run(jobs, settings, workers, self.gpus_per_worker)
        return local.run(jobs, settings, workers)


@dataclass(frozen=True)
class RunConfig:
    """Input, output and settings of a run.

    Attributes:
        sources: paths, globs and URLs; see :func:`facegeom.batch.sources.list_photos`.
        out: output folder of the run.
        columns: of Parquet sources.
        settings: of the workers.
        part_size: photos per part file; None for that of the resumed run, else ``PART_SIZE``.
    """

    sources: Sequence[str | os.PathLike[str]]
    out: Path
    columns: Columns = field(default_factory=Columns)
    settings: Settings = field(default_factory=Settings)
    part_size: int | None = None

    def made_with(self, part_size: int) -> dict[str, Any]:
        """Return everything but the photos that the rows depend on, as JSON values.

        Raises:
            InputError: an option of the analyzer is wrong.
        """
        return {
            "facegeom": version("facegeom"),
            "networks": networks(self.settings),
            "device": self.settings.device,
            "mesh": self.settings.mesh,
            "column": self.columns.image,
            "name_column": self.columns.name,
            "part_size": part_size,
            **self.settings.options,
        }


def networks(settings: Settings) -> dict[str, str]:
    """Return the SHA-256 of each network that workers use, by the file's name without ending.

    They are loaded on the CPU here: a command that hands its work to Ray may have no GPU.

    Raises:
        InputError: an option of the analyzer is wrong.
        WeightsError: a weight file is missing.
    """
    options = dict(settings.options)
    if settings.device != "cpu":
        options.setdefault("weights", "float32")  # the analyzer's default on a GPU
    analyzer = FaceAnalyzer(**{"threads": 1, **options})
    used = [
        value.path.name
        for part in (analyzer.detector, analyzer.face_net, analyzer.fpnet)
        for value in (vars(part).values() if part is not None else ())
        if isinstance(value, Engine)
    ]
    hashes = dict(
        entry.of(variant)
        for entry in weights.manifest().values()
        for variant in (weights.FLOAT32, *entry.variants)
    )
    return {path.stem: digest for path, digest in hashes.items() if path.name in used}


def execute(
    config: RunConfig, engine: EngineOptions, on_progress: ProgressCallback = lambda progress: None
) -> Progress:
    """Start a run or resume it.

    Args:
        config: of the run.
        engine: may change when the run is resumed.
        on_progress: called while photos are listed, then after each part file.

    Returns:
        The final progress.

    Raises:
        InputError: options or sources are wrong, or differ from those of the run in the folder.
        OutputError: the folder cannot be written.
        WorkerError: workers do not start.
    """
    if not config.sources:
        raise InputError("expected photos, folders, shards or URLs, got none")
    config.made_with(PART_SIZE)  # reports a wrong option before anything is written
    make_folder(config.out)
    with locked(config.out):
        index, listed = _prepare(config, on_progress)
        return _process(config, engine, index, listed, on_progress)


def _prepare(config: RunConfig, on_progress: ProgressCallback) -> tuple[InputIndex, Progress]:
    """Write the input index, and the manifest of a new run; return the index and what was listed.

    Raises:
        InputError: options or photos differ from those of the resumed run.
    """
    manifest = _read_manifest(config.out)
    before = manifest["made_with"] if manifest else {}
    part_size = config.part_size or int(before.get("part_size", PART_SIZE))
    made_with = config.made_with(part_size)
    if manifest:
        _check_manifest(manifest, made_with, config.out)
    elif PartFiles(config.out).paths():
        raise InputError(f"{str(config.out)!r} has parts, but no {MANIFEST_FILE}; use another output folder")
    listed = list_photos(config.sources, config.columns, leave_out=config.out.resolve().as_posix())
    old = InputIndex(config.out) if manifest else None
    damaged: list[PhotoRef] = []
    photos = write_index(_counted(listed, damaged, on_progress), config.out, part_size, old)
    index = InputIndex(config.out)
    if not manifest:
        sources = [os.fspath(source) for source in config.sources]
        _write_manifest(config.out, made_with, {"sources": sources, "photos": photos, "parts": len(index)})
    return index, Progress(photos=photos, damaged=len(damaged))


def _counted(
    photos: Iterator[PhotoRef], damaged: list[PhotoRef], on_progress: ProgressCallback
) -> Iterator[PhotoRef]:
    """Pass photos through, report their number from time to time, and collect and log the damaged ones."""
    for count, photo in enumerate(photos):
        if photo.kind == "damaged":
            damaged.append(photo)
            _log.warning("%r: %s", photo.key, photo.problem)
        if count % _REPORT_EVERY == 0:
            on_progress(Progress(photos=count, listing=True))
        yield photo


def _process(
    config: RunConfig,
    engine: EngineOptions,
    index: InputIndex,
    progress: Progress,
    on_progress: ProgressCallback,
) -> Progress:
    """Process every part file that is not finished yet."""
    files = PartFiles(config.out)
    files.clean()
    pending: list[int] = []
    for part in range(len(index)):
        counts = files.verified_counts(part, index[part].metadata)
        pending += [part] if counts is None else []
        progress = replace(progress, done=progress.done + (counts or Counts()))
    progress = replace(progress, earlier=progress.done.photos)
    on_progress(progress)
    started = time.perf_counter()
    jobs = map(index.__getitem__, pending)
    for part, content in engine.process(jobs, config.settings) if pending else ():
        files.write(part, content)
        done = progress.done + read_counts(content)
        progress = replace(progress, done=done, seconds=time.perf_counter() - started)
        on_progress(progress)
    return progress


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of the run in a folder; None without one.

    Raises:
        InputError: it is damaged, or has another format version.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        return None
    try:
        manifest = dict(json.loads(path.read_text(encoding="utf-8")))
        if manifest["format"] == _MANIFEST_FORMAT:
            return manifest
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is damaged ({error}); use another output folder") from error
    raise InputError(
        f"{path} is of a run of another facegeom, whose rows differ (format {manifest['format']!r}, expected"
        f" {_MANIFEST_FORMAT}); use another output folder"
    )


def _write_manifest(folder: Path, made_with: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Write the manifest of a new run.

    Args:
        folder: of the run.
        made_with: JSON values that must be the same when the run is resumed.
        found: for information only: sources, number of photos and of part files.
    """
    content = {"format": _MANIFEST_FORMAT, "made_with": dict(made_with), **found}
    write(folder / MANIFEST_FILE, json.dumps(content, indent=1).encode() + b"\n")


def _check_manifest(manifest: Mapping[str, Any], made_with: Mapping[str, Any], folder: Path) -> None:
    """Check that options, networks and version are those the run was started with.

    Raises:
        InputError: some differ; the message names them.
    """
    before = manifest["made_with"]
    names = [name for name in {**before, **made_with} if before.get(name) != made_with.get(name)]
    if len(names) > 1 and "networks" in names:
        names.remove("networks")  # they follow from the options, which say it shorter
    if names:
        was = ", ".join(f"{name} {_shown(before.get(name))}" for name in names)
        now = ", ".join(f"{name} {_shown(made_with.get(name))}" for name in names)
        advice = "use the same, or another output folder"
        raise InputError(f"the run in {str(folder)!r} was started with {was}, not {now}; {advice}")


def _shown(value: Any) -> str:
    """Return a JSON value for a message; of networks the beginnings of their hashes."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {digest[:8]}" for name, digest in value.items())
    return json.dumps(value)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder for this process; the lock is released when the process ends in any way.

    Without ``flock`` (on Windows) nothing is locked. Two runs then only do the same work twice.

    Raises:
        InputError: another process holds the lock.
        OutputError: the folder cannot be written.
    """
    path = folder / ".lock"
    try:
        stream = path.open("wb")
    except OSError as error:
        raise OutputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
    with stream:
        if sys.platform != "win32":
            _flock(stream.fileno(), folder)
        yield


def _flock(descriptor: int, folder: Path) -> None:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(f"another run is working on {str(folder)!r}; wait for it, or stop it") from error

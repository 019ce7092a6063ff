"""Run a batch: list the photos, find the finished part files, process the others, report progress."""

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeAlias

from facegeom.analyzer import FaceAnalyzer
from facegeom.batch import local, ray_engine
from facegeom.batch.input_index import InputIndex, Job, PhotoRef, write_index
from facegeom.batch.rows import Counts, PartFiles, read_counts
from facegeom.batch.sources import Columns, list_photos
from facegeom.batch.work import TIMEOUT_S, Settings
from facegeom.errors import InputError, OutputError
from facegeom.export.files import make_folder, write
from facegeom.models import weights
from facegeom.models.engine import Engine
from facegeom.models.devices import EIGHT_BITS, resolve
from facegeom.options import check_number
from facegeom.worker_pool import available_cores

_log = logging.getLogger(__name__)

PART_SIZE = 128
"""Photos per part file by default."""

MANIFEST_FILE = "run.json"
_MANIFEST_FORMAT = 4
_REPORT_EVERY = 1000

_SEARCH_OPTIONS = {"min_face", "max_faces", "min_score", "fov_deg", "orientation"}
_OPTIONS = {"detector", "weights", "pose_net", "threads", *_SEARCH_OPTIONS}
"""Options of a :class:`facegeom.FaceAnalyzer` that a run takes."""

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


def analyze_many(
    sources: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    engine: EngineName = "local",
    workers: int | None = None,
    device: str = "cpu",
    gpus_per_worker: float = 1.0,
    mesh: bool = True,
    column: str | None = None,
    name_column: str | None = None,
    part_size: int | None = None,
    timeout_s: float = TIMEOUT_S,
    tell: ProgressCallback = lambda progress: None,
    **options: Any,
) -> Progress:
    """Analyze many photos into ``out/parts/*.parquet``; resume where an earlier call was stopped.

    Args:
        sources: folders, globs, photos, tar and Parquet files, as paths or URLs.
        out: output folder of the run.
        engine: "local", or "ray" for a cluster; both write the same bytes.
        workers: number of processes; None for one per core, or a single one with a GPU.
        device: "cpu" or "cuda".
        gpus_per_worker: fraction of a GPU that Ray gives to each worker.
        mesh: whether rows hold the mesh; without it they take a fifteenth of the space.
        column: Parquet column with the photos' bytes; None for the only one that can hold them.
        name_column: Parquet column with the photos' names.
        part_size: photos per part file; None for 128, or that of the resumed run.
        timeout_s: longest time for one photo, seconds. A worker that takes longer is killed and replaced, and
            the photo's row says so.
        tell: progress callback, called while photos are listed and after each part file.
        options: ``min_face``, ``max_faces``, ``min_score``, ``fov_deg``, ``detector``, ``weights``,
            ``pose_net``, ``orientation``, ``threads`` of :class:`facegeom.FaceAnalyzer`; ``threads`` is 1 by
            default, since the workers use the cores.

    Returns:
        The final progress.

    Raises:
        InputError: arguments or sources are wrong, or differ from those of the run in ``out``.
        OutputError: ``out`` cannot be written.
        WorkerError: workers do not start.
    """
    for name, number in (("workers", workers), ("part_size", part_size)):
        if number is not None and number < 1:
            raise InputError(f"{name}: expected at least 1, got {number!r}")
    if engine not in ("local", "ray"):
        raise InputError(f"engine: expected 'local' or 'ray', got {engine!r}")
    check_number("timeout_s", timeout_s, 1, 1e6)
    if not gpus_per_worker > 0:
        raise InputError(f"gpus_per_worker: expected more than 0, got {gpus_per_worker!r}")
    if unknown := options.keys() - _OPTIONS:
        raise InputError(f"expected options of FaceAnalyzer, got {', '.join(sorted(unknown))}")
    sources = list(sources)
    if not sources:
        raise InputError("expected photos, folders, shards or URLs, got none")
    settings = Settings(device, mesh, column, options, timeout_s)
    made_with = {
        "facegeom": version("facegeom"),
        "networks": networks(settings),
        "device": device,
        "mesh": mesh,
        "column": column,
        "name_column": name_column,
        "part_size": part_size,
        **options,
    }
    folder = Path(out)
    make_folder(folder)
    with locked(folder):
        index, listed = _prepare(sources, folder, made_with, tell)
        count = workers or (available_cores() if resolve(device) in EIGHT_BITS else 1)
        if engine == "ray":
            process = partial(
                ray_engine.run, settings=settings, workers=count, gpus_per_worker=gpus_per_worker
            )
        else:
            process = partial(local.run, settings=settings, workers=count)
        return _process(PartFiles(folder), index, process, listed, tell)


def networks(settings: Settings) -> dict[str, str]:
    """Return the SHA-256 of each network that workers use, by the file's name without ending.

    They are loaded on the CPU here: a command that hands its work to Ray may have no GPU. This also reports
    wrong options of the analyzer before anything is written.
    """
    options = dict(settings.options)
    if resolve(settings.device) not in EIGHT_BITS:
        options.setdefault("weights", "float32")  # the analyzer's default on a GPU
    analyzer = FaceAnalyzer(**{"threads": 1, **options})
    used = {engine.path.name for engine in _engines(analyzer)}
    hashes = dict(
        entry.of(variant)
        for entry in weights.manifest().values()
        for variant in (weights.FLOAT32, *entry.variants)
    )
    return {path.stem: digest for path, digest in hashes.items() if path.name in used}


def _engines(part: object) -> Iterator[Engine]:
    """Yield the networks of an analyzer, or of a part of it, wherever it keeps them."""
    if isinstance(part, Engine):
        yield part
    elif isinstance(part, (list, tuple)):
        for each in part:
            yield from _engines(each)
    elif type(part).__module__.startswith("facegeom."):
        yield from _engines(list(getattr(part, "__dict__", {}).values()))


def _prepare(
    sources: Sequence[str | os.PathLike[str]], out: Path, made_with: dict[str, Any], tell: ProgressCallback
) -> tuple[InputIndex, Progress]:
    """Write the input index, and the manifest of a new run; return the index and what was listed.

    ``made_with`` holds everything but the photos that the rows depend on. Its part size, where it is None,
    becomes that of the resumed run, else ``PART_SIZE``.
    """
    manifest = _read_manifest(out)
    before = manifest["made_with"] if manifest else {}
    made_with["part_size"] = part_size = made_with["part_size"] or before.get("part_size", PART_SIZE)
    if manifest:
        _check_same(before, made_with, out)
    elif PartFiles(out).paths():
        raise InputError(f"{str(out)!r} has parts, but no {MANIFEST_FILE}; use another output folder")
    columns = Columns(made_with["column"], made_with["name_column"])
    listed = list_photos(sources, columns, leave_out=out.resolve().as_posix())
    damaged: list[PhotoRef] = []
    old = InputIndex(out) if manifest else None
    photos = write_index(_counted(listed, damaged, tell), out, part_size, old)
    index = InputIndex(out)
    if not manifest:
        found = {"sources": [os.fspath(source) for source in sources], "photos": photos, "parts": len(index)}
        content = {"format": _MANIFEST_FORMAT, "made_with": made_with, **found}
        write(out / MANIFEST_FILE, json.dumps(content, indent=1).encode() + b"\n")
    return index, Progress(photos=photos, damaged=len(damaged))


def _counted(
    photos: Iterator[PhotoRef], damaged: list[PhotoRef], tell: ProgressCallback
) -> Iterator[PhotoRef]:
    """Pass photos through, report their number from time to time, and collect and log the damaged ones."""
    for count, photo in enumerate(photos):
        if photo.kind == "damaged":
            damaged.append(photo)
            _log.warning("%r: %s", photo.key, photo.problem)
        if count % _REPORT_EVERY == 0:
            tell(Progress(photos=count, listing=True))
        yield photo


def _process(
    files: PartFiles,
    index: InputIndex,
    process: Callable[[Iterator[Job]], Iterator[tuple[int, bytes]]],
    progress: Progress,
    tell: ProgressCallback,
) -> Progress:
    """Process every part file that is not finished yet."""
    files.clean()
    pending: list[int] = []
    for part in range(len(index)):
        counts = files.verified_counts(part, index[part].metadata)
        pending += [part] if counts is None else []
        progress = replace(progress, done=progress.done + (counts or Counts()))
    files.write_hashes()
    progress = replace(progress, earlier=progress.done.photos)
    tell(progress)
    started = time.perf_counter()
    for part, content in process(map(index.__getitem__, pending)) if pending else ():
        files.write(part, content)
        done = progress.done + read_counts(content)
        progress = replace(progress, done=done, seconds=time.perf_counter() - started)
        tell(progress)
    return progress


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of the run in a folder; None without one."""
    path = folder / MANIFEST_FILE
    if not path.is_file():
        return None
    try:
        manifest = dict(json.loads(path.read_text(encoding="utf-8")))
        if manifest["format"] == _MANIFEST_FORMAT:
            if not int(dict(manifest["made_with"])["part_size"]) > 0:
                raise ValueError("part_size")
            return manifest
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is damaged ({error}); use another output folder") from error
    raise InputError(
        f"{path} is of a run of another facegeom, whose rows differ (format {manifest['format']!r}, expected"
        f" {_MANIFEST_FORMAT}); use another output folder"
    )


def _check_same(before: Mapping[str, Any], made_with: Mapping[str, Any], folder: Path) -> None:
    """Check that options, networks and version are those the run was started with, else name the others."""
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
        return ", ".join(f"{name} {str(digest)[:8]}" for name, digest in value.items())
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
            import fcntl

            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                message = f"another run is working on {str(folder)!r}; wait for it, or stop it"
                raise InputError(message) from error
        yield

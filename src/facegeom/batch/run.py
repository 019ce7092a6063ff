"""The function for many photos: check the arguments and run an engine over them."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from math import inf
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from facegeom.analyzer import FaceAnalyzer
from facegeom.batch import local, ray_engine
from facegeom.batch.driver import Engine, Progress, ProgressCallback, Run, Selection
from facegeom.batch.output import Output
from facegeom.batch.work import TIMEOUT_S, Settings, networks_of
from facegeom.errors import InputError, OutputError
from facegeom.models.devices import EIGHT_BITS, resolve
from facegeom.options import SEARCH_OPTIONS, check_name, check_number
from facegeom.parallel import available_cores

_OPTIONS = {"detector", "weights", "pose_net", "threads", *SEARCH_OPTIONS}
"""Options of a :class:`facegeom.FaceAnalyzer` that a run takes."""

EngineName: TypeAlias = Literal["local", "ray"]


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
    max_errors: int = 20,
    ray_address: str | None = None,
    select: Selection | None = None,
    tell: ProgressCallback = lambda progress: None,
    **options: Any,
) -> Progress:
    """Analyze many photos into ``out/parts/*.parquet``; go on where an earlier call has stopped.

    Photos that were added to the sources since, or have changed, are analyzed; the others are not.

    Args:
        sources: folders, globs, photos, tar and Parquet files, as paths or URLs.
        out: folder of the run: a path on this machine, or a URL that every worker can write to.
        engine: "local", or "ray" for a cluster; both write the same bytes.
        workers: number of processes; None for one per core, or a single one with a GPU.
        device: as of :class:`facegeom.FaceAnalyzer`.
        gpus_per_worker: fraction of a GPU that Ray gives to each worker.
        mesh: whether rows hold the mesh; without it they take a fifteenth of the space.
        column: Parquet column with the photos' bytes; None for the only one that can hold them.
        name_column: Parquet column with the photos' names.
        part_size: most photos of a part file; None for 128, or that of the resumed run.
        timeout_s: longest time for one photo, seconds. A worker that takes longer is killed and replaced, and
            the photo's row says so. Also the longest silence of a store.
        max_errors: jobs whose source or output cannot be reached before the run stops; they stay open.
        ray_address: of a running cluster, such as "host:6379"; None for RAY_ADDRESS, else a Ray of its own.
        select: which photos to take; None for all.
        tell: progress callback, called while photos are listed and after each part file.
        options: ``min_face``, ``max_faces``, ``min_score``, ``fov_deg``, ``detector``, ``weights``,
            ``pose_net``, ``orientation``, ``threads`` of :class:`facegeom.FaceAnalyzer`; ``threads`` is 1 by
            default, since the workers use the cores.

    Returns:
        The final progress. Where ``open`` or ``unlisted`` is not 0, something could not be reached: the same
        call does what is left.

    Raises:
        InputError: arguments or sources are wrong, or differ from those of the run in ``out``.
        OutputError: ``out`` cannot be written on this machine.
        UnreachableError: sources, ``out`` or the cluster cannot be reached at all.
        WorkerError: workers do not start.
    """
    select = select or Selection()
    for name, number in (("workers", workers), ("part_size", part_size), ("limit", select.limit)):
        if number is not None:
            check_number(name, number, 1, inf, integer=True)
    check_name("engine", engine, ("local", "ray"))
    check_number("timeout_s", timeout_s, 1, 1e6)
    check_number("max_errors", max_errors, 0, 1e9)
    check_number("sample", select.sample, 1e-9, 1)
    check_number("gpus_per_worker", gpus_per_worker, 1e-4, 1e4)  # Ray counts ten thousandths
    if unknown := options.keys() - _OPTIONS:
        raise InputError(f"expected options of FaceAnalyzer, got {', '.join(sorted(unknown))}")
    sources = list(sources)
    if not sources and not select.lists:
        raise InputError("expected photos, folders, shards or URLs, got none; a folder called run is ./run")
    settings = Settings(
        device, mesh, column, options, timeout_s, timeout_s, name_column, part_size or 0, select.sample
    )
    made_with = {
        "facegeom": version("facegeom"),
        "networks": networks(settings),
        "device": device,
        "mesh": mesh,
        "column": column,
        "name_column": name_column,
        "part_size": part_size,
        "sample": select.sample,
        **options,
    }
    for name, each in made_with.items():  # JSON holds no numbers of numpy
        made_with[name] = each.item() if isinstance(each, np.generic) else each
    location = os.fspath(out)
    output = Output(location, select.dry_run)
    is_locked = not (output.is_store or select.dry_run)
    with closing(output), locked(Path(location)) if is_locked else nullcontext():
        run = Run(output, made_with, tell)
        run.prepare(sources, select)
        if select.dry_run:
            return run.progress
        is_away = engine == "ray" and not output.is_store  # other machines do not see this one's paths
        settings = replace(
            settings,
            part_size=made_with["part_size"],
            out=None if is_away else output.location,
            writes=output.is_store,
            made_with={name: made_with[name] for name in ("facegeom", "networks")},
        )
        count = workers or (available_cores() if resolve(device) in EIGHT_BITS else 1)
        process: Engine = partial(local.run, settings=settings, workers=count)
        if engine == "ray":
            cluster: Any = {"gpus_per_worker": gpus_per_worker, "address": ray_address}
            process = partial(ray_engine.run, settings=settings, workers=count, **cluster)
        return run.process(process, select.retry_failed, max_errors)


def networks(settings: Settings) -> dict[str, str]:
    """Return the SHA-256 of each network that workers use, by the file's name without ending.

    They are loaded on the CPU here: a command that hands its work to Ray may have no GPU. This also reports
    wrong options of the analyzer before anything is written.
    """
    options = dict(settings.options)
    if resolve(settings.device) not in EIGHT_BITS:
        options.setdefault("weights", "float32")  # the analyzer's default on a GPU
    return networks_of(FaceAnalyzer(**{"threads": 1, **options}))


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

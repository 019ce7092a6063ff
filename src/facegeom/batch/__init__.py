"""Analyze millions of photos into Parquet files, with worker processes on this machine or with Ray.

``facegeom batch`` is the same on the command line. Needs the extra ``[batch]``.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from facegeom.batch.rows import PartFiles, Row, from_table
from facegeom.batch.run import EngineName, EngineOptions, Progress, ProgressCallback, RunConfig, execute
from facegeom.batch.sources import Columns
from facegeom.batch.work import Settings
from facegeom.errors import InputError

__all__ = ["Progress", "Row", "analyze_many", "read_rows"]

_SEARCH_OPTIONS = {"min_face", "max_faces", "min_score", "fov_deg", "orientation"}
_OPTIONS = {"detector", "weights", "pose_net", "threads", *_SEARCH_OPTIONS}
"""Options of a :class:`facegeom.FaceAnalyzer` that a run takes."""


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
    if part_size is not None and part_size < 1:
        raise InputError(f"part_size: expected at least 1, got {part_size!r}")
    if unknown := options.keys() - _OPTIONS:
        raise InputError(f"expected options of FaceAnalyzer, got {', '.join(sorted(unknown))}")
    settings = Settings(device, mesh, column, options)
    config = RunConfig(list(sources), Path(out), Columns(column, name_column), settings, part_size)
    return execute(config, EngineOptions(engine, workers, gpus_per_worker), tell)


def read_rows(out: str | os.PathLike[str]) -> Iterator[Row]:
    """Yield the rows of a run with the mesh, in the order of its photos, with faces as ``Faces``.

    Args:
        out: output folder of the run.

    Raises:
        InputError: the folder has no part files, or they are without the mesh or of an earlier facegeom.
    """
    files = PartFiles(Path(out)).paths()
    if not files:
        raise InputError(f"expected the folder of a run, found no parts in {os.fspath(out)!r}")
    for file in files:
        table = pq.read_table(file)
        if "camera_rotation" not in table.schema.names:
            raise InputError(f"{str(file)!r} has other columns than this facegeom writes; make the run again")
        if "mesh_px" not in table.schema.names:
            raise InputError(f"expected rows with the mesh in {str(file)!r}; read it with pyarrow")
        yield from from_table(table)

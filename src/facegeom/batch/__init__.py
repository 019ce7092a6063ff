"""Many photos, by the million: Parquet files of rows, by worker processes of this machine or by Ray.

``facegeom batch`` is the same from the command line. Needs the extra ``[batch]``.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from facegeom.batch import rows
from facegeom.batch.rows import Row
from facegeom.batch.run import Crew, EngineName, Listener, Plan, Progress, execute
from facegeom.batch.shards import Columns
from facegeom.batch.work import Settings
from facegeom.errors import InputError

__all__ = ["Progress", "Row", "analyze_many", "read_rows"]


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
    tell: Listener = lambda progress: None,
    **options: Any,
) -> Progress:
    """Analyse many photos into ``out/parts/*.parquet``; goes on where an earlier call was stopped.

    Args:
        sources: folders, globs, photos, tar and Parquet files, as paths or URLs.
        out: folder of the run.
        engine: "local", or "ray" for a cluster; both give the same bytes.
        workers: processes; None for one on each core, or a single one with a GPU.
        device: "cpu" or "cuda".
        gpus_per_worker: share of a GPU that Ray gives to each worker.
        mesh: False leaves the mesh out: rows are then a fifteenth as long.
        column: of Parquet sources, with the photos' bytes; None for the only one that can hold them.
        name_column: of Parquet sources, with the photos' names.
        part_size: photos of a part, 128 by default.
        tell: called with the progress.
        options: ``min_face``, ``max_faces``, ``min_score``, ``fov_deg`` of :class:`facegeom.FaceAnalyzer`.

    Returns:
        What is there in the end.

    Raises:
        InputError: wrong arguments or sources, or others than those of the run in ``out``.
        OutputError: ``out`` cannot be written.
        WorkerError: workers do not start.
    """
    if part_size is not None and part_size < 1:
        raise InputError(f"part_size: expected at least 1, got {part_size!r}")
    if unknown := options.keys() - {"min_face", "max_faces", "min_score", "fov_deg"}:
        raise InputError(f"expected options of FaceAnalyzer, got {', '.join(sorted(unknown))}")
    settings = Settings(device, mesh, column, options)
    plan = Plan(list(sources), Path(out), Columns(column, name_column), settings, part_size)
    return execute(plan, Crew(engine, workers, gpus_per_worker), tell)


def read_rows(out: str | os.PathLike[str]) -> Iterator[Row]:
    """The rows of a run with the mesh, in the order of its photos, with their faces as ``Faces``.

    Raises:
        InputError: there are no parts in the folder, or they are without the mesh.
    """
    files = sorted(Path(out, "parts").glob("part-*.parquet"))
    if not files:
        raise InputError(f"expected the folder of a run, found no parts in {os.fspath(out)!r}")
    for file in files:
        table = pq.read_table(file)
        if "mesh_px" not in table.schema.names:
            raise InputError(f"expected rows with the mesh in {str(file)!r}; read it by pyarrow")
        yield from rows.from_table(table)

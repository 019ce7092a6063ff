"""Analyze millions of photos into Parquet files, with worker processes on this machine or with Ray.

``facegeom batch`` is the same on the command line. Needs the extra ``[batch]``.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from facegeom.batch.rows import PartFiles, Row, from_table
from facegeom.batch.run import Progress, analyze_many
from facegeom.errors import InputError

__all__ = ["Progress", "Row", "analyze_many", "read_rows"]


def read_rows(out: str | os.PathLike[str]) -> Iterator[Row]:
    """Yield the rows of a run with the mesh, in the order of its photos, with faces as ``Faces``.

    Args:
        out: output folder of the run.

    Raises:
        InputError: the folder has no part files, or they are damaged, without the mesh or of an earlier
            facegeom.
    """
    parts = PartFiles(Path(out))
    files = parts.paths()
    if not files:
        raise InputError(f"expected the folder of a run, found no parts in {os.fspath(out)!r}")
    for file in files:
        try:
            content = file.read_bytes()
            if parts.is_changed(file, content):
                raise OSError("its SHA-256 is not that of parts.sha256")
            table = pq.read_table(pa.BufferReader(content), page_checksum_verification=True)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{str(file)!r} is damaged ({error}); run the same command again") from error
        if not {"camera_rotation", "expression"} <= set(table.schema.names):
            raise InputError(f"{str(file)!r} has other columns than this facegeom writes; make the run again")
        if "mesh_px" not in table.schema.names:
            raise InputError(f"expected rows with the mesh in {str(file)!r}; read it with pyarrow")
        yield from from_table(table)

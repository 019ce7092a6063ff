"""Analyze millions of photos into Parquet files, with worker processes on this machine or with Ray.

``facegeom batch`` is the same on the command line. Needs the extra ``[batch]``.
"""

import hashlib
import os
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from facegeom.batch.driver import Progress, Selection
from facegeom.batch.output import Output, sort_key
from facegeom.batch.rows import Row, from_table
from facegeom.batch.run import analyze_many
from facegeom.batch.stores import UnreachableError
from facegeom.errors import InputError

__all__ = ["Progress", "Row", "Selection", "UnreachableError", "analyze_many", "read_rows"]


def read_rows(out: str | os.PathLike[str]) -> Iterator[Row]:
    """Yield the rows of a run with the mesh, in the order of its photos, with faces as ``Faces``.

    Args:
        out: path or URL of the run.

    Raises:
        InputError: the folder has no part files, or they are damaged, without the mesh or of an earlier
            facegeom.
        UnreachableError: the store cannot be reached.
    """
    output = Output(os.fspath(out))
    files = sorted(output.part_files(), key=sort_key)
    if not files:
        raise InputError(f"expected the folder of a run, found no parts in {os.fspath(out)!r}")
    hashes = {
        record.file: record.sha256 for pieces in output.records().values() for record in pieces.values()
    }
    for file in files:
        place = f"{output.location}/{file}"
        try:
            content = output.read(file) or b""
            if hashes.get(file, digest := hashlib.sha256(content).hexdigest()) != digest:
                raise OSError("its SHA-256 is not that of the ledger")
            table = pq.read_table(pa.BufferReader(content), page_checksum_verification=True)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{place!r} is damaged ({error}); run the same command again") from error
        if not {"camera_rotation", "expression"} <= set(table.schema.names):
            raise InputError(f"{place!r} has other columns than this facegeom writes; make the run again")
        if "mesh_px" not in table.schema.names:
            raise InputError(f"expected rows with the mesh in {place!r}; read it with pyarrow")
        yield from from_table(table)

"""A Parquet file that grows by parts, so that a run killed at any moment goes on where it was.

New rows go to ``OUT.parts/part-00000.parquet`` and so on, each written whole or not at all; at the end the
parts are merged into OUT. A photo that has rows in OUT or in a part is finished.
"""

import os
import shutil
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from facegeom.errors import InputError, OutputError
from facegeom.export.files import make_folder, write
from facegeom_lab.teachers.labels import METADATA_KEY


class GrowingTable:
    """Rows of photos, each photo once.

    Args:
        out: the file; rows that are in it stay.
        schema: of the rows; the file and its parts must have the same, with the same settings in it.

    Raises:
        InputError: the file or a part was made with other settings, or is not Parquet.
    """

    def __init__(self, out: Path, schema: pa.Schema) -> None:
        self.out, self.schema = out, schema
        self.folder = out.with_name(f"{out.name}.parts")
        self.finished: set[str] = set()
        if out.exists():
            self.finished |= self._photos(out)
        for part in self._parts():
            photos = self._photos(part)
            if photos <= self.finished:  # merged by a run that was killed before it removed the part
                part.unlink()
            self.finished |= photos

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the rows of some photos as a part of its own.

        Raises:
            OutputError: it cannot be written.
        """
        table = pa.Table.from_pylist(list(rows), self.schema)
        stream = BytesIO()
        pq.write_table(table, stream)
        last = max((int(part.stem.removeprefix("part-")) for part in self._parts()), default=-1)
        write(self.folder / f"part-{last + 1:05d}.parquet", stream.getvalue())
        self.finished |= set(table["file"].to_pylist())

    def merge(self) -> None:
        """Put all rows into the file, whole or not at all, and remove the parts.

        Raises:
            OutputError: it cannot be written.
        """
        temporary = self.out.with_name(f".{self.out.name}.tmp")
        sources = [*([self.out] if self.out.exists() else []), *self._parts()]
        make_folder(self.out.parent)
        try:
            with pq.ParquetWriter(temporary, self.schema) as writer:
                for source in sources:
                    for batch in pq.ParquetFile(source).iter_batches():
                        writer.write_batch(batch)
            os.replace(temporary, self.out)
            shutil.rmtree(self.folder, ignore_errors=True)
        except OSError as error:
            raise OutputError(f"cannot write {str(self.out)!r}: {error}; the parts are kept") from error

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob("part-*.parquet"))

    def _photos(self, file: Path) -> set[str]:
        try:
            found = pq.read_schema(file)
            if found.equals(self.schema) and _settings(found) == _settings(self.schema):
                return set(pq.read_table(file, columns=["file"])["file"].to_pylist())
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"expected labels in {file}, but it cannot be read: {error}") from error
        raise InputError(
            f"expected labels made with {_settings(self.schema)} in {file}, found {_settings(found)};"
            " name another file with --out, or remove this one"
        )


def _settings(schema: pa.Schema) -> str:
    return (schema.metadata or {}).get(METADATA_KEY, b"none of facegeom").decode()

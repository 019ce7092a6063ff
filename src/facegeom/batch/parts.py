"""The parts of a run: Parquet files that appear whole or not at all, and are known again later."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from facegeom.batch.rows import Counts, read_about
from facegeom.errors import OutputError
from facegeom.export.files import write


class Parts:
    """The folder ``parts`` of a run.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "parts"

    def path(self, part: int) -> Path:
        """The file of a part."""
        return self.folder / f"part-{part:07d}.parquet"

    def write(self, part: int, content: bytes) -> None:
        """Store a part.

        Raises:
            OutputError: it cannot be written.
        """
        write(self.path(part), content)

    def read_counts(self, part: int, about: dict[str, Any]) -> Counts | None:
        """What a part holds; None if it is not there, or not whole, or made of other photos.

        Args:
            part: number.
            about: what was given to :func:`facegeom.batch.rows.encode` when it was made.
        """
        path = self.path(part)
        if not path.is_file():
            return None
        try:
            with pq.ParquetFile(path) as file:
                found, rows = read_about(file.schema_arrow), file.metadata.num_rows
            counts = Counts(*(found.pop(name) for name in ("photos", "faces", "errors")))
        except (pa.ArrowException, OSError, ValueError, KeyError):
            return None  # a part that the disk lost half of is made again
        return counts if found == about and counts.photos == rows else None

    def clean(self) -> None:
        """Remove what a killed run was writing.

        Raises:
            OutputError: a file cannot be removed.
        """
        try:
            for folder in (self.folder.parent, self.folder):
                for left in folder.glob(".*.tmp"):
                    left.unlink()
        except OSError as error:
            raise OutputError(f"cannot remove {str(left)!r}: {error.strerror or error}") from error

    def exist(self) -> bool:
        """Whether there is any part."""
        return next(self.folder.glob("part-*.parquet"), None) is not None

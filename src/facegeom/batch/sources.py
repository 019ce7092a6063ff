"""List the photos of a run: in folders, globs, files, tar and Parquet files, on this machine or in a store.

The list is lazy, folder by folder and shard by shard, and its order depends on the names alone. Tar headers
and Parquet footers are read, but no photo.
"""

import os
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem
from fsspec.utils import glob_translate

from facegeom.batch.input_index import PhotoRef
from facegeom.batch.reading import image_column, normalized, open_store, reason_of, url_of
from facegeom.batch.rows import is_part_file
from facegeom.errors import InputError
from facegeom.image.reading import ENDINGS
from facegeom.results.saving import is_own_picture

_TAR, _PARQUET = (".tar",), (".parquet", ".pq")
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".zip")
_LISTED_ENDINGS = (*ENDINGS, *_TAR, *_PARQUET, *_COMPRESSED)
_WILDCARD = re.compile(r"[*?\[]")
_UNREADABLE = (OSError, EOFError, ValueError, tarfile.TarError, pa.ArrowException)


class Columns(NamedTuple):
    """Columns of Parquet sources.

    Attributes:
        image: column with the photos' bytes; None for the only one that can hold them.
        name: column with the photos' names, optional.
    """

    image: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Source:
    """One source of photos.

    Attributes:
        text: normalized path or URL; the keys of its photos begin with it.
        store: fsspec file system.
        root: file, folder, or the folder from which a glob is searched; a path in the store.
        glob: pattern of the full paths; None for a file or a folder.
        depth: levels of folders below the root to search; None for all.
        file: fsspec's description of a single file; None for a folder or a glob.
    """

    text: str
    store: Any
    root: str
    glob: re.Pattern[str] | None = None
    depth: int | None = None
    file: dict[str, Any] | None = None

    def covers(self, path: str) -> bool:
        """Return whether this folder or glob includes a file of its store."""
        if self.glob is not None:
            return self.glob.match(path) is not None
        return path.startswith(self.root.rstrip("/") + "/") and path.lower().endswith(_LISTED_ENDINGS)


def list_photos(
    sources: Sequence[str | os.PathLike[str]], columns: Columns | None = None, leave_out: str | None = None
) -> Iterator[PhotoRef]:
    """List all photos lazily, each under the first source that includes it.

    A folder, with its subfolders, includes every file with the ending of a photo, a tar or a Parquet file,
    except hidden files and what facegeom has written: pictures of ``facegeom analyze`` and part files of any
    run. A glob includes every file that it matches, with the same exceptions. Folders that cannot be searched
    and files that cannot be read as photos are listed as "damaged", with the reason.

    Args:
        sources: paths, globs (``*``, ``?``, ``[..]``, ``**``) and URLs.
        columns: of Parquet files.
        leave_out: a folder on this machine that is not searched: the run's output folder.

    Yields:
        The photos of each source, sorted by name in each folder.

    Raises:
        InputError: a source is missing, cannot be opened or holds no photo.
    """
    opened = [_open_source(normalized(source)) for source in sources]
    earlier: list[Source] = []
    files: set[str] = set()  # single files apart: there may be many, and each photo is looked up
    for source in opened:
        found = False
        for info in [source.file] if source.file else _walk(source, source.root, source.depth, leave_out):
            path = info["name"]
            listed = url_of(path, source.text) in files or any(
                other.store == source.store and other.covers(path) for other in earlier
            )
            found |= listed
            for photo in () if listed else _photos(source, info, columns or Columns()):
                found = True
                yield photo
        if not found:
            raise InputError(f"expected photos in {source.text!r}, found none; check the path")
        if source.file:
            files.add(url_of(source.root, source.text))
        else:
            earlier.append(source)


def _open_source(text: str) -> Source:
    store, path = open_store(text)
    try:
        if store.isdir(path):
            return Source(text, store, path)
        if store.exists(path):
            return Source(text, store, path, file={**store.info(path), "name": path})
    except Exception as error:  # drivers of stores raise errors of any type
        raise InputError(f"cannot access {text!r}: {reason_of(error)}") from error
    wildcard = _WILDCARD.search(path)
    if wildcard is None:
        raise InputError(f"expected a file, a folder, a glob or a URL, but {text!r} is not there")
    root = path[: wildcard.start()].rpartition("/")[0]
    below = path[len(root) + 1 :]
    depth = None if "**" in below else below.count("/")
    return Source(text, store, root or "/", re.compile(glob_translate(path)), depth)


def _walk(source: Source, folder: str, depth: int | None, leave_out: str | None) -> Iterator[dict[str, Any]]:
    """Yield fsspec's descriptions of a source's files, sorted by name in each folder.

    A folder that cannot be searched is yielded with a "problem".
    """
    try:
        listed = list(source.store.ls(folder, detail=True))
    except Exception as error:  # see _open_source
        yield {"name": folder, "type": "directory", "problem": f"cannot be searched: {reason_of(error)}"}
        return
    for info in sorted(listed, key=lambda info: str(info["name"])):
        path = str(info["name"]).rstrip("/")
        if path.rpartition("/")[2].startswith(".") or path in (folder.rstrip("/"), leave_out):
            continue
        if info["type"] == "directory":
            if depth != 0:
                yield from _walk(source, path, None if depth is None else depth - 1, leave_out)
        elif source.covers(path) and not is_own_picture(path):
            yield info


def _problem(source: Source, info: dict[str, Any]) -> str | None:
    """Return why a file or folder cannot be used, as far as its description says."""
    path = str(info["name"])
    if "problem" in info:
        return str(info["problem"])
    if path != path.encode(errors="replace").decode():
        return "the name is not UTF-8; rename it"
    special = info["type"] == "other" and isinstance(source.store, LocalFileSystem)
    if special and os.path.exists(path) and not os.path.isfile(path):  # a link to nothing fails on reading
        return "not a regular file"  # reading a pipe would wait for ever
    return None


def _photos(source: Source, info: dict[str, Any], columns: Columns) -> Iterator[PhotoRef]:
    """Yield the photos of one file: the file itself, or its tar members or Parquet rows."""
    path, size = str(info["name"]), info.get("size")
    name = path[len(source.root) :].lstrip("/") or path.rpartition("/")[2]
    place = _key(source, path), name, url_of(path, source.text)
    if problem := _problem(source, info):
        key, name, url = (text.encode(errors="backslashreplace").decode() for text in place)
        yield PhotoRef(key, name, "damaged", url, problem=problem)
        return
    file = PhotoRef(*place[:2], "file", place[2], 0, -1 if size is None else size)
    ending = path.lower()
    if ending.endswith(_COMPRESSED):
        raise InputError(
            f"expected photos, .tar or .parquet, got {file.key!r}; unpack it or make it a plain .tar"
        )
    if ending.endswith(_TAR):
        yield from _tar_members(source.store, path, file)
    elif ending.endswith(_PARQUET):
        yield from _parquet_rows(source.store, path, file, columns)
    else:
        yield file


def _key(source: Source, path: str) -> str:
    """Return a file's path as the source was given, followed by the path below it."""
    if source.file:
        return source.text
    below = path[len(source.root) :].lstrip("/")
    if source.glob is None:
        return f"{source.text}/{below}" if below else source.text
    root = _WILDCARD.split(source.text, maxsplit=1)[0].rpartition("/")[0]
    return f"{root}/{below}" if root else below


def _tar_members(store: Any, path: str, file: PhotoRef) -> Iterator[PhotoRef]:
    """Yield the photos of a tar file, such as a WebDataset shard, in its order; skip other members.

    If the file is damaged, the members before the damage are followed by a "damaged" photo.
    """
    seen: Counter[str] = Counter()
    try:
        with store.open(path, "rb") as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # else tarfile keeps all members in memory
                if member.isreg() and _is_photo(member.name):
                    seen[member.name] += 1
                    repeat = f"#{seen[member.name]}" if seen[member.name] > 1 else ""
                    yield file._replace(
                        key=f"{file.key}/{member.name}{repeat}",
                        name=member.name,
                        kind="tar",
                        position=member.offset_data,
                        size=member.size,
                    )
    except _UNREADABLE as error:
        yield file._replace(kind="damaged", problem=f"the tar file is damaged or cut short ({error})")


def _is_photo(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".") and not is_own_picture(name)


def _parquet_rows(store: Any, path: str, file: PhotoRef, columns: Columns) -> Iterator[PhotoRef]:
    """Yield one photo for each row of a Parquet file, or a "damaged" one."""
    try:
        with store.open(path, "rb") as stream:
            table = pq.ParquetFile(stream)
            if is_part_file(table.schema_arrow):
                return  # rows of a run, not photos
            names = _row_names(table, image_column(table.schema_arrow, columns.image, file.key), columns.name)
            for row, name in zip(range(table.metadata.num_rows), names, strict=True):
                yield file._replace(key=f"{file.key}#{row}", name=name, kind="parquet", position=row)
    except InputError:
        raise
    except _UNREADABLE as error:
        yield file._replace(kind="damaged", problem=f"the Parquet file is damaged or cut short ({error})")


def _row_names(table: pq.ParquetFile, image: str, wanted: str | None) -> Iterator[str | None]:
    """Yield the rows' names: from the requested column, else the ``path`` beside the bytes, else None."""
    names, kind = table.schema_arrow.names, table.schema_arrow.field(image).type
    if wanted is not None and wanted not in names:
        raise InputError(f"expected the column {wanted!r} with names, found {names}")
    if wanted is None and not (pa.types.is_struct(kind) and kind.get_field_index("path") >= 0):
        yield from repeat(None, table.metadata.num_rows)
        return
    for batch in table.iter_batches(columns=[wanted or f"{image}.path"]):
        for value in batch.column(0).to_pylist():
            name = value["path"] if value and wanted is None else value
            yield None if name is None else str(name)

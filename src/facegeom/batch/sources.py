"""List the photos of a run: in folders, globs, files, tar and Parquet files, on this machine or in a store.

The list is lazy, folder by folder and shard by shard, and its order depends on the names alone. Tar headers
and Parquet footers are read, but no photo.
"""

import os
import re
import stat
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem
from fsspec.utils import glob_translate

from facegeom.batch.input_index import PhotoRef
from facegeom.batch.reading import image_column, normalized, open_store, reason_of, url_of
from facegeom.batch.rows import is_part_file
from facegeom.errors import FacegeomError, InputError
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
        is_file: whether the root is a single file.
    """

    text: str
    store: Any
    root: str
    glob: re.Pattern[str] | None = None
    depth: int | None = None
    is_file: bool = False

    def has(self, store: Any, path: str) -> bool:
        """Return whether this source includes a file of any store."""
        return store == self.store and self.covers(path)

    def covers(self, path: str) -> bool:
        """Return whether this source includes a file of its own store."""
        if self.is_file:
            return path == self.root
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
        for info in _files(source, leave_out):
            url = url_of(info["name"], source.text)
            listed = url in files or any(other.has(source.store, info["name"]) for other in earlier)
            found |= listed
            for photo in () if listed else _photos(source, info, columns or Columns()):
                found = True
                yield photo
        if not found:
            raise InputError(f"expected photos in {source.text!r}, found none; check the path")
        if source.is_file:
            files.add(url_of(source.root, source.text))
        else:
            earlier.append(source)


def _open_source(text: str) -> Source:
    store, path = open_store(text)
    try:
        if store.isdir(path):
            return Source(text, store, path)
        if store.exists(path):
            return Source(text, store, path, is_file=True)
    except FacegeomError:
        raise
    except Exception as error:  # drivers of stores raise errors of any type
        raise InputError(f"cannot access {text!r}: {reason_of(error)}") from error
    wildcard = _WILDCARD.search(path)
    if wildcard is None:
        raise InputError(f"expected a file, a folder, a glob or a URL, but {text!r} is not there")
    root = path[: wildcard.start()].rpartition("/")[0]
    below = path[len(root) + 1 :]
    depth = None if "**" in below else below.count("/")
    return Source(text, store, root or "/", re.compile(glob_translate(path)), depth)


def _files(source: Source, leave_out: str | None) -> Iterator[dict[str, Any]]:
    """Yield fsspec's descriptions of a source's files, sorted by name in each folder."""
    if source.is_file:
        yield _file_info(source)
    else:
        yield from _walk(source, source.root, source.depth, leave_out)


def _file_info(source: Source) -> dict[str, Any]:
    try:
        return dict(source.store.info(source.root)) | {"name": source.root}
    except Exception as error:  # see _open_source
        raise InputError(f"cannot access {source.text!r}: {reason_of(error)}") from error


def _walk(source: Source, folder: str, depth: int | None, leave_out: str | None) -> Iterator[dict[str, Any]]:
    for info in sorted(_list_folder(source, folder), key=lambda info: str(info["name"])):
        path = str(info["name"]).rstrip("/")
        if "problem" in info:
            yield info
        if path.rpartition("/")[2].startswith(".") or path in (folder.rstrip("/"), leave_out):
            continue
        if info["type"] == "directory":
            if depth != 0:
                yield from _walk(source, path, None if depth is None else depth - 1, leave_out)
        elif source.covers(path) and not is_own_picture(path):
            yield info


def _list_folder(source: Source, folder: str) -> list[dict[str, Any]]:
    """Return fsspec's descriptions of a folder's content, or one of the folder with a "problem"."""
    try:
        return list(source.store.ls(folder, detail=True))
    except Exception as error:  # see _open_source
        return [{"name": folder, "type": "directory", "problem": f"cannot be searched: {reason_of(error)}"}]


def _problem(source: Source, info: dict[str, Any]) -> str | None:
    """Return why a file or folder cannot be used, as far as its description says."""
    path = str(info["name"])
    if "problem" in info:
        return str(info["problem"])
    if not path.isascii() and not _is_text(path):
        return "the name is not UTF-8; rename it"
    if info["type"] == "other" and isinstance(source.store, LocalFileSystem) and not _is_regular(path):
        return "not a regular file"  # reading a pipe would wait for ever
    return None


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_regular(path: str) -> bool:
    """Return whether a path, or what it links to, is a file; a link to nothing counts, too."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return True


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
    if source.is_file:
        return source.text
    below = path[len(source.root) :].lstrip("/")
    if source.glob is None:
        return f"{source.text}/{below}"
    root = _WILDCARD.split(source.text, maxsplit=1)[0].rpartition("/")[0]
    return f"{root}/{below}" if root else below


def _tar_members(store: Any, path: str, file: PhotoRef) -> Iterator[PhotoRef]:
    """Yield the photos of a tar file, such as a WebDataset shard, in its order; skip other members.

    Args:
        store: file system.
        path: of the tar file in it.
        file: the tar file; the keys of its members extend its key. If it is damaged, the members before the
            damage are followed by a "damaged" photo with the reason.
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
    """Yield one photo for each row of a Parquet file.

    Raises:
        InputError: no column can hold photos, or a requested column is missing.
    """
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
    kind = table.schema_arrow.field(image).type
    if wanted is None and pa.types.is_struct(kind) and kind.get_field_index("path") >= 0:
        for batch in table.iter_batches(columns=[f"{image}.path"]):
            yield from (_text(value["path"]) if value else None for value in batch.column(0).to_pylist())
    elif wanted is None:
        yield from (None for _ in range(table.metadata.num_rows))
    elif wanted not in table.schema_arrow.names:
        raise InputError(f"expected the column {wanted!r} with names, found {table.schema_arrow.names}")
    else:
        for batch in table.iter_batches(columns=[wanted]):
            yield from (_text(value) for value in batch.column(0).to_pylist())


def _text(value: object) -> str | None:
    return None if value is None else str(value)

"""What a run works on: folders, globs, single files, tar and Parquet files, here or in a store, as one list.

The list is made lazily, folder by folder and shard by shard, in an order that depends on the names alone.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fsspec.utils import glob_translate

from facegeom.batch import stores
from facegeom.batch.photo import Photo
from facegeom.batch.shards import Columns, parquet_rows, tar_members
from facegeom.errors import InputError
from facegeom.image.reading import ENDINGS

_TAR, _PARQUET = (".tar",), (".parquet", ".pq")
_PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".zip")
_FOUND = (*ENDINGS, *_TAR, *_PARQUET, *_PACKED)
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Source:
    """One source as it was given.

    Attributes:
        text: as given, tidied: how the keys of its photos begin.
        store: fsspec file system.
        root: file, folder, or the folder from which a glob is searched; a path in the store.
        glob: what whole paths must match; None for a file or a folder.
        depth: levels of folders below the root that may hold photos; None for all.
        is_file: the root is one file.
    """

    text: str
    store: Any
    root: str
    glob: re.Pattern[str] | None = None
    depth: int | None = None
    is_file: bool = False

    def has(self, store: Any, path: str) -> bool:
        """Whether a file of a store is one of this source's."""
        return store == self.store and self.covers(path)

    def covers(self, path: str) -> bool:
        """Whether a file of its store is one of this source's."""
        if self.is_file:
            return path == self.root
        if self.glob is not None:
            return self.glob.match(path) is not None
        return path.startswith(self.root.rstrip("/") + "/") and path.lower().endswith(_FOUND)


def list_photos(
    sources: Sequence[str | os.PathLike[str]], columns: Columns | None = None, leave_out: str | None = None
) -> Iterator[Photo]:
    """All photos, lazily, each under the first source that has it.

    In a folder and its folders every file with the ending of a photo, of a tar or a Parquet file is taken,
    but hidden ones and overlays of ``facegeom analyze`` are not; a glob takes every file that it matches.

    Args:
        sources: paths, globs (``*``, ``?``, ``[..]``, ``**``) and URLs.
        columns: of Parquet files.
        leave_out: a folder of this machine that is not searched: the run's own.

    Raises:
        InputError: a source is not there, cannot be searched or holds no photo.
    """
    opened = [_source(stores.tidy(source)) for source in sources]
    earlier: list[Source] = []
    files: set[str] = set()  # many may be named one by one, and each is looked up for each photo
    for source in opened:
        found = False
        for info in _files(source, leave_out):
            found = True
            url = stores.url_of(info["name"], source.text)
            if url not in files and not any(other.has(source.store, info["name"]) for other in earlier):
                yield from _photos(source, info, columns or Columns())
        if not found:
            raise InputError(f"expected photos in {source.text!r}, found none; check the path")
        if source.is_file:
            files.add(stores.url_of(source.root, source.text))
        else:
            earlier.append(source)


def _source(text: str) -> Source:
    store, path = stores.open_store(text)
    try:
        if store.isdir(path):
            return Source(text, store, path)
        if store.exists(path):
            return Source(text, store, path, is_file=True)
    except OSError as error:
        raise InputError(f"cannot look at {text!r}: {error}") from error
    if not _WILD.search(path):
        raise InputError(f"expected a file, a folder, a glob or a URL, but {text!r} is not there")
    fixed = path[: _WILD.search(path).start()].rpartition("/")[0]  # type: ignore[union-attr]
    below = path[len(fixed) + 1 :]
    depth = None if "**" in below else below.count("/")
    return Source(text, store, fixed or "/", re.compile(glob_translate(path)), depth)


def _files(source: Source, leave_out: str | None) -> Iterator[dict[str, Any]]:
    """Descriptions by fsspec of the files of a source, sorted by name in each folder."""
    if source.is_file:
        yield _info(source)
    else:
        yield from _walk(source, source.root, source.depth, leave_out)


def _info(source: Source) -> dict[str, Any]:
    try:
        return dict(source.store.info(source.root)) | {"name": source.root}
    except OSError as error:
        raise InputError(f"cannot look at {source.text!r}: {error}") from error


def _walk(source: Source, folder: str, depth: int | None, leave_out: str | None) -> Iterator[dict[str, Any]]:
    for info in sorted(_listed(source, folder), key=lambda info: str(info["name"])):
        path = str(info["name"]).rstrip("/")
        if path.rpartition("/")[2].startswith(".") or path in (folder.rstrip("/"), leave_out):
            continue
        if info["type"] == "directory":
            if depth != 0:
                yield from _walk(source, path, None if depth is None else depth - 1, leave_out)
        elif source.covers(path) and not path.endswith(".overlay.jpg"):
            yield info


def _listed(source: Source, folder: str) -> list[dict[str, Any]]:
    try:
        return list(source.store.ls(folder, detail=True))
    except OSError as error:
        raise InputError(f"cannot search {folder!r} of {source.text!r}: {error}") from error


def _photos(source: Source, info: dict[str, Any], columns: Columns) -> Iterator[Photo]:
    """The photos of one file: itself, or what it holds."""
    path, size = str(info["name"]), info.get("size")
    below = path[len(source.root) :].lstrip("/") or path.rpartition("/")[2]
    whole = Photo(
        _key(source, path), below, "file", stores.url_of(path, source.text), 0, -1 if size is None else size
    )
    ending = path.lower()
    if ending.endswith(_PACKED):
        raise InputError(
            f"expected photos, .tar or .parquet, got {whole.key!r}; unpack it or make it a plain .tar"
        )
    if ending.endswith(_TAR):
        yield from tar_members(source.store, path, whole)
    elif ending.endswith(_PARQUET):
        yield from parquet_rows(source.store, path, whole, columns)
    else:
        yield whole


def _key(source: Source, path: str) -> str:
    """The path as the person wrote it, with what lies below."""
    if source.is_file:
        return source.text
    below = path[len(source.root) :].lstrip("/")
    if source.glob is None:
        return f"{source.text}/{below}"
    fixed = source.text[: _WILD.search(source.text).start()].rpartition("/")[0]  # type: ignore[union-attr]
    return f"{fixed}/{below}" if fixed else below

"""List what a run reads: photos and shards of photos in folders, globs, files and lists, here or in a store.

The list is lazy, folder by folder, and its order depends on the names alone. No photo is read.
"""

import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem
from fsspec.utils import glob_translate

from facegeom.batch import shards
from facegeom.batch.input_index import PhotoRef
from facegeom.batch.stores import UnreachableError, is_url, open_store, patiently, reason_of, url_of
from facegeom.errors import InputError
from facegeom.image.reading import ENDINGS
from facegeom.results.saving import is_own_picture

_TAR, _PARQUET = (".tar",), (".parquet", ".pq")
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".zip")
_SHARDS = (*_TAR, *_PARQUET, *_COMPRESSED)
_WILDCARD = re.compile(r"[*?\[]")
_LIST_COLUMNS = ("url", "path", "file", "key")
_AHEAD = 16  # shards whose listings are read at once

_WALKED_TARS = 32
"""Tar files on this machine whose members are listed here, so that several workers can read one. Beyond them
there are enough tar files for all workers: each reads one as a whole, as it does in a store."""


@dataclass(frozen=True)
class Wanted:
    """What to list.

    Attributes:
        image: Parquet column with the photos' bytes; None for the only one that can hold them.
        name: Parquet column with the photos' names, optional.
        leave_out: a folder on this machine that is not searched: the run's output folder.
        rows: fewest rows of a Parquet file in a shard, which holds whole row groups.
        each_photo: whether the members of every tar file are listed here.
        problem: called with a folder or shard that could not be listed and the reason; another run may.
    """

    image: str | None = None
    name: str | None = None
    leave_out: str | None = None
    rows: int = 128
    each_photo: bool = False
    problem: Callable[[str, str], object] = lambda key, reason: None


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
        root = self.root.rstrip("/") + "/"
        return path.startswith(root) and "/." not in path[len(root) - 1 :] and self.takes(path)

    def takes(self, path: str) -> bool:
        """Return whether a file that is not hidden and lies below the root is one of its photos or shards."""
        if self.glob is not None:
            return self.glob.match(path) is not None and not is_own_picture(path)
        is_listed = path[path.rfind(".") :].lower() in ENDINGS or path.lower().endswith(_SHARDS)
        return is_listed and not is_own_picture(path)

    def key(self, path: str) -> str:
        """Return a file's path as the source was given, followed by the path below it."""
        if self.file:
            return self.text
        below = path[len(self.root) :].lstrip("/")
        if self.glob is None:
            return f"{self.text}/{below}" if below else self.text
        root = _WILDCARD.split(self.text, maxsplit=1)[0].rpartition("/")[0]
        return f"{root}/{below}" if root else below


class _Found(NamedTuple):
    source: Source
    info: dict[str, Any]


def normalized(location: str | os.PathLike[str]) -> str:
    """Return a source as the keys of its photos begin: without trailing slash or leading ``./``."""
    text = os.fspath(location)
    return text.rstrip("/") if is_url(text) or not text else Path(text).as_posix()


def list_photos(
    sources: Sequence[str | os.PathLike[str]],
    wanted: Wanted | None = None,
    lists: Sequence[str | os.PathLike[str]] = (),
) -> Iterator[PhotoRef]:
    """List all photos and shards lazily, each under the first source that includes it.

    A folder, with its subfolders, includes every file with the ending of a photo, a tar or a Parquet file,
    except hidden files and what facegeom has written: pictures of ``facegeom analyze`` and part files of any
    run. A glob includes every file that it matches, with the same exceptions. Files that cannot be used as
    photos are listed as "damaged", with the reason.

    Args:
        sources: paths, globs (``*``, ``?``, ``[..]``, ``**``) and URLs.
        wanted: what to list.
        lists: files that name photos and shards, by paths or URLs: a line for each, or the rows of a string
            column of a Parquet file.

    Yields:
        The photos of each source, sorted by name in each folder.

    Raises:
        InputError: a source is missing, cannot be opened or holds no photo.
        UnreachableError: a source's store stays away.
    """
    wanted, unlisted = wanted or Wanted(), list[str]()
    tell = wanted.problem

    def on_problem(key: str, reason: str) -> None:
        unlisted.append(key)
        tell(key, reason)

    wanted = replace(wanted, problem=on_problem)
    opened = [_open_source(normalized(source)) for source in sources]
    files = _files(opened, [_names_in(normalized(each)) for each in lists], wanted, unlisted)
    found = False
    with ThreadPoolExecutor(_AHEAD, "facegeom-list") as pool:
        try:
            for photo in _in_order(pool, files, wanted):
                found = True
                yield photo
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    if not (found or unlisted):
        raise _nothing(", ".join(map(str, (*sources, *lists))))


def _files(
    opened: Sequence[Source], lists: Iterable[Iterable[str]], wanted: Wanted, unlisted: Sequence[str]
) -> Iterator[_Found | PhotoRef]:
    """Yield the files of all sources, each once; of lists the photos."""
    earlier: list[Source] = []
    files: set[str] = set()  # single files apart: there may be many, and each photo is looked up
    for source in opened:
        found = False
        for info in [source.file] if source.file else _walk(source, source.root, source.depth, wanted):
            found = True
            if files and url_of(info["name"], source.text) in files:
                continue
            if earlier and any(
                other.store == source.store and other.covers(info["name"]) for other in earlier
            ):
                continue
            yield _Found(source, info)
        if not (found or unlisted):
            raise _nothing(source.text)
        if source.file:
            files.add(url_of(source.root, source.text))
        else:
            earlier.append(source)
    for text in chain.from_iterable(lists):
        place = text if is_url(text) else os.path.abspath(text)
        if place in files or any(other.covers(place) for other in earlier if not is_url(place)):
            continue
        files.add(place)
        if place.lower().endswith(_SHARDS):
            source = _open_source(text)
            yield _Found(source, source.file or {"name": source.root, "type": "other"})
        else:
            yield _listed_file(text, place)


def _nothing(text: str) -> InputError:
    return InputError(f"expected photos in {text!r}, found none; check the path")


def _names_in(location: str) -> Iterable[str]:
    """Return the paths and URLs that a list names."""
    try:
        if not location.endswith(_PARQUET):
            lines = patiently(partial(_content, location), location).decode().splitlines()
            return [normalized(line) for line in map(str.strip, lines) if line and not line.startswith("#")]
        store, path = open_store(location)
        with store.open(path, "rb") as stream:
            table = pq.ParquetFile(stream)
            strings = [field.name for field in table.schema_arrow if str(field.type).endswith("string")]
            column = next((name for name in _LIST_COLUMNS if name in strings), strings[0] if strings else "")
            if column not in _LIST_COLUMNS and len(strings) != 1:
                raise InputError(
                    f"expected a column {', '.join(_LIST_COLUMNS)} or a single one of strings in"
                    f" {location!r}, found {table.schema_arrow.names}"
                )
            return [normalized(text) for text in table.read([column])[column].to_pylist() if text]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the list {location!r}: {reason_of(error)}") from error


def _content(location: str) -> bytes:
    store, path = open_store(location)
    try:  # a local one once and from its beginning to its end: it may be a pipe
        return bytes(store.cat_file(path)) if is_url(location) else Path(path).read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"cannot read the list {path!r}: it is not there") from error


def _listed_file(text: str, place: str) -> PhotoRef:
    """Return a photo of a list. What lies in a store is not asked for: it may be a million."""
    name, size, version = place.rpartition("/")[2], -1, None
    if not is_url(place):
        try:
            found = os.stat(place)
            size, version = found.st_size, str(found.st_mtime_ns)
            if not stat.S_ISREG(found.st_mode):
                return PhotoRef(text, name, "damaged", place, problem="not a regular file")
        except OSError:
            pass  # it is missing: reading says so
    return PhotoRef(text, name, "file", place, 0, size, 1, version)


def _open_source(text: str) -> Source:
    store, path = open_store(text)

    def look() -> tuple[bool, dict[str, Any] | None]:
        try:
            info = dict(store.info(path))
        except (FileNotFoundError, NotADirectoryError):
            return store.isdir(path), None
        if isinstance(store, LocalFileSystem):
            info["ETag"] = os.stat(path).st_mtime_ns  # as in _scan
        return info["type"] == "directory", info | {"name": path}

    is_folder, info = patiently(look, repr(text))
    if is_folder:
        return Source(text, store, path)
    if info:
        return Source(text, store, path, file=info)
    wildcard = _WILDCARD.search(path)
    if wildcard is None:
        raise InputError(f"expected a file, a folder, a glob or a URL, but {text!r} is not there")
    root = path[: wildcard.start()].rpartition("/")[0]
    if isinstance(store, LocalFileSystem) and not os.path.isdir(root or "/"):
        raise InputError(f"expected the folder of a glob, but {root!r} of {text!r} is not there")
    below = path[len(root) + 1 :]
    depth = None if "**" in below else below.count("/")
    return Source(text, store, root or "/", re.compile(glob_translate(path)), depth)


def _walk(
    source: Source, folder: str, depth: int | None, wanted: Wanted, above: tuple[str, ...] = ()
) -> Iterator[dict[str, Any]]:
    """Yield fsspec's descriptions of a source's files, sorted by name in each folder.

    ``above`` are the real paths of the folders on the way, into which a link may lead back.
    """
    try:
        if isinstance(source.store, LocalFileSystem):
            real = os.path.realpath(folder)
            if real in above:
                return
            above = (*above, real)
            listed = patiently(partial(_scan, folder), folder)
        else:
            listed = patiently(lambda: list(source.store.ls(folder, detail=True)), folder)
    except UnreachableError as error:
        wanted.problem(source.key(folder), str(error))
        return
    for info in sorted(listed, key=itemgetter("name")):
        path = str(info["name"]).rstrip("/")
        if path[path.rfind("/") + 1] == "." or path in (folder, wanted.leave_out):
            continue
        if info["type"] == "directory":
            if depth != 0:
                yield from _walk(source, path, None if depth is None else depth - 1, wanted, above)
        elif source.takes(path):
            yield info


def _scan(folder: str) -> list[dict[str, Any]]:
    """Describe the files of a folder on this machine as fsspec does, in a tenth of the time.

    Raises:
        UnreachableError: it may not be searched.
    """
    found: list[dict[str, Any]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                kind, size, version = "other", None, None
                try:
                    about = entry.stat()
                    if stat.S_ISDIR(about.st_mode):
                        kind = "directory"
                    elif stat.S_ISREG(about.st_mode):
                        kind, size, version = "file", about.st_size, about.st_mtime_ns
                    else:
                        kind = "special"
                except OSError:  # a link to nothing fails on reading
                    pass
                found.append({"name": entry.path, "type": kind, "size": size, "ETag": version})
    except PermissionError as error:
        raise UnreachableError(f"{folder} cannot be searched: {reason_of(error)}") from error
    return found


def _in_order(
    pool: ThreadPoolExecutor, files: Iterator[_Found | PhotoRef], wanted: Wanted
) -> Iterator[PhotoRef]:
    """Yield the photos of each file; the listings of shards are read ahead by several threads."""
    ahead: deque[PhotoRef | Future[list[PhotoRef]]] = deque()
    shards_ahead = tars = 0
    for found in files:
        photo = found if isinstance(found, PhotoRef) else _file_of(*found)
        if isinstance(found, _Found) and photo.kind == "file" and photo.path.lower().endswith(_SHARDS):
            if photo.path.lower().endswith(_TAR):
                tars += isinstance(found.source.store, LocalFileSystem)
            walk = wanted.each_photo or (0 < tars <= _WALKED_TARS and not is_url(photo.path))
            ahead.append(pool.submit(_shard, photo, wanted, walk))
            shards_ahead += 1
        elif ahead:
            ahead.append(photo)
        else:
            yield photo
        while ahead and (shards_ahead > _AHEAD or isinstance(ahead[0], PhotoRef)):
            first = ahead.popleft()
            if isinstance(first, PhotoRef):
                yield first
            else:
                shards_ahead -= 1
                yield from first.result()
    for first in ahead:
        yield from [first] if isinstance(first, PhotoRef) else first.result()


def _file_of(source: Source, info: dict[str, Any]) -> PhotoRef:
    """Return one file as a photo, or as "damaged" where its description says that it is none."""
    path, size = str(info["name"]), info.get("size")
    name = path[len(source.root) :].lstrip("/") or path.rpartition("/")[2]
    key, url = source.key(path), url_of(path, source.text)
    problem = None
    if not path.isascii() and path != path.encode(errors="replace").decode():
        problem = "the name is not UTF-8; rename it"
    elif info["type"] == "special" or (
        info["type"] == "other" and source.file and not _is_plain(source.store, path)
    ):
        problem = "not a regular file"  # reading a pipe would wait for ever
    if problem:
        key, name, url = (text.encode(errors="backslashreplace").decode() for text in (key, name, url))
        return PhotoRef(key, name, "damaged", url, problem=problem)
    version = info.get("ETag") or info.get("mtime") or info.get("LastModified")
    return PhotoRef(
        key, name, "file", url, 0, -1 if size is None else size, 1, None if version is None else str(version)
    )


def _is_plain(store: Any, path: str) -> bool:
    """Return whether a file of this machine may be read; a link to nothing fails on reading."""
    return not isinstance(store, LocalFileSystem) or os.path.isfile(path) or not os.path.exists(path)


def _shard(file: PhotoRef, wanted: Wanted, walk: bool) -> list[PhotoRef]:
    """Return the photos or shards in a tar or Parquet file."""
    ending = file.path.lower()
    if ending.endswith(_COMPRESSED):
        raise InputError(f"expected photos, .tar or .parquet, got {file.key!r}; make it a plain .tar")
    try:
        if ending.endswith(_PARQUET):
            return shards.row_groups(file, wanted.image, wanted.name, wanted.rows)
        if walk:
            return [photo for photo, _ in shards.tar_members(file, shards.opened(file))]
        return [file._replace(kind="tar", photo_count=-1)]
    except UnreachableError as error:
        wanted.problem(file.key, str(error))
        return []

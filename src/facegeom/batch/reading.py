"""Read the photos of a job: single ones ahead by several threads, shards as they are streamed."""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from facegeom.batch import shards
from facegeom.batch.input_index import Job, PhotoRef
from facegeom.batch.shards import Photo
from facegeom.batch.stores import is_deleted, is_url, open_store, patiently, result_of, waiting

_THREADS = 16
_AHEAD_BYTES = 64 << 20
_USUAL_BYTES = 1 << 20
"""What a photo counts whose size is not known."""


class Reader:
    """Read the photos of jobs, one job after another.

    Args:
        column: Parquet column with the photos' bytes; None for the only one that can hold them.
        name_column: Parquet column with the photos' names.
        limit_s: longest silence of a store, seconds.
    """

    def __init__(self, column: str | None = None, name_column: str | None = None, limit_s: float = 120.0):
        self._parquet = shards.ParquetShards(column, name_column)
        self._limit_s = limit_s
        self._pool = ThreadPoolExecutor(_THREADS, "facegeom-read")

    def photos(
        self,
        job: Job,
        done: int = 0,
        position: int = 0,
        seen: Counter[str] | None = None,
        on_wait: Callable[[], object] = lambda: None,
    ) -> Iterator[Photo]:
        """Yield the photos of a job in its order.

        Args:
            job: what to read.
            done: single photos at its beginning that are left out.
            position: of a shard: where the next photo begins.
            seen: of a tar file: how often names occurred before.
            on_wait: called four times a second while a store is waited for.

        Raises:
            UnreachableError: a source cannot be reached, or falls silent.
        """
        if job.photos and job.photos[0].is_shard:
            (shard,) = job.photos
            if shard.kind == "tar":
                photos = shards.tar_photos(shard, position, Counter(seen))
            else:
                photos = self._parquet.photos(shard, position)
        else:
            photos = self._singles(job.photos[done:])
        while True:
            with waiting(on_wait, self._limit_s):
                photo = next(photos, None)
            if photo is None:
                return
            yield photo

    def in_thread(self, action: Callable[[], object], on_wait: Callable[[], object], what: str) -> None:
        """Run an action in a thread of the reader and wait for it."""
        with waiting(on_wait, 1e9):
            result_of(self._pool.submit(action), what)

    def _singles(self, refs: tuple[PhotoRef, ...]) -> Iterator[Photo]:
        """Read photos ahead: as many as there are threads, or fewer of many bytes."""
        ahead: deque[tuple[PhotoRef, Future[Photo]]] = deque()
        left, bytes_ahead = deque(refs), 0
        try:
            while ahead or left:
                while left and len(ahead) < 2 * _THREADS and (not ahead or bytes_ahead < _AHEAD_BYTES):
                    ref = left.popleft()
                    ahead.append((ref, self._pool.submit(read, ref)))
                    bytes_ahead += ref.size if ref.size >= 0 else _USUAL_BYTES
                ref, future = ahead.popleft()
                bytes_ahead -= ref.size if ref.size >= 0 else _USUAL_BYTES
                yield result_of(future, ref.path)
        except BaseException:
            self._pool.shutdown(wait=False, cancel_futures=True)  # what hangs may hang for ever
            self._pool = ThreadPoolExecutor(_THREADS, "facegeom-read")
            raise


def read(ref: PhotoRef) -> Photo:
    """Read a single photo, patiently.

    Raises:
        UnreachableError: it cannot be reached.
    """
    if ref.kind == "damaged":
        return Photo(ref, None, ref.problem or "damaged")
    if ref.size > shards.MAX_BYTES:
        return Photo(ref, None, shards.too_large(ref.size))
    return patiently(partial(_read, ref), ref.path)


def _read(ref: PhotoRef) -> Photo:
    store, path = open_store(ref.path) if is_url(ref.path) else (None, ref.path)
    try:
        if ref.kind == "member":
            with open(path, "rb") if store is None else store.open(path, "rb") as stream:
                stream.seek(ref.position)
                return shards.member_photo(ref, bytes(stream.read(ref.size)))
        return _whole(ref, store, path)
    except FileNotFoundError:
        if is_deleted(*open_store(ref.path)):
            return Photo(ref, None, "cannot be read: no such file any more")
        raise
    except IsADirectoryError:
        return Photo(ref, None, "cannot be read: it is a folder")


def _whole(ref: PhotoRef, store: Any, path: str) -> Photo:
    """Read a photo that is a file; a body that is cut short is no photo."""
    if store is None:
        with open(path, "rb") as stream:
            content, size = stream.read(shards.MAX_BYTES), os.fstat(stream.fileno()).st_size
    else:
        content = bytes(store.cat_file(path))
        size = ref.size if len(content) == ref.size or ref.size < 0 else int(store.size(path))
    if len(content) < min(size, shards.MAX_BYTES):
        raise OSError(f"got {len(content)} of {size} bytes")
    return Photo(ref, content)

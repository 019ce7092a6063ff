"""How the photos of a run have changed since its last call: new, changed and removed ones."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from facegeom.batch.input_index import InputIndex, Job, Kind, PhotoRef, jobs_of, write_index

_CHUNK = 4096
_Item = TypeVar("_Item")
_Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Growth:
    """What a new listing means for a run.

    Attributes:
        new: photos and shards that were not in the run.
        changed: of another size or time; their rows are made again.
        removed: no longer in the sources; their rows stay.
    """

    new: int = 0
    changed: int = 0
    removed: int = 0


def grow(
    listed: Iterable[PhotoRef],
    folder: Path,
    part_size: int,
    is_complete: Callable[[], bool],
    done: set[int],
) -> Growth:
    """Compare a listing with the input index in a folder and write the index anew where they differ.

    New photos become new jobs. Changed ones take the place of the old: the part file of their job is made
    again. Removed ones stay, unless they were not analyzed yet, or the shard that held them has changed.

    Args:
        listed: photos and shards, read lazily; about 32 bytes are kept of each.
        folder: of the index.
        part_size: photos of a new job.
        is_complete: called after the listing; whether it holds everything that was asked for, so that what
            is missing was removed.
        done: numbers of the jobs that are done.
    """
    old = InputIndex(folder)
    known = _Known(old)
    changed: dict[tuple[int, int], PhotoRef] = {}
    files: dict[str, Kind] = {}  # shards that are still there, with the kind of what was listed of them
    with TemporaryDirectory(dir=folder, prefix=".growth-") as scratch:
        fresh = jobs_of(known.sort_out(listed, changed, files), part_size, len(old))
        write_index(fresh, Path(scratch))
        new = InputIndex(Path(scratch))
        removed, dropped = 0, set[tuple[int, int]]()
        complete = is_complete()
        for part, place, photo in known.unseen() if complete or known.tars or "tar" in files.values() else ():
            is_read_otherwise = {photo.kind, files.get(photo.path)} == {"member", "tar"}
            is_gone = complete and (photo.kind == "damaged" or photo.path in files or part not in done)
            if is_read_otherwise or is_gone:
                dropped.add((part, place))
            elif complete:
                removed += 1
        if len(new) or changed or dropped:
            write_index(chain(_changed(old, changed, dropped), new), folder)
        added = sum(len(job.photos) for job in new)
        return Growth(added, len(changed), removed)


def _changed(
    jobs: Iterable[Job], changed: dict[tuple[int, int], PhotoRef], dropped: set[tuple[int, int]]
) -> Iterator[Job]:
    """Yield jobs with their changed photos, without the dropped ones."""
    touched = {part for part, _ in (*changed, *dropped)}
    for job in jobs:
        if job.part in touched:
            photos = (
                changed.get((job.part, place), photo)
                for place, photo in enumerate(job.photos)
                if (job.part, place) not in dropped
            )
            job = job._replace(photos=tuple(photos))
        yield job


class _Known:
    """Find photos in an index by hashes of their keys.

    Attributes:
        tars: version, and number among the hashes, of each tar file that is read as a whole, by its path.
    """

    def __init__(self, index: InputIndex) -> None:
        self._index = index
        chunks = _chunks((job.part, place, *photo) for job in index for place, photo in enumerate(job.photos))
        pairs, keys, tars = [], [], list[tuple[int, PhotoRef]]()
        for number, chunk in enumerate(chunks):
            tars += [
                (number * _CHUNK + row, PhotoRef._make(each[2:]))
                for row, each in enumerate(chunk)
                if each[4] == "tar"
            ]
            pairs.append(np.array([row[:2] for row in chunk], np.int64))
            keys.append(_hashes(PhotoRef._make(row[2:]) for row in chunk))
        self._places = np.concatenate([np.zeros((0, 2), np.int64), *pairs])
        unsorted = np.concatenate([np.zeros((0, 2), np.uint64), *keys])
        self._order = np.argsort(unsorted[:, 0], kind="stable")
        self._keys, self._contents = unsorted[self._order].T
        self._seen = np.zeros(len(self._order), bool)
        rank = np.argsort(self._order) if tars else self._order
        self.tars = {photo.path: (photo.version, int(rank[row])) for row, photo in tars}

    def sort_out(
        self, listed: Iterable[PhotoRef], changed: dict[tuple[int, int], PhotoRef], files: dict[str, Kind]
    ) -> Iterator[PhotoRef]:
        """Yield the new photos of a listing; collect the changed ones, and the files of shards.

        A tar file that the run reads as a whole stays one where its members are listed, until it changes.
        """
        for chunk in _chunks(listed):
            hashes = _hashes(chunk)
            found = np.searchsorted(self._keys, hashes[:, 0])
            for photo, (key, content), at in zip(chunk, hashes, found, strict=True):
                if photo.kind in ("member", "tar", "parquet"):
                    files[photo.path] = photo.kind
                if photo.kind == "member" and photo.path in self.tars:
                    version, whole = self.tars[photo.path]
                    if version == photo.version:
                        self._seen[whole] = True
                        continue
                if at == len(self._keys) or self._keys[at] != key:
                    yield photo
                elif self._contents[at] == content:
                    self._seen[at] = True
                else:
                    part, place = (int(each) for each in self._places[self._order[at]])
                    before = self._index[part].photos[place]
                    if before.key != photo.key or before.is_shard != photo.is_shard:
                        yield photo  # another photo with the same hash, or another kind of thing
                    else:
                        self._seen[at] = True
                        changed[part, place] = photo

    def unseen(self) -> Iterator[tuple[int, int, PhotoRef]]:
        """Yield the photos that the listing did not hold, with their places."""
        for part, place in self._places[np.sort(self._order[~self._seen])]:
            yield int(part), int(place), self._index[int(part)].photos[int(place)]


def _chunks(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    stream = iter(items)
    while chunk := list(islice(stream, _CHUNK)):
        yield chunk


def _hashes(photos: Iterable[PhotoRef]) -> _Hashes:
    """Return two hashes of each photo: of its key, and of everything but its path."""
    texts = (
        (f"{photo.key}\0{photo.position if photo.is_shard else 0}", repr(photo.identity)) for photo in photos
    )
    digests = b"".join(
        hashlib.blake2b(text.encode(), digest_size=8).digest() for pair in texts for text in pair
    )
    return np.frombuffer(digests, np.uint64).reshape(-1, 2)

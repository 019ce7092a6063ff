"""Which photos a command works on, and what their outputs are called."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from facegeom.errors import InputError, OutputError


@dataclass(frozen=True)
class Photo:
    """A photo to analyse.

    Attributes:
        path: where it is.
        name: its path under the folder that was searched, or its file name; with "/".
    """

    path: Path
    name: str

    @property
    def stem(self) -> str:
        """The name without its ending: the outputs' name."""
        return Path(self.name).with_suffix("").as_posix()


def collect(sources: Iterable[Path], endings: Iterable[str]) -> list[Photo]:
    """Photos named directly, in their order, and those found in folders, sorted; each file once.

    Raises:
        InputError: a folder cannot be read or holds no photo.
        OutputError: the outputs of two photos would have the same name.
    """
    photos: dict[Path, Photo] = {}
    for source in sources:
        for photo in _search(source, frozenset(endings)) if source.is_dir() else [Photo(source, source.name)]:
            photos.setdefault(photo.path.resolve(), photo)
    _check_names(photos.values())
    return list(photos.values())


def _search(folder: Path, endings: frozenset[str]) -> list[Photo]:
    paths = sorted(path for path in _walk(folder) if path.suffix.lower() in endings)
    if not paths:
        raise InputError(
            f"expected photos in {str(folder)!r}, found none ending in {' '.join(sorted(endings))}"
        )
    return [Photo(path, path.relative_to(folder).as_posix()) for path in paths]


def _walk(folder: Path) -> Iterator[Path]:
    """Files of a folder and of those in it, but for hidden ones and for overlays that an earlier run left."""

    def refuse(error: OSError) -> None:
        raise InputError(f"cannot search {error.filename!r}: {error.strerror}") from error

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and not name.endswith(".overlay.jpg"):
                yield Path(parent, name)


def _check_names(photos: Iterable[Photo]) -> None:
    taken: dict[str, Photo] = {}
    for photo in photos:
        other = taken.setdefault(photo.stem, photo)
        if other is not photo:
            raise OutputError(
                f"{str(other.path)!r} and {str(photo.path)!r} would both be written as {photo.stem!r};"
                " rename one or give them different output folders"
            )

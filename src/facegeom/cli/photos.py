"""Collect the photos of a command, process them one by one with a progress bar, print the summary."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from facegeom.errors import FacegeomError, InputError, OutputError

if TYPE_CHECKING:
    from rich.progress import Progress


@dataclass(frozen=True)
class InputPhoto:
    """A photo file to process.

    Attributes:
        path: path of the file.
        name: path relative to the searched folder, or the file name; with "/" as separator.
    """

    path: Path
    name: str

    @property
    def stem(self) -> str:
        """The name without suffix, which names the output files."""
        return Path(self.name).with_suffix("").as_posix()


def collect_photos(sources: Iterable[Path], suffixes: Iterable[str]) -> list[InputPhoto]:
    """Return the given photos in their order, and those of given folders sorted; each file once.

    Args:
        sources: photos, and folders to search with their sub-folders.
        suffixes: file name endings of photos in folders, in lower case.

    Raises:
        InputError: a folder cannot be read or holds no photo.
        OutputError: the output files of two photos would have the same name.
    """
    photos: dict[Path, InputPhoto] = {}
    known = frozenset(suffixes)
    for source in sources:
        found = _search(source, known) if source.is_dir() else [InputPhoto(source, source.name)]
        for photo in found:
            photos.setdefault(photo.path.resolve(), photo)
    _check_names(photos.values())
    return list(photos.values())


def _search(folder: Path, suffixes: frozenset[str]) -> list[InputPhoto]:
    paths = sorted(path for path in _walk(folder) if path.suffix.lower() in suffixes)
    if not paths:
        raise InputError(
            f"expected photos in {str(folder)!r}, found none ending in {' '.join(sorted(suffixes))}"
        )
    return [InputPhoto(path, path.relative_to(folder).as_posix()) for path in paths]


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and its sub-folders, except hidden ones and overlays of earlier runs."""

    def fail(error: OSError) -> None:
        raise InputError(f"cannot search {error.filename!r}: {error.strerror}") from error

    for parent, folders, files in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and not name.endswith(".overlay.jpg"):
                yield Path(parent, name)


def _check_names(photos: Iterable[InputPhoto]) -> None:
    """Raise an OutputError if two photos have the same stem."""
    taken: dict[str, InputPhoto] = {}
    for photo in photos:
        other = taken.setdefault(photo.stem, photo)
        if other is not photo:
            raise OutputError(
                f"{str(other.path)!r} and {str(photo.path)!r} would both be written as {photo.stem!r};"
                " rename one or give them different output folders"
            )


def process_photos(
    photos: Sequence[InputPhoto], process: Callable[[InputPhoto], int], description: str, out: Path
) -> None:
    """Process each photo and print a summary; a photo that fails is reported and does not stop the rest.

    Args:
        photos: photos to process.
        process: writes the outputs of a photo and returns the number of its faces.
        description: text of the progress bar.
        out: folder or file of the outputs, for the summary.

    Raises:
        Exit: with code 1, if a photo has failed.
    """
    started = time.perf_counter()
    faces, failed = _process_all(photos, process, description)
    rate = len(photos) / max(time.perf_counter() - started, 1e-9)
    typer.echo(
        f"{count_noun(len(photos), 'photo')}, {count_noun(faces, 'face')}, {failed} failed,"
        f" {rate:.1f} photos/s; files in {out}"
    )
    if failed:
        raise typer.Exit(1)


def _process_all(
    photos: Sequence[InputPhoto], process: Callable[[InputPhoto], int], description: str
) -> tuple[int, int]:
    """Process all photos; return the number of faces and of failed photos."""
    faces = failed = 0
    with progress_bar() as progress:
        for photo in progress.track(photos, description=description):
            try:
                faces += process(photo)
            except FacegeomError as error:
                failed += 1
                progress.console.print(f"failed: {error}", style="red", markup=False, soft_wrap=True)
    return faces, failed


def progress_bar() -> "Progress":
    """Return a progress bar on stderr, visible only in a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def count_noun(count: int, noun: str) -> str:
    """Return the count and its noun, in the plural unless the count is 1: "2 faces"."""
    return f"{count} {noun}{'s' * (count != 1)}"

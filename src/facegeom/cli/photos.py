"""Collect the photos of a command, have them processed one by one with a progress bar, print the summary."""

import glob
import logging
import os
import re
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, TypeAlias

import typer

from facegeom.errors import FacegeomError, InputError
from facegeom.worker_pool.process import WorkerDiedError, WorkerOverdueError, start

if TYPE_CHECKING:
    from rich.progress import Progress

    from facegeom.results import Face, Pose

_WILDCARD = re.compile(r"[*?\[]")
_WORKER = "facegeom.cli.photos:PhotoWorker"


@dataclass(frozen=True)
class InputPhoto:
    """A photo file to process.

    Attributes:
        path: path of the file.
        name: path relative to the searched folder, or the file name; with "/" as separator.
        stem: name of the output files, without ending; no other photo of the command has it.
        shares_stem: whether another photo in its folder differs in the ending only.
    """

    path: Path
    name: str
    stem: str
    shares_stem: bool = False


@dataclass
class Collection:
    """The photos of a command.

    Attributes:
        photos: to process, each file once.
        problems: a sentence for each source or file that cannot be processed.
    """

    photos: list[InputPhoto] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def collect_photos(sources: Iterable[Path]) -> Collection:
    """Return the given photos in their order, and those of given folders sorted; each file once.

    Photos of one folder that differ in the ending only would have the same output files. The first of them,
    sorted by name, is named by its stem ("IMG_1"), the others with their ending ("IMG_1.png"). The folder's
    content decides, not the arguments, so that a photo has the same name in each run. Of photos with the
    same name in several folders that are given one by one, the later ones are named with their folder.

    Args:
        sources: photos, folders to search with their sub-folders, and patterns (``*``, ``?``, ``[..]``,
            ``**``) where no file has that name.

    Raises:
        InputError: there is no photo.
    """
    search = _Search()
    for source in sources:
        search.add(source)
    found = search.found
    if search.empty and not found.photos and not found.problems:
        raise InputError(search.empty[0])
    return Collection(found.photos, found.problems + search.empty)


class _Search:
    """A search for photos; ``found`` grows with each source, ``empty`` names those without a photo."""

    def __init__(self) -> None:
        from facegeom.image.reading import ENDINGS

        self._endings, self.found = ENDINGS, Collection()
        self.empty: list[str] = []
        self._seen: set[str] = set()
        self._taken: dict[str, Path] = {}  # by the folded name of the output files: many disks ignore case
        self._folders: dict[Path, _Names] = {}

    def add(self, source: Path) -> None:
        """Add the photos of one source."""
        if os.path.isdir(source):
            problems, paths = len(self.found.problems), sorted(self._walk(source))
            if not paths and problems == len(self.found.problems):
                endings = " ".join(sorted(self._endings))
                self.empty.append(f"expected photos in {str(source)!r}, found none ending in {endings}")
            for path in paths:
                self._add(path, path.relative_to(source).as_posix())
        elif _WILDCARD.search(str(source)) and not os.path.lexists(source):
            self._add_matches(source)
        else:
            self._add(source, source.name)

    def _add_matches(self, pattern: Path) -> None:
        """Add the files that a pattern matches; their names begin below its folders without wildcards."""
        matches = sorted(map(Path, glob.iglob(str(pattern), recursive=True)))
        files = [path for path in matches if _visible(path) and not os.path.isdir(path)]
        if not files:
            self.empty.append(f"expected photos by the pattern {str(pattern)!r}, found none")
        fixed = next(index for index, part in enumerate(pattern.parts) if _WILDCARD.search(part))
        for path in files:
            self._add(path, Path(*path.parts[fixed:]).as_posix())

    def _walk(self, folder: Path) -> Iterator[Path]:
        """Yield the photos of a folder and its sub-folders."""

        def note(error: OSError) -> None:
            self.found.problems.append(f"cannot search {error.filename!r}: {error.strerror or error}")

        for parent, folders, files in os.walk(folder, onerror=note):
            folders[:] = [name for name in folders if not name.startswith(".")]
            yield from (Path(parent, name) for name in files if self._is_photo(name))

    def _is_photo(self, name: str) -> bool:
        return _visible(Path(name)) and os.path.splitext(name)[1].lower() in self._endings

    def _add(self, path: Path, name: str) -> None:
        real = os.path.realpath(path)
        if real in self._seen:
            return
        self._seen.add(real)
        if name != name.encode(errors="replace").decode():
            self.found.problems.append(f"{str(path)!r}: the file's name is not UTF-8; rename it")
            return
        names = self._names_beside(path)
        own = names.of(path.name)
        stem = (Path(name).parent / own).as_posix()
        other = self._taken.get(stem.casefold())
        if other is not None:
            stem = name if other.name != path.name else f"{Path(real).parent.name}/{own}"
        if taken := self._taken.get(stem.casefold()):
            both = f"{str(taken)!r} and {str(path)!r} would both be written as {stem!r}"
            self.found.problems.append(f"{both}; give them different output folders")
            return
        self._taken[stem.casefold()] = path
        self.found.photos.append(InputPhoto(path, name, stem, names.shares_stem(path.name)))

    def _names_beside(self, path: Path) -> "_Names":
        """Return the names for the photos in a file's folder."""
        folder = path.parent
        if folder not in self._folders:
            names = self._folders[folder] = _Names()
            with suppress(OSError):  # then the photo itself says why it cannot be read
                for file in sorted(filter(self._is_photo, os.listdir(folder))):
                    names.of(file)
        return self._folders[folder]


class _Names:
    """Names of the output files of one folder's photos."""

    def __init__(self) -> None:
        self._photos: dict[str, str] = {}  # by the folded names of their output files
        self._stems: defaultdict[str, set[str]] = defaultdict(set)

    def of(self, file: str) -> str:
        """Return a photo's stem, or its whole name if a photo before it has that stem."""
        stem = os.path.splitext(file)[0]
        self._stems[stem.casefold()].add(file)
        if self._photos.setdefault(stem.casefold(), file) == file:
            return stem
        self._photos.setdefault(file.casefold(), file)
        return file

    def shares_stem(self, file: str) -> bool:
        return len(self._stems[os.path.splitext(file)[0].casefold()]) > 1


def _visible(path: Path) -> bool:
    """Return whether a file is neither hidden nor a picture that facegeom has written."""
    from facegeom.results.saving import is_own_picture

    return not path.name.startswith(".") and not is_own_picture(path.name)


Process: TypeAlias = Callable[[InputPhoto], tuple[int, list[str]]]
"""Writes the outputs of a photo; returns the number of its faces, and lines that describe them."""


class PhotoWorker:
    """What a command does in its worker process.

    Args:
        factory: "module:name" of the function that makes the command's ``Process``.
        arguments: of that function.
    """

    def __init__(self, factory: str, arguments: Mapping[str, Any]) -> None:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as workers begin
            signal.signal(signal.SIGINT, lambda *_: sys.exit(130))  # half-written files are removed
        self._process: Process = resolve_name(factory)(**arguments)

    def __call__(self, photo: InputPhoto, warn: Callable[[str], None]) -> tuple[int, list[str], str | None]:
        """Return what ``Process`` returns, and what has failed."""
        try:
            with warnings_to(warn):
                return *self._process(photo), None
        except Exception as error:
            return 0, [], one_line(error, str(photo.path))


def process_photos(
    found: Collection,
    factory: str,
    arguments: Mapping[str, Any],
    description: str,
    out: Path,
    timeout_s: float,
    details_first: bool = False,
) -> None:
    """Process each photo and print a summary; a photo that fails is reported and does not stop the rest.

    A worker process does it. If it takes too long for a photo, or dies on it, another one does the next.

    Args:
        found: photos to process.
        factory: as for :class:`PhotoWorker`.
        arguments: likewise.
        description: text of the progress bar.
        out: folder or file of the outputs, for the summary.
        timeout_s: longest time for a photo, seconds.
        details_first: print the lines about a single photo before the summary.

    Raises:
        Exit: with code 1, if something has failed; with code 130, if Ctrl-C has stopped the work.
        FacegeomError: the arguments are wrong, or workers do not start.
    """
    started = time.perf_counter()
    photos, failed, faces, stopped, details = 0, len(found.problems), 0, "", list[str]()
    worker = start(_WORKER, factory, arguments) if found.photos else None
    try:
        with progress_bar() as progress:

            def report(text: str, style: str = "red") -> None:
                progress.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

            def warn(text: str) -> None:
                report(text, "yellow")

            for problem in found.problems:
                report(f"failed: {problem}")
            try:
                for photo in progress.track(found.photos, description=description):
                    worker = worker or start(_WORKER, factory, arguments)
                    try:
                        count, about, failure = worker.call(photo, on_message=warn, limit_s=timeout_s)
                        faces, details = faces + count, about
                    except WorkerOverdueError:
                        failure = f"{str(photo.path)!r}: it took longer than {timeout_s:g} s and was left out"
                        worker = None
                    except WorkerDiedError as death:
                        failure, worker = f"{str(photo.path)!r}: {death}; the photo was left out", None
                    if failure:
                        failed += 1
                        report(f"failed: {failure}")
                    photos += 1
            except KeyboardInterrupt:
                stopped = f"stopped by Ctrl-C, {len(found.photos) - photos} left: "
    finally:
        if worker is not None:
            worker.end(signal.SIGINT if stopped else None)
    lines = details if len(found.photos) == 1 else []
    for line in lines if details_first else ():
        typer.echo(line)
    rate = photos / max(time.perf_counter() - started, 1e-9)
    written = photos > failed - len(found.problems)
    place = f"; files in {os.fsencode(out).decode(errors='replace')}" if written else ""
    typer.echo(
        f"{stopped}{count_noun(photos, 'photo')}, {count_noun(faces, 'face')}, {failed} failed,"
        f" {rate:.1f} photos/s{place}"
    )
    for line in () if details_first else lines:
        typer.echo(line)
    if stopped or failed:
        raise typer.Exit(130 if stopped else 1)


@contextmanager
def warnings_to(report: Callable[[str], None]) -> Iterator[None]:
    """Hand each warning that the library logs to a function, which prints it beside the progress bar."""
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: report(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("facegeom")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def one_line(error: Exception, subject: str = "") -> str:
    """Return what a person needs to know of an error, in one line."""
    name = f"{subject!r}: " if subject else ""
    text = " ".join(str(error).split())
    if isinstance(error, FacegeomError):
        return text
    if isinstance(error, MemoryError):
        return f"{name}not enough memory; make the photo smaller, or close other programs"
    return f"{name}unexpected {type(error).__name__}: {text}; please report it"


def angles_text(face: "Face | Pose") -> str:
    """Return the angles of a head: "yaw 1.0°, pitch -2.0°, roll 0.0°"."""
    named = {"yaw": face.yaw_deg, "pitch": face.pitch_deg, "roll": face.roll_deg}
    return ", ".join(f"{name} {round(angle, 1) + 0.0:.1f}°" for name, angle in named.items())  # no -0.0


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

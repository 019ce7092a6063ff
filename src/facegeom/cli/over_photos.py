"""A command's work over many photos: a bar, what failed and why, and the sum at the end."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from facegeom.cli.photos import Photo
from facegeom.errors import FacegeomError

if TYPE_CHECKING:
    from rich.progress import Progress


@dataclass
class _Tally:
    """What a run has done so far."""

    photos: int = 0
    faces: int = 0
    failed: int = 0

    def summary(self, seconds: float, out: Path) -> str:
        photos = f"{self.photos} photo{'s' * (self.photos != 1)}"
        found = f"{self.faces} face{'s' * (self.faces != 1)}"
        rate = self.photos / max(seconds, 1e-9)
        return f"{photos}, {found}, {self.failed} failed, {rate:.1f} photos/s; files in {out}"


def over_photos(photos: Sequence[Photo], work: Callable[[Photo], int], verb: str, out: Path) -> None:
    """Do the work on each photo; one that fails is reported and does not stop the rest.

    Args:
        photos: to work on.
        work: writes the outputs of a photo and gives the number of its faces.
        verb: what the bar says.
        out: where the outputs go, for the last line.

    Raises:
        Exit: with code 1, when a photo has failed.
    """
    started = time.perf_counter()
    tally = _run(photos, work, verb)
    typer.echo(tally.summary(time.perf_counter() - started, out))
    if tally.failed:
        raise typer.Exit(1)


def _run(photos: Sequence[Photo], work: Callable[[Photo], int], verb: str) -> _Tally:
    tally = _Tally()
    with _progress() as progress:
        for photo in progress.track(photos, description=verb):
            tally.photos += 1
            try:
                tally.faces += work(photo)
            except FacegeomError as error:
                tally.failed += 1
                progress.console.print(f"failed: {error}", style="red", markup=False, soft_wrap=True)
    return tally


def _progress() -> "Progress":
    """A bar on stderr, shown in a terminal only."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)

"""``facegeom batch``: photos by the million into Parquet files."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facegeom.cli.options import Device, Fov, MaxFaces, MinFace, MinScore

if TYPE_CHECKING:
    from facegeom.batch import Progress
    from facegeom.batch.run import Listener

_LINE_EVERY_S = 30.0


def batch(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SRC...",
            show_default=False,
            help="Folders, globs, photos, .tar, .parquet; paths or URLs.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the run.")],
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="Processes of this machine, or Ray Data.")
    ] = "local",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; by default one per core, or one on a GPU.")
    ] = None,
    device: Device = "cpu",
    gpus_per_worker: Annotated[float, typer.Option(help="ray, cuda: share of a GPU for each worker.")] = 1.0,
    mesh: Annotated[bool, typer.Option("--mesh/--no-mesh", help="Whether rows hold the mesh.")] = True,
    column: Annotated[
        str | None, typer.Option(help="Parquet: column with the photos' bytes; found if there is only one.")
    ] = None,
    name_column: Annotated[str | None, typer.Option(help="Parquet: column with the photos' names.")] = None,
    part_size: Annotated[
        int | None, typer.Option(min=1, help="Photos of a part: what a kill may cost. 128 by default.")
    ] = None,
    min_face: MinFace = None,
    max_faces: MaxFaces = None,
    min_score: MinScore = None,
    fov: Fov = None,
) -> None:
    """Analyse photos by the million into DIR/parts/*.parquet, one row for each.

    Stopped or killed, the same command goes on where it was. A photo that
    cannot be used is a row with its reason in the column "error".

    Example: facegeom batch photos/ "s3://bucket/shards/*.tar" -o run --workers 8
    """
    from facegeom.batch import analyze_many

    options = {"min_face": min_face, "max_faces": max_faces, "min_score": min_score, "fov_deg": fov}
    with _shown() as tell:
        end = analyze_many(
            sources,
            out,
            engine=engine,
            workers=workers,
            device=device,
            gpus_per_worker=gpus_per_worker,
            mesh=mesh,
            column=column,
            name_column=name_column,
            part_size=part_size,
            tell=tell,
            **{name: value for name, value in options.items() if value is not None},
        )
    typer.echo(_summary(end, out))


def _summary(end: "Progress", out: Path) -> str:
    done = end.done
    photos = f"{done.photos} photo{'s' * (done.photos != 1)}"
    found = f"{done.faces} face{'s' * (done.faces != 1)}"
    earlier = f" ({end.earlier} were done before)" if end.earlier else ""
    return f"{photos}{earlier}, {found}, {done.errors} failed, {_rate(end)}; rows in {out / 'parts'}"


def _rate(progress: "Progress") -> str:
    return f"{progress.photos_per_second:.1f} photos/s"


@contextmanager
def _shown() -> Iterator["Listener"]:
    """A bar on stderr in a terminal; elsewhere a line from time to time."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("listing", total=None)

        def tell(progress: "Progress") -> None:
            if progress.listing:
                bar.update(task, completed=progress.photos)
            else:
                text = f"{_rate(progress)}, {progress.done.errors} failed"
                bar.update(task, description=text, completed=progress.done.photos, total=progress.photos)

        yield tell


def _lines() -> "Listener":
    """A line of a log when the work begins, and then about every half minute."""
    told = -_LINE_EVERY_S

    def tell(progress: "Progress") -> None:
        nonlocal told
        now = time.monotonic()
        if progress.listing or now - told < _LINE_EVERY_S:
            return
        told = now
        done = f"{progress.done.photos} of {progress.photos} photos"
        typer.echo(f"{done}, {progress.done.errors} failed, {_rate(progress)}", err=True)

    return tell

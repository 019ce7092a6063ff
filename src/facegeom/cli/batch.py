"""``facegeom batch``: analyze large sets of photos into Parquet files."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facegeom.cli import options
from facegeom.cli.photos import count_noun, progress_bar, warnings_to

if TYPE_CHECKING:
    from facegeom.batch import Progress
    from facegeom.batch.run import ProgressCallback

_LOG_EVERY_S = 30.0


def batch(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SRC...",
            show_default=False,
            help="Folders, glob patterns, photos, .tar and .parquet files; paths or URLs.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the run.")],
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="Processes on this machine, or Ray Data.")
    ] = "local",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes; by default one per core, or one on a GPU.")
    ] = None,
    device: options.Device = "cpu",
    gpus_per_worker: Annotated[
        float, typer.Option(help="ray with cuda: fraction of a GPU for each worker.")
    ] = 1.0,
    mesh: Annotated[bool, typer.Option("--mesh/--no-mesh", help="Whether rows hold the mesh.")] = True,
    column: Annotated[
        str | None,
        typer.Option(help="Parquet: column of the encoded photos; by default the only binary column."),
    ] = None,
    name_column: Annotated[str | None, typer.Option(help="Parquet: column of the photos' names.")] = None,
    part_size: Annotated[
        int | None, typer.Option(min=1, help="Photos per file of results, 128 by default; a kill loses one.")
    ] = None,
    timeout: options.Timeout = 120.0,
    min_face: options.MinFace = None,
    max_faces: options.MaxFaces = None,
    min_score: options.MinScore = None,
    fov: options.Fov = None,
    pose_net: options.PoseNet = "face",
    detector: options.DetectorName = "onepass",
    weights: options.Weights = None,
    orientation: options.OrientationName = "exif",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of each worker.", show_default="1")
    ] = None,
) -> None:
    """Analyze millions of photos into DIR/parts/*.parquet, one row per photo.

    A run that was stopped or killed continues when the same command is run
    again. A photo that cannot be used gets a row with the reason in the
    column "error". So does a folder that cannot be searched or a file that
    is no regular one; the exit code is then 1. What facegeom has written
    among the photos is left out.

    Example: facegeom batch photos/ "s3://bucket/shards/*.tar" -o run --workers 8
    """
    from facegeom.batch import analyze_many

    given = {
        "min_face": min_face,
        "max_faces": max_faces,
        "min_score": min_score,
        "fov_deg": fov,
        "weights": weights,
        "threads": threads,
        "pose_net": pose_net if pose_net != "face" else None,
        "detector": detector if detector != "onepass" else None,
        "orientation": orientation if orientation != "exif" else None,
    }
    last: list[Progress] = []  # newest report
    try:
        with _report_progress() as report:

            def tell(progress: "Progress") -> None:
                last[:] = [progress]
                report(progress)

            result = analyze_many(
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
                timeout_s=timeout,
                tell=tell,
                **options.without_none(given),
            )
    except KeyboardInterrupt:
        typer.echo(f"stopped by Ctrl-C: {_summary(last[-1], out) if last else 'nothing was done'}")
        typer.echo("the same command goes on from here")
        raise typer.Exit(130) from None
    typer.echo(_summary(result, out))
    if result.damaged:
        typer.echo(f"{count_noun(result.damaged, 'source')} could not be listed, see the rows", err=True)
        raise typer.Exit(1)


def _summary(progress: "Progress", out: Path) -> str:
    """Return the last line of a run."""
    done = progress.done
    earlier = f" ({progress.earlier} were done before)" if progress.earlier else ""
    return (
        f"{count_noun(done.photos, 'photo')}{earlier}, {count_noun(done.faces, 'face')},"
        f" {done.errors} failed, {_rate(progress)}; rows in {out / 'parts'}"
    )


def _rate(progress: "Progress") -> str:
    return f"{progress.photos_per_second:.1f} photos/s"


@contextmanager
def _report_progress() -> Iterator["ProgressCallback"]:
    """Yield the callback that shows progress: a bar in a terminal, else log lines on stderr."""
    if not sys.stderr.isatty():
        with warnings_to(lambda text: typer.echo(text, err=True)):
            yield _log_callback()
        return
    with progress_bar() as bar, warnings_to(lambda text: bar.console.print(text, markup=False)):
        task = bar.add_task("listing", total=None)

        def report(progress: "Progress") -> None:
            if progress.listing:
                bar.update(task, completed=progress.photos)
            else:
                text = f"{_rate(progress)}, {progress.done.errors} failed"
                bar.update(task, description=text, completed=progress.done.photos, total=progress.photos)

        yield report


def _log_callback() -> "ProgressCallback":
    """Return a callback that prints a line when the work begins, and then about every half minute."""
    last_s = -_LOG_EVERY_S

    def report(progress: "Progress") -> None:
        nonlocal last_s
        now_s = time.monotonic()
        if progress.listing or now_s - last_s < _LOG_EVERY_S:
            return
        last_s = now_s
        done = f"{progress.done.photos} of {progress.photos} photos"
        typer.echo(f"{done}, {progress.done.errors} failed, {_rate(progress)}", err=True)

    return report

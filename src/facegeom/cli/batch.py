"""``facegeom batch``: analyze large sets of photos into Parquet files."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from facegeom.cli import options
from facegeom.cli.photos import count_noun, one_line, progress_bar, warnings_to
from facegeom.worker_pool.process import WorkerError

if TYPE_CHECKING:
    from facegeom.batch import Progress
    from facegeom.batch.driver import ProgressCallback

_LOG_EVERY_S = 30.0

_FAILED, _UNFINISHED = 1, 3
"""Exit codes: some photos cannot be used; something could not be reached, the same command goes on."""


class _Commands(TyperGroup):
    """Run ``run`` where no other command is named: ``facegeom batch SRC...``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in self.commands:
            args = ["run", *args]
        return list(super().parse_args(ctx, args))


batch = typer.Typer(
    cls=_Commands,
    help="Analyze large sets of photos into Parquet files.",
    context_settings=options.CONTEXT_SETTINGS,
)


@batch.command()
def run(
    out: Annotated[
        str,
        typer.Option(
            "--out", "-o", metavar="DIR", help="Folder of the run: a path, or a URL for all workers."
        ),
    ],
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SRC...",
            show_default=False,
            help="Folders, glob patterns, photos, .tar and .parquet files; paths or URLs.",
        ),
    ] = None,
    lists: Annotated[
        list[str] | None,
        typer.Option(
            "--list",
            metavar="FILE",
            help="File that names photos and shards: a path or URL a line, or a Parquet column of them.",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Take the first N photos only.")
    ] = None,
    sample: Annotated[
        float,
        typer.Option(
            min=0, max=1, metavar="F", help="Take this fraction of the photos, drawn by their keys."
        ),
    ] = 1.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the photos, analyze and write nothing.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Analyze those photos again whose row has an error.")
    ] = False,
    max_errors: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Stop when more than N part files stay open: nothing is reached."
        ),
    ] = 20,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="Processes on this machine, or Ray Data.")
    ] = "local",
    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="ray: the cluster; by default RAY_ADDRESS, else this machine."
        ),
    ] = None,
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

    The same command goes on where it was stopped or killed, and analyzes
    photos that are new or have changed. A photo that cannot be used gets a
    row with the reason in the column "error". What facegeom has written
    among the photos is left out.

    Exit codes: 0 all done; 1 all done, some photos cannot be used; 2 wrong
    arguments; 3 something could not be reached, run the command again.

    Example: facegeom batch photos/ "s3://bucket/shards/*.tar" -o run --workers 8

    Other commands: facegeom batch status RUN, facegeom batch merge RUN DEST
    """
    from facegeom.batch import Selection, UnreachableError, analyze_many

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
                sources or [],
                out,
                engine=engine,
                ray_address=ray_address,
                workers=workers,
                device=device,
                gpus_per_worker=gpus_per_worker,
                mesh=mesh,
                column=column,
                name_column=name_column,
                part_size=part_size,
                timeout_s=timeout,
                max_errors=max_errors,
                select=Selection(lists or [], limit, sample, retry_failed, dry_run),
                tell=tell,
                **options.without_none(given),
            )
    except KeyboardInterrupt:
        typer.echo(f"stopped by Ctrl-C: {_summary(last[-1], out) if last else 'nothing was done'}")
        typer.echo("the same command goes on from here")
        raise typer.Exit(130) from None
    except (UnreachableError, WorkerError) as error:
        typer.secho(f"error: {one_line(error)}", fg="red", err=True)
        raise typer.Exit(_UNFINISHED) from error
    raise typer.Exit(_tell_end(result, out, dry_run))


def _tell_end(result: "Progress", out: str, dry_run: bool) -> int:
    """Print what a run has done and what is left; return the exit code."""
    if dry_run:
        left = f"{max(0, result.photos - result.done.photos + result.retried)} to do, nothing was written"
        typer.echo(f"{count_noun(result.photos, 'photo')}{_growth(result)}, {left}")
    else:
        typer.echo(_summary(result, out))
        if result.done.errors:
            typer.echo("the column error of the rows says what is wrong with a photo")
    if result.unlisted:
        typer.echo(f"{count_noun(result.unlisted, 'source')} could not be listed, see above", err=True)
    if result.open:
        what = count_noun(result.open, "part")
        typer.echo(f"{what} could not be reached, see above; the same command goes on", err=True)
    if result.unlisted or result.open:
        return _UNFINISHED
    return _FAILED if result.done.errors else 0


@batch.command()
def status(
    run: Annotated[str, typer.Argument(metavar="RUN", show_default=False, help="Folder or URL of a run.")],
) -> None:
    """Say what a run has done, from its ledger; no photo and no part file is read.

    Example: facegeom batch status run
    """
    from facegeom.batch.driver import read_status

    for name, value in read_status(run).items():
        typer.echo(f"{name:<14} {value}")


@batch.command()
def merge(
    run: Annotated[str, typer.Argument(metavar="RUN", show_default=False, help="Folder or URL of a run.")],
    out: Annotated[
        str, typer.Argument(metavar="DEST", show_default=False, help="Folder or URL of the files.")
    ],
    megabytes: Annotated[
        float, typer.Option("--size", min=1, max=4096, metavar="MB", help="Size of the files, about.")
    ] = 256,
    threads: Annotated[int, typer.Option(min=1, help="Files that are made at once.")] = 4,
) -> None:
    """Copy the rows of a run into few large Parquet files, each sorted by key.

    Example: facegeom batch merge run rows
    """
    from facegeom.batch.merge import merge as merge_run

    files = rows = 0
    for name, count in merge_run(run, out, megabytes, threads):
        files, rows = files + 1, rows + count
        typer.echo(f"{out.rstrip('/')}/{name} {count_noun(count, 'row')}")
    typer.echo(f"{count_noun(rows, 'row')} in {count_noun(files, 'file')}")


def _summary(progress: "Progress", out: str) -> str:
    """Return the last line of a run."""
    done = progress.done
    again = f", {progress.retried} of them analyzed again" if progress.retried else ""
    earlier = f" ({progress.earlier} were done before{again})" if progress.earlier else ""
    return (
        f"{count_noun(done.photos, 'photo')}{earlier}{_growth(progress)}, {count_noun(done.faces, 'face')},"
        f" {done.errors} failed, {progress.photos_per_second:.1f} photos/s; rows in {out.rstrip('/')}/parts"
    )


def _growth(progress: "Progress") -> str:
    """Return how the sources have changed since the run's last call."""
    growth = progress.growth
    counts = {"new": growth.new, "changed": growth.changed, "removed": growth.removed}
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f" ({told} in the sources)" if told else ""


def _state(progress: "Progress") -> str:
    """Return how a run goes: "2 failed, 25.0 photos/s, 0:01:00 left"."""
    seconds = progress.seconds_left
    left = "" if seconds is None else f", {timedelta(seconds=round(seconds))} left"
    return f"{progress.done.errors} failed, {progress.photos_per_second:.1f} photos/s{left}"


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
                bar.update(
                    task, description=_state(progress), completed=progress.done.photos, total=progress.photos
                )

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
        typer.echo(f"{progress.done.photos} of {progress.photos} photos, {_state(progress)}", err=True)

    return report

"""``facegeom video``: a video or a camera in, a table of all faces and an overlay video out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facegeom.cli.options import Device, Threads

if TYPE_CHECKING:
    from facegeom.video.reading import Frame, Source, Video
    from facegeom.video.run import FrameAnalyzer, Summary


def video(
    path: Annotated[Path | None, typer.Argument(metavar="IN", show_default=False, help="The video.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="Folder for the results.")] = Path(
        "out"
    ),
    camera: Annotated[
        str | None,
        typer.Option(metavar="N", help="A camera in place of IN: its number from 0, or its name on Windows."),
    ] = None,
    overlay: Annotated[bool, typer.Option(help="Write the video with the faces drawn over it.")] = True,
    smooth: Annotated[bool, typer.Option(help="Smooth points, mesh, pose and box over time.")] = True,
    detect_every: Annotated[
        int, typer.Option(min=1, metavar="K", help="Search for new faces every K frames.")
    ] = 30,
    seconds: Annotated[float | None, typer.Option(min=0.0, help="Stop after so much of the video.")] = None,
    min_face: Annotated[
        float | None,
        typer.Option(
            min=1, metavar="PX", help="Smallest face, pixels of the frame; by default a share of it."
        ),
    ] = None,
    max_faces: Annotated[int | None, typer.Option(min=1, help="Follow so many faces at most.")] = None,
    min_score: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least score of a new face, 0 to 1.")
    ] = None,
    device: Device = "cpu",
    threads: Threads = None,
    fov: Annotated[
        float | None,
        typer.Option(
            min=1, max=179, metavar="DEG", help="Angle of view across the longer side, for distances."
        ),
    ] = None,
) -> None:
    """Follow the faces of a video or of a camera.

    Writes OUT/NAME.parquet, a row for each face of each frame, and
    OUT/NAME.overlay.mp4 with the sound of the video. Ctrl-C ends a run and
    keeps what was done. A video that breaks off is done as far as it goes;
    the exit code is then 1.

    Example: facegeom video talk.mp4 -o out     facegeom video --camera 0 --seconds 10
    """
    from facegeom.video.run import run_video

    source = _source(path, camera)
    options = {"min_face": min_face, "max_faces": max_faces, "min_score": min_score, "threads": threads}
    analyze = _analyzer(device, {**options, "fov_deg": fov}, {"detect_every": detect_every, "smooth": smooth})
    with _progress() as watch:
        summary = run_video(source, out, analyze, overlay, seconds, watch)
    _report(summary, live=camera is not None)


def _source(path: Path | None, camera: str | None) -> "Source":
    from facegeom.video.reading import Source

    if (path is None) == (camera is None):
        raise typer.BadParameter("expected a video, or --camera N, one of the two", param_hint="'IN'")
    return Source(str(path)) if camera is None else Source.camera(camera)


def _analyzer(device: str, options: dict[str, Any], tracking: dict[str, Any]) -> "FrameAnalyzer":
    from facegeom.analyzer import FaceAnalyzer
    from facegeom.video.run import FrameAnalyzer

    given = {name: value for name, value in options.items() if value is not None}
    return FrameAnalyzer(FaceAnalyzer(device=device, **given), **tracking)


def _report(summary: "Summary", live: bool) -> None:
    """What was done; exit code 1 if that is not the whole video. A camera is ended by hand."""
    count, persons = summary.frames, len(summary.persons)
    typer.echo(
        f"{count} frame{'s' * (count != 1)}, {summary.seconds:.1f} s, {persons} face{'s' * (persons != 1)}"
        f" followed, {summary.rows} rows; wrote {', '.join(map(str, summary.files))}"
    )
    if summary.fault and not live:
        typer.secho(f"error: {summary.fault}; the frames before that were kept", fg="red", err=True)
        raise typer.Exit(1)


@contextmanager
def _progress() -> "Iterator[Callable[[Video, Frame], None]]":
    """A bar on stderr, shown in a terminal only; call it with each frame that is done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("following", total=None)
        yield lambda video, frame: progress.update(task, total=video.frames, completed=frame.index + 1)

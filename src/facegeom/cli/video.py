"""``facegeom video``: write a table of all faces of a video or camera, and an overlay video."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facegeom.cli.options import Device, MinFace, Out, Threads, without_none
from facegeom.cli.photos import count_noun, progress_bar

if TYPE_CHECKING:
    from facegeom.video.reading import Frame, Source, Video
    from facegeom.video.run import FrameAnalyzer, VideoSummary


def video(
    path: Annotated[Path | None, typer.Argument(metavar="IN", show_default=False, help="The video.")] = None,
    out: Out = Path("out"),
    camera: Annotated[
        str | None,
        typer.Option(metavar="N", help="A camera instead of IN: its number from 0, or its name on Windows."),
    ] = None,
    overlay: Annotated[bool, typer.Option(help="Write the video with the faces drawn on it.")] = True,
    smooth: Annotated[bool, typer.Option(help="Smooth points, mesh, pose and box over time.")] = True,
    detect_every: Annotated[
        int, typer.Option(min=1, metavar="K", help="Look for new faces every K frames.")
    ] = 30,
    seconds: Annotated[
        float | None, typer.Option(min=0.0, help="Stop after this many seconds of the video.")
    ] = None,
    min_face: MinFace = None,
    max_faces: Annotated[
        int | None, typer.Option(min=1, help="Track at most this many faces at a time.")
    ] = None,
    min_score: Annotated[
        float | None, typer.Option(min=0, max=1, help="Lowest score of a new face, from 0 to 1.")
    ] = None,
    device: Device = "cpu",
    threads: Threads = None,
    fov: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=179,
            metavar="DEG",
            help="Angle of view across the longer side, for distances; by default 50.",
        ),
    ] = None,
) -> None:
    """Track the faces of a video or of a camera.

    Writes OUT/NAME.parquet, with a row for each face of each frame, and
    OUT/NAME.overlay.mp4, with the sound of the video. Ctrl-C stops a run and
    keeps the results so far. A damaged video is analyzed as far as it can be
    read; the exit code is then 1.

    Example: facegeom video talk.mp4 -o out     facegeom video --camera 0 --seconds 10
    """
    from facegeom.video.run import run_video

    source = _source(path, camera)
    options = {"min_face": min_face, "max_faces": max_faces, "min_score": min_score, "threads": threads}
    analyze = _analyzer(device, {**options, "fov_deg": fov}, {"detect_every": detect_every, "smooth": smooth})
    with _progress_callback() as on_frame:
        summary = run_video(source, out, analyze, overlay, seconds, on_frame)
    _print_summary(summary, live=camera is not None)


def _source(path: Path | None, camera: str | None) -> "Source":
    from facegeom.video.reading import Source

    if (path is None) == (camera is None):
        raise typer.BadParameter("expected a video, or --camera N, one of the two", param_hint="'IN'")
    return Source(str(path)) if camera is None else Source.camera(camera)


def _analyzer(device: str, options: dict[str, Any], tracking: dict[str, Any]) -> "FrameAnalyzer":
    """Load the networks; a function of its own, so that tests can replace it."""
    from facegeom.analyzer import FaceAnalyzer
    from facegeom.video.run import FrameAnalyzer

    return FrameAnalyzer(FaceAnalyzer(device=device, **without_none(options)), **tracking)


def _print_summary(summary: "VideoSummary", live: bool) -> None:
    """Print what was done; exit with code 1 if a file ended early. A camera always ends early."""
    typer.echo(
        f"{count_noun(summary.frames, 'frame')}, {summary.seconds:.1f} s,"
        f" {count_noun(len(summary.track_ids), 'face')} tracked, {summary.rows} rows;"
        f" wrote {', '.join(map(str, summary.files))}"
    )
    if summary.fault and not live:
        typer.secho(f"error: {summary.fault}; the frames before that were kept", fg="red", err=True)
        raise typer.Exit(1)


@contextmanager
def _progress_callback() -> "Iterator[Callable[[Video, Frame], None]]":
    """Show a progress bar; yield the callback to call after each frame."""
    with progress_bar() as progress:
        task = progress.add_task("tracking", total=None)
        yield lambda video, frame: progress.update(task, total=video.frames, completed=frame.index + 1)

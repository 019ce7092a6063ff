"""``facegeom video``: write tables of all faces of videos or of a camera, and overlay videos."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facegeom.cli.options import (
    CameraName,
    DetectEvery,
    DetectorName,
    Device,
    MinFace,
    NewScore,
    OrientationName,
    Out,
    PoseNet,
    Smooth,
    Threads,
    VideoFov,
    Weights,
    some_path,
    without_none,
)
from facegeom.cli.photos import count_noun, one_line, progress_bar

if TYPE_CHECKING:
    from facegeom.video import Frame, FrameAnalyzer, Source
    from facegeom.video.reading import Video
    from facegeom.video.run import VideoSummary

_NO_FOLDERS = (".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v", ".csv", ".parquet", ".glb", ".bvh")
"""Endings that mean a file; a folder is hardly called so."""


def video(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(parser=some_path, metavar="IN", show_default=False, help="The videos."),
    ] = None,
    out: Out = Path("out"),
    camera: CameraName = None,
    overlay: Annotated[bool, typer.Option(help="Write the video with the faces drawn on it.")] = True,
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="Formats, separated by commas: tables as parquet, csv; the main face as an"
            " animation, livelink (CSV of Live Link Face), glb (moving mesh), bvh (head, eyes).",
        ),
    ] = "parquet",
    smooth: Smooth = True,
    detect_every: DetectEvery = 30,
    start: Annotated[
        float,
        typer.Option(metavar="S", help="Start at this time of the video, seconds."),
    ] = 0.0,
    seconds: Annotated[
        float | None,
        typer.Option(metavar="S", help="Analyze so many seconds of the video."),
    ] = None,
    min_face: MinFace = None,
    max_faces: Annotated[
        int | None, typer.Option(min=1, help="Track at most this many faces at a time.")
    ] = None,
    min_score: NewScore = None,
    device: Device = "cpu",
    threads: Threads = None,
    fov: VideoFov = None,
    pose_net: PoseNet = "face",
    detector: DetectorName = "onepass",
    weights: Weights = None,
    orientation: OrientationName = "exif",
) -> None:
    """Track the faces of videos or of a camera.

    Writes OUT/NAME.parquet, with a row for each face of each frame,
    OUT/NAME.frames.parquet, with a row for each frame, and
    OUT/NAME.overlay.mp4, with the sound of the video. Of videos that differ in
    the ending only, the first gives NAME, the others keep their ending. Ctrl-C
    stops a run and keeps the results so far. A damaged video is analyzed as
    far as it can be read, and a video that fails does not stop the others; the
    exit code is then 1.

    Example: facegeom video talk.mp4 -o out     facegeom video --camera 0 --seconds 10
    """
    from facegeom.video.run import check_formats, end_time, run_video

    stop_by_signals()
    if out.suffix.lower() in _NO_FOLDERS and not out.is_dir():
        raise typer.BadParameter(f"expected a folder, got {str(out)!r}", param_hint="'--out'")
    end_time(start, seconds)  # wrong values are reported before the networks are loaded
    kinds = check_formats(part.strip() for part in formats.split(","))
    sources = _sources(paths or [], camera)
    if overlay:
        _keep_inputs(paths or [], [out / f"{name}.overlay" for name in sources])
    limits = {"min_face": min_face, "max_faces": max_faces, "min_score": min_score, "fov_deg": fov}
    networks = {"pose_net": pose_net, "detector": detector, "weights": weights, "threads": threads}
    options = {**limits, **networks, "orientation": orientation}
    analyze = load_analyzer(device, options, {"detect_every": detect_every, "smooth": smooth})
    failed = False
    for name, source in sources.items():
        try:
            with _progress_callback(source) as on_frame:
                summary = run_video(
                    source, out, analyze, overlay, seconds, on_frame, start=start, formats=kinds, name=name
                )
        except Exception as error:  # whatever is wrong with one, the others are analyzed
            if len(sources) == 1:
                raise
            failed = True
            typer.secho(f"error: {one_line(error, source.name)}", fg="red", err=True)
            continue
        failed |= _print_summary(summary, live=camera is not None)
    if failed:
        raise typer.Exit(1)


def stop_by_signals() -> None:
    """Let the signals that end a program keep the results so far, as Ctrl-C does."""
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):  # the second is missing on Windows
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.default_int_handler)


def _sources(paths: Sequence[Path], camera: str | None) -> "dict[str, Source]":
    """Return the videos, each file once, or the camera, by the names of their output files."""
    from facegeom.video import Source

    if bool(paths) == (camera is not None):
        raise typer.BadParameter("expected a video, or --camera N, one of the two", param_hint="'IN'")
    if camera is not None:
        source = Source.camera(camera)
        return {source.stem: source}
    files: dict[str, Path] = {}
    for path in paths:
        files.setdefault(os.path.realpath(path), path)
    sources: dict[str, Source] = {}
    for real, path in files.items():
        folder = Path(real).parent.name
        choices = (path.stem, path.name, f"{folder}.{path.stem}", f"{folder}.{path.name}")
        name = next((each for each in choices if not _is_taken(each, sources)), None)
        if name is None:
            raise typer.BadParameter(
                f"{str(path)!r} and another video would both be written as {path.stem!r};"
                " give them different output folders",
                param_hint="'IN'",
            )
        sources[name] = Source(str(path))
    return sources


def _keep_inputs(paths: Sequence[Path], overlays: Sequence[Path]) -> None:
    """Refuse to write an overlay, a path without its ending, over a video that is still to be read."""
    written = {os.path.realpath(f"{path}{ending}") for path in overlays for ending in (".mp4", ".mkv")}
    if lost := [path for path in paths if os.path.realpath(path) in written]:
        raise typer.BadParameter(
            f"{str(lost[0])!r} would be replaced by the overlay of another video; choose another folder",
            param_hint="'IN'",
        )


def _is_taken(name: str, others: Iterable[str]) -> bool:
    """Return whether an output file would have the name of another video's, on disks that ignore case."""
    folded = name.casefold()
    parts = ("", ".frames", ".livelink")  # as in talk.frames.parquet and talk.livelink.csv
    return any(
        folded + part == other.casefold() or folded == other.casefold() + part
        for other in others
        for part in parts
    )


def load_analyzer(device: str, options: dict[str, Any], tracking: dict[str, Any]) -> "FrameAnalyzer":
    """Load the networks; a function of its own, so that tests can replace it."""
    from facegeom.analyzer import FaceAnalyzer
    from facegeom.video.run import FrameAnalyzer

    return FrameAnalyzer(FaceAnalyzer(device=device, **without_none(options)), **tracking)


def _print_summary(summary: "VideoSummary", live: bool) -> bool:
    """Print what was done; return whether a file is damaged. A camera is always stopped.

    Raises:
        Exit: with code 130, if Ctrl-C has stopped the analysis of a file.
    """
    typer.echo(
        f"{count_noun(summary.frames, 'frame')}, {summary.start_s:.1f} to {summary.seconds:.1f} s,"
        f" {count_noun(len(summary.track_ids), 'face')} tracked, {count_noun(summary.rows, 'row')};"
        f" wrote {', '.join(map(str, summary.files))}"
    )
    if summary.warning:
        typer.secho(f"warning: {summary.warning}", fg="yellow", err=True)
    if not summary.fault or live:
        return False
    ends_early = summary.stopped or "it ends at" in summary.fault
    kept = "the frames before that were kept" if ends_early else "all frames that could be read were kept"
    typer.secho(f"error: {summary.fault}; {kept}", fg="red", err=True)
    if summary.stopped:
        raise typer.Exit(130)
    return True


@contextmanager
def _progress_callback(source: "Source") -> "Iterator[Callable[[Video, Frame], None]]":
    """Show a progress bar; yield the callback to call after each frame."""
    with progress_bar() as progress:
        task = progress.add_task(f"tracking {source.stem}", total=None)
        yield lambda video, frame: progress.update(task, total=video.frames, completed=frame.index + 1)

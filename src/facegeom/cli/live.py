"""``facegeom live``: send the faces of a camera or of a video to other programs, frame by frame."""

from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facegeom.cli.options import (
    CameraName,
    DetectEvery,
    DetectorName,
    Device,
    MinFace,
    NewScore,
    OrientationName,
    PoseNet,
    Smooth,
    Threads,
    VideoFov,
    Weights,
)
from facegeom.cli.photos import count_noun
from facegeom.cli.video import load_analyzer

if TYPE_CHECKING:
    from facegeom.live import LiveSummary, Target


def live(
    path: Annotated[Path | None, typer.Argument(metavar="IN", show_default=False, help="A video.")] = None,
    send: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            show_default=False,
            help="Receiver, several with several --send: vmc://HOST, livelink://HOST/SUBJECT,"
            " osc://HOST:PORT/PREFIX, json://HOST:PORT; vmc has port 39539, livelink 11111, unless given.",
        ),
    ] = None,
    camera: CameraName = None,
    fps: Annotated[
        float | None, typer.Option(metavar="N", show_default="all", help="Send at most N frames a second.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(metavar="S", help="Stop after so many seconds.")] = None,
    realtime: Annotated[
        bool,
        typer.Option(help="Play a video at its own speed; without it, send each frame as fast as it goes."),
    ] = True,
    smooth: Smooth = True,
    detect_every: DetectEvery = 30,
    min_face: MinFace = None,
    max_faces: Annotated[
        int, typer.Option(min=1, max=16, help="Track at most this many faces at a time.")
    ] = 1,
    min_score: NewScore = None,
    device: Device = "cpu",
    threads: Threads = None,
    fov: VideoFov = None,
    pose_net: PoseNet = "face",
    detector: DetectorName = "onepass",
    weights: Weights = None,
    orientation: OrientationName = "exif",
) -> None:
    """Send the faces of a camera or of a video to other programs.

    Expression coefficients, head and gaze of each frame go to avatars and engines
    as UDP packets: VMC, Live Link Face, plain OSC or JSON. A camera runs until
    Ctrl-C and is opened again when it was lost; a video ends by itself. At the
    end it prints what was sent, and the time from a frame to its packets.

    Example: facegeom live --camera 0 --send vmc://127.0.0.1:39539
    """
    from facegeom.live import Target, run_live
    from facegeom.live.run import check_fps
    from facegeom.video import Source
    from facegeom.video.run import end_time

    check_fps(fps), end_time(0.0, seconds)  # wrong values are reported before the networks are loaded
    if (path is None) == (camera is None):
        raise typer.BadParameter("expected a video, or --camera N, one of the two", param_hint="'IN'")
    if not send:
        raise typer.BadParameter("expected a receiver, as vmc://127.0.0.1:39539", param_hint="'--send'")
    source = Source(str(path)) if camera is None else Source.camera(camera)
    limits = {"min_face": min_face, "max_faces": max_faces, "min_score": min_score, "fov_deg": fov}
    networks = {"pose_net": pose_net, "detector": detector, "weights": weights, "threads": threads}
    with ExitStack() as stack:
        targets = [stack.enter_context(closing(Target.open(url))) for url in dict.fromkeys(send)]
        options = {**limits, **networks, "orientation": orientation}
        analyze = load_analyzer(device, options, {"detect_every": detect_every, "smooth": smooth})
        summary = run_live(
            source, targets, analyze, fps, seconds, realtime, lambda text: typer.echo(text, err=True)
        )
    _print_summary(summary, targets)
    if summary.fault:
        typer.secho(f"error: {summary.fault}", fg="red", err=True)
    if summary.fault or any(target.lost and not target.packets for target in targets):
        raise typer.Exit(1)


def _print_summary(summary: "LiveSummary", targets: "list[Target]") -> None:
    """Print what was sent, and how long it took from frame to packet."""
    rate = f" ({summary.frames / summary.seconds:.1f} a second)" if summary.seconds else ""
    left_out = f", {summary.left_out} left out" if summary.left_out else ""
    typer.echo(
        f"{count_noun(summary.frames, 'frame')} in {summary.seconds:.1f} s{rate}{left_out},"
        f" {count_noun(summary.faces, 'face')} tracked; from frame to packet"
        f" {summary.latency_ms(50):.1f} ms (median), {summary.latency_ms(90):.1f} ms (90 % of the frames)"
    )
    for target in targets:
        lost = f", {target.lost} not sent: {target.fault}" if target.lost else ""
        typer.echo(f"{target.url}: {count_noun(target.packets, 'packet')}{lost}")

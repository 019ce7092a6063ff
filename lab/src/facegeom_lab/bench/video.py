"""``facegeom bench video``: one face through a clip, beside MediaPipe's video mode in the same run."""

import tempfile
import time
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from facegeom.analyzer import FaceAnalyzer
from facegeom.errors import InputError
from facegeom.video import Frame, FrameAnalyzer
from facegeom_lab.bench import clips
from facegeom_lab.bench.peers import Peer, started
from facegeom_lab.bench.progress import track
from facegeom_lab.bench.steadiness import jitter_percent, lag_frames
from facegeom_lab.measures.about import about
from facegeom_lab.measures.tables import Cell, Report, Table

FloatArray = npt.NDArray[np.floating]

PEER = "mediapipe"
PEER_OPTIONS = {"static_image_mode": False, "refine_landmarks": True, "max_num_faces": 1}
NOISE, SEED = 8.0, 5
SETTLE = 15
"""Frames at the start of a clip that are not counted: the first search, warm caches, the filter's start."""

_SPEED_PROTOCOL = (
    "A clip of {frames} frames, 640 x 360, of one face that is shifted, zoomed and turned, decoded before. "
    "RGB array in, whole answer out, frame after frame. facegeom follows and smooths; it is told that there "
    "is one face (max_faces=1), as MediaPipe is, or by default looks for new ones every 30 frames. "
    "MediaPipe: FaceMesh(static_image_mode=False, refine_landmarks=True, max_num_faces=1). Passes over the "
    "clip in turns, there and back, {rounds} times, never two at once, the peer in a process of its own. "
    "Frames per second: those after the first 15 over the sum of their times, median over passes; "
    "milliseconds: median over all frames of all passes. The ratio is that of facegeom with one face to the "
    "row's system, in frames per second."
)
_STEADY_PROTOCOL = (
    "The same systems. Jitter: the face at rest, normal noise of 8 grey levels, standard deviation of a mesh "
    "point over the frames in percent of the distance of the outer eye corners. Lag: frames by which the "
    "mesh stays behind its known motion, by least squares, in the clip of the speed with the same noise; the "
    "face moves by up to its own width a second and turns by up to 28 degrees a second."
)


@dataclass(frozen=True)
class Pass:
    """A clip, followed once.

    Attributes:
        milliseconds: (N,) of each frame.
        points_px: (N, 478, 2) of its mesh, NaN where there is no face.
    """

    milliseconds: FloatArray
    points_px: FloatArray


@dataclass(frozen=True)
class Effort:
    """How much is measured: frames of each clip, rounds of four passes."""

    frames: int = 300
    rounds: int = 3


Follow: TypeAlias = Callable[[Path], Pass]
"""The .npy file of a clip's frames in, one pass over it out."""


def run_video_bench(
    out: Path,
    analyzer: FaceAnalyzer,
    peers: Mapping[str, Path | None],
    effort: Effort,
    show: Callable[[Table], object] = lambda table: None,
) -> Report:
    """Measure, save ``out/video.md`` and ``out/video.json``, and return the report.

    Args:
        out: folder of the results.
        analyzer: with default settings.
        peers: "mediapipe" and its interpreter, or None to make its environment; or nothing.
        effort: how much to measure.
        show: called with each table as soon as it is there.

    Raises:
        InputError: an unknown peer, or too few frames.
        PeerError: a peer failed.
    """
    if set(peers) - {PEER}:
        raise InputError(f"expected the peer {PEER!r} or none, got {', '.join(peers)}")
    if effort.frames <= 2 * SETTLE:
        raise InputError(f"expected more than {2 * SETTLE} frames, got {effort.frames}")
    tables: list[Table] = []
    with tempfile.TemporaryDirectory() as scratch, started(peers) as workers:
        rivals = {name: theirs(worker) for name, worker in workers.items()}
        for measure in (speed, steadiness):
            tables.append(measure(analyzer, rivals, effort, Path(scratch)))
            show(tables[-1])
        report = Report("facegeom bench video", about(analyzer, workers.values()), tables)
    report.save(out, "video")
    return report


def ours(analyzer: FaceAnalyzer, smooth: bool = True) -> Follow:
    """facegeom, in this process, anew for each pass."""

    def follow(array: Path) -> Pass:
        analyze, times, points = FrameAnalyzer(analyzer, smooth=smooth), [], []
        for index, pixels in enumerate(np.load(array)):
            frame = Frame(index, index / clips.RATE, pixels)
            start = time.perf_counter()
            tracked = analyze(frame)
            times.append((time.perf_counter() - start) * 1e3)
            points.append(_points(tracked.faces.mesh_px[0] if len(tracked.ids) else None))
        return Pass(np.array(times), np.stack(points))

    return follow


def theirs(peer: Peer) -> Follow:
    """MediaPipe, measured inside its own process."""

    def follow(array: Path) -> Pass:
        reply = peer.ask(op="follow", model="mesh", options=PEER_OPTIONS, array=str(array))
        return Pass(np.array(reply["milliseconds"]), np.stack([_points(mesh) for mesh in reply["mesh_px"]]))

    return follow


def _points(mesh: Any) -> FloatArray:
    return np.full((478, 2), np.nan) if mesh is None else np.asarray(mesh, float)[:, :2]


def speed(analyzer: FaceAnalyzer, rivals: Mapping[str, Follow], effort: Effort, scratch: Path) -> Table:
    """The table of frames per second."""
    array = _stored(clips.moving(effort.frames), scratch / "speed.npy")
    alone = copy(analyzer)
    alone.max_faces = 1
    one, every, other = ours(alone), ours(analyzer), next(iter(rivals.values()), None)
    order = [one, every, *([other, other] if other else []), every, one] * effort.rounds
    passes: dict[Follow, list[Pass]] = {follow: [] for follow in order}
    for follow in track(order, "frames per second"):
        passes[follow].append(follow(array))
    rows: list[tuple[Cell, ...]] = []
    for name, follow in {"facegeom, one face": one, "facegeom": every, **rivals}.items():
        rates = [1e3 / float(done.milliseconds[SETTLE:].mean()) for done in passes[follow]]
        times = np.concatenate([done.milliseconds[SETTLE:] for done in passes[follow]])
        rows.append((name, median(rates), float(np.median(times)), _found(passes[follow])))
    rows = [(*row, rows[0][1] / row[1]) for row in rows]  # type: ignore[operator]
    protocol = _SPEED_PROTOCOL.format(frames=effort.frames, rounds=effort.rounds)
    columns = (
        "system",
        "frames per second",
        "ms per frame, median",
        "frames with a face, %",
        "ratio, ours / this",
    )
    return Table("One face through a clip", protocol, columns, rows)


def steadiness(analyzer: FaceAnalyzer, rivals: Mapping[str, Follow], effort: Effort, scratch: Path) -> Table:
    """The table of jitter and lag."""
    made = {
        "still": clips.still(effort.frames, NOISE, SEED),
        "moving": clips.moving(effort.frames, NOISE, SEED),
    }
    arrays = {name: _stored(clip, scratch / f"{name}.npy") for name, clip in made.items()}
    systems = {"facegeom": ours(analyzer), "facegeom, --no-smooth": ours(analyzer, smooth=False), **rivals}
    rows: list[tuple[Cell, ...]] = []
    for name, follow in track(list(systems.items()), "jitter and lag"):
        points = {kind: follow(array).points_px[SETTLE:] for kind, array in arrays.items()}
        rest = np.nanmean(points["still"], axis=0)
        lag = lag_frames(points["moving"], rest, made["moving"].maps[SETTLE:])
        rows.append((name, jitter_percent(points["still"]), lag))
    return Table("Jitter and lag", _STEADY_PROTOCOL, ("system", "jitter, %", "lag, frames"), rows)


def _stored(clip: clips.Clip, path: Path) -> Path:
    np.save(path, clip.frames)
    return path


def _found(passes: list[Pass]) -> float:
    return float(100 * np.mean([np.isfinite(done.points_px[:, 0, 0]) for done in passes]))

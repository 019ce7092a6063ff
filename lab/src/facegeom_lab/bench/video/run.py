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
from facegeom_lab.bench.peers import Peer, started
from facegeom_lab.bench.progress import track
from facegeom_lab.bench.video import clips
from facegeom_lab.bench.video.expressions import blinks_and_lips
from facegeom_lab.measures.about import about
from facegeom_lab.measures.tables import Cell, Report, RunningReport, Table

FloatArray = npt.NDArray[np.floating]

PEER = "mediapipe"
PEER_OPTIONS = {"static_image_mode": False, "refine_landmarks": True, "max_num_faces": 1}
NOISE, SEED = 8.0, 5
SKIPPED_FRAMES = 15
"""Frames at the start of a clip that are not counted: first detection, cold caches, start of the filter."""

_SPEED_PROTOCOL = (
    "A clip of {frames} frames, 640 x 360, of one face that is shifted, zoomed and rotated, decoded before. "
    "RGB array in, whole result out, frame by frame. facegeom tracks and smooths, for one face "
    "(max_faces=1) as MediaPipe, and by default, detecting new faces every 30 frames. "
    "MediaPipe: FaceMesh(static_image_mode=False, refine_landmarks=True, max_num_faces=1). The systems pass "
    "over the clip in order and in reverse order, {rounds} times, never two at once, the peer in its own "
    "process. Frames per second: frames after the first 15 over the sum of their times, median over passes; "
    "milliseconds: median over all frames of all passes. Ratio: frames per second of facegeom with one face "
    "over those of the row's system."
)
_JITTER_PROTOCOL = (
    "The same systems. Jitter: the face at rest, normal noise of 8 grey levels, standard deviation of a mesh "
    "point over the frames in percent of the distance of the outer eye corners. Lag: frames by which the "
    "mesh stays behind its known motion, by least squares, in the clip of the table above with the same "
    "noise; the face moves by up to its own width a second and rotates by up to 28 degrees a second."
)


@dataclass(frozen=True)
class Pass:
    """One pass of a tracker over a clip.

    Attributes:
        milliseconds: (N,) time of each frame.
        points_px: (N, 478, 2) mesh points of the face, NaN where none was found.
    """

    milliseconds: FloatArray
    points_px: FloatArray


@dataclass(frozen=True)
class VideoConfig:
    """How much is measured.

    Attributes:
        frames: of each clip.
        rounds: rounds of six passes (four without a peer) over the clip.
    """

    frames: int = 300
    rounds: int = 3


Tracker: TypeAlias = Callable[[Path], Pass]
"""Takes the .npy file of a clip's frames and tracks the face through it once."""


def run_video_bench(
    out: Path,
    analyzer: FaceAnalyzer,
    peers: Mapping[str, Path | None],
    config: VideoConfig,
    show: Callable[[Table], object] = lambda table: None,
) -> Report:
    """Measure, save ``out/video.md`` and ``out/video.json``, and return the report.

    Args:
        out: folder of the results.
        analyzer: with default settings.
        peers: empty, or "mediapipe" with its interpreter; None installs its environment.
        config: how much to measure.
        show: called with each table as soon as it is measured.

    Raises:
        InputError: an unknown peer, or too few frames.
        ExternalError: a peer failed.
    """
    if set(peers) - {PEER}:
        raise InputError(f"expected the peer {PEER!r} or none, got {', '.join(peers)}")
    if config.frames <= 2 * SKIPPED_FRAMES:
        raise InputError(f"expected more than {2 * SKIPPED_FRAMES} frames, got {config.frames}")
    with tempfile.TemporaryDirectory() as scratch, started(peers) as workers:
        peer_trackers = {name: track_by_peer(worker) for name, worker in workers.items()}
        report = RunningReport("facegeom bench video", about(analyzer, workers.values()), out, "video", show)
        for measure in (frame_rate, jitter_and_lag):
            report.add(measure(analyzer, peer_trackers, config, Path(scratch)))
        report.add(blinks_and_lips(analyzer, clips.still(config.frames, NOISE, SEED).frames))
    return report.finish()


def track_by_facegeom(analyzer: FaceAnalyzer, smooth: bool = True) -> Tracker:
    """Return a tracker that runs facegeom in this process, with a new FrameAnalyzer for each pass."""

    def run(array: Path) -> Pass:
        analyze, times, points = FrameAnalyzer(analyzer, smooth=smooth), [], []
        for index, pixels in enumerate(np.load(array)):
            frame = Frame(index, index / clips.RATE, pixels)
            start = time.perf_counter()
            tracked = analyze(frame)
            times.append((time.perf_counter() - start) * 1e3)
            points.append(_points(tracked.faces.mesh_px[0] if len(tracked.ids) else None))
        return Pass(np.array(times), np.stack(points))

    return run


def track_by_peer(peer: Peer) -> Tracker:
    """Return a tracker that runs MediaPipe and measures inside its own process."""

    def run(array: Path) -> Pass:
        reply = peer.ask(op="follow", model="mesh", options=PEER_OPTIONS, array=str(array))
        return Pass(np.array(reply["milliseconds"]), np.stack([_points(mesh) for mesh in reply["mesh_px"]]))

    return run


def _points(mesh: Any) -> FloatArray:
    return np.full((478, 2), np.nan) if mesh is None else np.asarray(mesh, float)[:, :2]


def frame_rate(
    analyzer: FaceAnalyzer, peers: Mapping[str, Tracker], config: VideoConfig, scratch: Path
) -> Table:
    """Measure frames per second on a moving clip."""
    array = _save(clips.moving(config.frames), scratch / "speed.npy")
    one_face_analyzer = copy(analyzer)
    one_face_analyzer.options = analyzer.options.changed(max_faces=1)
    one_face, default = track_by_facegeom(one_face_analyzer), track_by_facegeom(analyzer)
    peer = next(iter(peers.values()), None)
    order = [one_face, default, *([peer, peer] if peer else []), default, one_face] * config.rounds
    passes: dict[Tracker, list[Pass]] = {tracker: [] for tracker in order}
    for tracker in track(order, "frames per second"):
        passes[tracker].append(tracker(array))
    rows: list[tuple[Cell, ...]] = []
    for name, tracker in {"facegeom, one face": one_face, "facegeom": default, **peers}.items():
        rates = [1e3 / float(done.milliseconds[SKIPPED_FRAMES:].mean()) for done in passes[tracker]]
        times = np.concatenate([done.milliseconds[SKIPPED_FRAMES:] for done in passes[tracker]])
        rows.append((name, median(rates), float(np.median(times)), _found_percent(passes[tracker])))
    rows = [(*row, rows[0][1] / row[1]) for row in rows]  # type: ignore[operator]
    protocol = _SPEED_PROTOCOL.format(frames=config.frames, rounds=config.rounds)
    columns = (
        *("system", "frames per second", "ms per frame, median", "frames with a face, %"),
        "ratio, ours / this",
    )
    return Table("One face through a clip", protocol, columns, rows)


def jitter_and_lag(
    analyzer: FaceAnalyzer, peers: Mapping[str, Tracker], config: VideoConfig, scratch: Path
) -> Table:
    """Measure jitter on a still clip and lag on a moving one, both with noise."""
    noisy = {
        "still": clips.still(config.frames, NOISE, SEED),
        "moving": clips.moving(config.frames, NOISE, SEED),
    }
    arrays = {name: _save(clip, scratch / f"{name}.npy") for name, clip in noisy.items()}
    systems = {
        "facegeom": track_by_facegeom(analyzer),
        "facegeom, --no-smooth": track_by_facegeom(analyzer, smooth=False),
        **peers,
    }
    rows: list[tuple[Cell, ...]] = []
    for name, tracker in track(list(systems.items()), "jitter and lag"):
        points = {kind: tracker(array).points_px[SKIPPED_FRAMES:] for kind, array in arrays.items()}
        rest = np.nanmean(points["still"], axis=0)
        lag = clips.lag_frames(points["moving"], rest, noisy["moving"].maps[SKIPPED_FRAMES:])
        rows.append((name, clips.jitter_percent(points["still"]), lag))
    return Table("Jitter and lag", _JITTER_PROTOCOL, ("system", "jitter, %", "lag, frames"), rows)


def _save(clip: clips.Clip, path: Path) -> Path:
    np.save(path, clip.frames)
    return path


def _found_percent(passes: list[Pass]) -> float:
    return float(100 * np.mean([np.isfinite(done.points_px[:, 0, 0]) for done in passes]))

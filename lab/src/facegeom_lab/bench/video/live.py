"""``facegeom bench live``: from a frame to its packets, over a clip that stands for a camera."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from copy import copy
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket

import av
import numpy as np

from facegeom.analyzer import FaceAnalyzer
from facegeom.errors import InputError
from facegeom.live import LiveSummary, Target, run_live
from facegeom.live.protocols import SCHEMES
from facegeom.video import FrameAnalyzer, Source
from facegeom_lab.bench.progress import track
from facegeom_lab.bench.video import clips
from facegeom_lab.measures.about import about
from facegeom_lab.measures.tables import Cell, Report, Table

HEIGHT = 480

_PROTOCOL = (
    "A clip of {frames} frames, H.264, 640 x 480, 30 frames a second, of one face that is shifted, zoomed "
    "and rotated, with noise of 3 grey levels; facegeom live --max-faces 1, packets to a socket here. "
    "Frame to packet: from the decoded RGB frame to the return of the last call that sends, over all frames. "
    "As fast as it goes: each frame, decoded, analyzed and sent one after the other. At its own speed: as a "
    "camera, decoded in a second thread; frames that come while the one before is analyzed are left out."
)


def run_live_bench(
    out: Path, analyzer: FaceAnalyzer, frames: int, show: Callable[[Table], object] = lambda table: None
) -> Report:
    """Measure, save ``out/live.md`` and ``out/live.json``, and return the report.

    Args:
        out: folder of the results.
        analyzer: with default settings.
        frames: of the clip.
        show: called with the table.

    Raises:
        InputError: there is no frame.
    """
    if frames < 1:
        raise InputError(f"expected at least 1 frame, got {frames}")
    single = copy(analyzer)
    single.options = analyzer.options.changed(max_faces=1)
    runs = [(f"{name}, as fast as it goes", [name], False) for name in SCHEMES]
    runs += [("all four, as fast as it goes", list(SCHEMES), False), ("vmc, at its own speed", ["vmc"], True)]
    rows: list[tuple[Cell, ...]] = []
    with tempfile.TemporaryDirectory() as scratch:
        source = Source(str(write_clip(Path(scratch) / "live.mp4", frames)))
        measure(source, single, ["vmc"], False)  # caches
        for title, schemes, realtime in track(runs, "live"):
            done = measure(source, single, schemes, realtime)
            row = (done.frames / done.seconds, done.latency_ms(50), done.latency_ms(90), done.left_out)
            rows.append((title, *row))
    columns = ("receivers", "frames per second", "frame to packet, ms, median", "90 %", "frames left out")
    table = Table("Live", _PROTOCOL.format(frames=frames), columns, rows)
    show(table)
    report = Report("facegeom bench live", about(analyzer, ()), [table])
    report.save(out, "live")
    return report


def measure(source: Source, analyzer: FaceAnalyzer, schemes: Sequence[str], realtime: bool) -> LiveSummary:
    """Send the clip to receivers of these protocols, a socket that nobody reads."""
    with ExitStack() as stack:
        receiver = stack.enter_context(socket(AF_INET, SOCK_DGRAM))
        receiver.bind(("127.0.0.1", 0))
        urls = [f"{name}://127.0.0.1:{receiver.getsockname()[1]}" for name in schemes]
        targets = [stack.enter_context(closing(Target.open(url))) for url in urls]
        return run_live(source, targets, FrameAnalyzer(analyzer), realtime=realtime)


def write_clip(path: Path, frames: int) -> Path:
    """Write the moving clip, with bars above and below up to 640 x 480; return its path."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=round(clips.RATE), options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = clips.SIZE_WH[0], HEIGHT, "yuv420p"
        bar = (HEIGHT - clips.SIZE_WH[1]) // 2
        for pixels in clips.moving(frames, noise=3, seed=5).frames:
            padded = np.pad(pixels, ((bar, bar), (0, 0), (0, 0)))
            file.mux(stream.encode(av.VideoFrame.from_ndarray(padded, format="rgb24")))
        file.mux(stream.encode(None))
    return path

"""Clocks that jump, and absurd frame rates: times stay in order, the sound in step, a message says it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from facegeom.video import FrameAnalyzer, Source, VideoError, open_video
from facegeom.video.run import FORMATS, run_video
from facegeom.video.table import read_table

from .conftest import build_faces

Film = Callable[..., Path]
EVEN = [index / 30 for index in range(30)]


def joined(film: Film, folder: Path, starts_s: list[float]) -> Path:
    """Return MPEG-TS clips of a second, one after the other, each on a clock that starts at another time."""
    clips = [
        film(folder / f"{n}.ts", EVEN, sound="aac", start_s=start_s) for n, start_s in enumerate(starts_s)
    ]
    (folder / "all.ts").write_bytes(b"".join(clip.read_bytes() for clip in clips))
    return folder / "all.ts"


def raw(path: Path, rate: str) -> Path:
    """Return an uncompressed video of five frames that states a frame rate."""
    frame = b"FRAME\n" + bytes([128]) * (64 * 48 * 3 // 2)
    path.write_bytes(f"YUV4MPEG2 W64 H48 F{rate} Ip A1:1 C420\n".encode() + frame * 5)
    return path


@pytest.mark.parametrize("starts_s", [[0, 20_000], [20_000, 0], [0, 0], [5, 0, 9_000]])
def test_a_clock_that_jumps(film: Film, tmp_path: Path, scene: Any, starts_s: list[float]) -> None:
    scene.boxes = [[10.0, 10, 40, 40]]
    path, out = joined(film, tmp_path, starts_s), tmp_path / "out"
    summary = run_video(Source(str(path)), out, FrameAnalyzer(scene), formats=FORMATS)
    count = 30 * len(starts_s)
    assert summary.frames == count and "its clock jumps after 1.0" in str(summary.fault)
    columns, _ = read_table(out / "all.frames.parquet")
    np.testing.assert_allclose(columns["time_s"] - columns["time_s"][0], np.arange(count) / 30, atol=0.02)
    faces, _ = read_table(out / "all.parquet")
    assert all(np.isfinite(faces[name]).all() for name in ("mesh_px", "rotation", "box_xyxy"))
    assert len((out / "all.bvh").read_text().splitlines()) < count + 40
    with av.open(str(out / "all.overlay.mp4")) as file:
        ends = [float(stream.duration * stream.time_base) for stream in file.streams]
    assert ends[0] == pytest.approx(count / 30, abs=0.1) and ends[1] < 1.2  # the sound ends at the jump


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_pause_of_minutes_is_kept_and_one_of_hours_is_not(film: Film, tmp_path: Path, ending: str) -> None:
    for pause_s, expected in ((500, 500.1), (9_000, 0.1 + 1 / 30)):
        times: list[float] = []
        path = film(tmp_path / f"a.{ending}", [0, 0.1, 0.1 + pause_s])
        with open_video(path) as video:
            rate = video.rate
            try:
                times += [frame.time_s for frame in video]
            except VideoError as error:
                assert "its clock jumps after 0.1 s" in str(error) and pause_s == 9_000
        assert rate < 30.1 and (pause_s == 9_000 or times[-1] == pytest.approx(expected, abs=0.01))


@pytest.mark.parametrize(
    ("rate", "step_s", "fault"),
    [
        ("0:1", 1 / 25, None),  # FFmpeg's default
        ("1000000000:1", 1 / 30, "no usable times, 30 a second were assumed"),
        ("2147483647:1", 1 / 30, "no usable times, 30 a second were assumed"),
        ("1:1000000000", 1 / 30, "its clock jumps after 0.0, 0.0, 0.1, 0.1 s"),
    ],
)
def test_absurd_frame_rates(tmp_path: Path, scene: Any, rate: str, step_s: float, fault: str | None) -> None:
    scene.boxes = [[10.0, 10, 40, 40]]
    path, out = raw(tmp_path / "a.y4m", rate), tmp_path / "out"
    summary = run_video(Source(str(path)), out, FrameAnalyzer(scene), formats=FORMATS)
    assert summary.frames == 5 and (summary.fault is None if fault is None else fault in str(summary.fault))
    columns, about = read_table(out / "a.frames.parquet")
    np.testing.assert_allclose(columns["time_s"], np.arange(5) * step_s, atol=1e-3)
    assert 1 <= float(about["rate"]) <= 1000
    with av.open(str(out / "a.overlay.mp4")) as file:
        assert [frame.time for frame in file.decode(video=0)] == pytest.approx(columns["time_s"], abs=1e-3)


def test_a_sound_whose_clock_jumps_alone(film: Film, tmp_path: Path, scene: Any) -> None:
    path, out = film(tmp_path / "a.mkv", EVEN, sound="aac"), tmp_path / "out"
    with av.open(str(path)) as file, av.open(str(tmp_path / "b.mkv"), "w") as copy:
        targets = {stream.index: copy.add_stream_from_template(stream) for stream in file.streams}
        for packet in file.demux():
            if packet.dts is not None:
                is_late = packet.stream.type == "audio" and packet.dts * packet.time_base > 0.5
                packet.dts, packet.pts = (each + is_late * 2_000_000 for each in (packet.dts, packet.pts))
                packet.stream = targets[packet.stream.index]
                copy.mux(packet)
    summary = run_video(Source(str(tmp_path / "b.mkv")), out, FrameAnalyzer(scene))
    assert summary.warning == "the sound of the overlay ends where the clock of the sound jumps"
    with av.open(str(out / "b.overlay.mp4")) as file:
        ends = [float(stream.duration * stream.time_base) for stream in file.streams]
    assert ends[0] == pytest.approx(1, abs=0.1) and 0.4 < ends[1] < 0.7


@pytest.mark.parametrize("times_s", [[0, 1, float("nan"), 1.1], [0, 1, float("inf"), 2], [5, 5, 0, 1e6, 0]])
def test_odd_times_of_frames_leave_faces_finite(scene: Any, times_s: list[float]) -> None:
    from facegeom.video import FaceSmoother, TrackedFaces

    smooth = FaceSmoother()
    for time_s in times_s:
        faces = build_faces([[10.0, 10, 40, 40]], [1.0], (64, 48))
        smoothed = smooth(TrackedFaces(np.array([0]), faces), time_s).faces
        assert all(np.isfinite(getattr(smoothed, name)).all() for name in ("mesh_px", "rotation", "mesh_mm"))

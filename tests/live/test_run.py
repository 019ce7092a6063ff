"""A whole run: a clip or a camera in, packets out; the command as a person types it."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from receivers import Receiver, json_frame
from typer.testing import CliRunner

from facegeom.cli.root import app
from facegeom.errors import InputError
from facegeom.live import LiveSummary, Target, run_live
from facegeom.live import run as live_run
from facegeom.video import Frame, Source, VideoError, reading

Clip = Callable[..., Path]


def run(path: Path | Source, seer: Any, receiver: Receiver, **options: Any) -> tuple[LiveSummary, list[Any]]:
    """Return the summary, and the frames of JSON that came."""
    source = path if isinstance(path, Source) else Source(str(path))
    with closing(Target.open(f"json://127.0.0.1:{receiver.port}")) as target:
        summary = run_live(source, [target], seer, **options)
    return summary, [json_frame(datagram) for datagram in receiver.datagrams()]


def test_each_frame_is_sent(clip: Clip, seer: Any, receiver: Receiver) -> None:
    summary, frames = run(clip(), seer, receiver, realtime=False)
    assert [frame["frame"] for frame in frames] == list(range(10))
    assert [frame["time_s"] for frame in frames] == [index / 10 for index in range(10)]
    assert all(frame["faces"][0]["expression"]["jawOpen"] == 0.75 for frame in frames)
    assert (summary.frames, summary.left_out, summary.faces, summary.fault) == (10, 0, 1, None)
    assert len(summary.latencies_s) == 10 and 0 < summary.latency_ms(50) <= summary.latency_ms(90)
    assert summary.seconds > 0


def test_at_its_own_speed_what_comes_too_soon_is_left_out(clip: Clip, seer: Any, receiver: Receiver) -> None:
    path = clip([index / 1000 for index in range(0, 40, 2)])
    summary, frames = run(path, seer, receiver)
    indices = [frame["frame"] for frame in frames]
    assert indices == sorted(set(indices)) and summary.frames == len(indices)
    assert summary.frames + summary.left_out == 20 and indices[-1] == 19


def test_a_clock_that_jumps_by_hours_is_not_waited_for(clip: Clip, seer: Any, receiver: Receiver) -> None:
    summary, frames = run(clip([0, 0.1, 9000, 9000.1]), seer, receiver)
    assert frames[-1]["frame"] == 3 and frames[-1]["time_s"] < 1
    assert "its clock jumps after 0.1 s" in str(summary.fault)


@pytest.mark.parametrize(
    ("fps", "indices"),
    [(5, [0, 2, 4, 6, 8]), (4, [0, 3, 5, 8]), (10, range(10)), (99, range(10)), (0.5, [0])],
)
def test_fewer_frames(clip: Clip, seer: Any, receiver: Receiver, fps: float, indices: Any) -> None:
    _, frames = run(clip(), seer, receiver, fps=fps, realtime=False)
    assert [frame["frame"] for frame in frames] == list(indices)


def test_a_part(clip: Clip, seer: Any, receiver: Receiver) -> None:
    for realtime in (False, True):
        summary, _ = run(clip(), seer, receiver, seconds=0.05, realtime=realtime)
        assert summary.frames == 1


def test_a_face_keeps_its_slot(clip: Clip, seer: Any, receiver: Receiver) -> None:
    seer.ids = [[], [3], [3, 5], [5], [5, 6], [6], [3, 6]]
    summary, frames = run(clip(), seer, receiver, realtime=False)
    slots = [{face["id"]: face["face"] for face in frame["faces"]} for frame in frames[:7]]
    assert slots == [{}, {3: 0}, {3: 0, 5: 1}, {5: 1}, {6: 0, 5: 1}, {6: 0}, {6: 0, 3: 1}]
    assert summary.faces == 7


def test_ctrl_c_ends_it(clip: Clip, seer: Any, receiver: Receiver) -> None:
    def stop(frame: Frame) -> None:
        if frame.index == 3:
            raise KeyboardInterrupt

    seer.on_frame = stop
    summary, frames = run(clip(), seer, receiver, realtime=False)
    assert summary.frames == len(frames) == 3 and summary.fault is None


@pytest.mark.parametrize("realtime", [False, True])
def test_a_file_that_cannot_be_read(tmp_path: Path, seer: Any, receiver: Receiver, realtime: bool) -> None:
    with pytest.raises(VideoError, match="no such file"):
        run(tmp_path / "none.mp4", seer, receiver, realtime=realtime)


def test_a_file_that_is_cut_short(clip: Clip, seer: Any, receiver: Receiver) -> None:
    path = clip([index / 10 for index in range(60)], "a.mkv")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    summary, frames = run(path, seer, receiver, realtime=False)
    assert summary.fault and "is damaged" in summary.fault and 0 < summary.frames == len(frames) < 60


@pytest.fixture
def webcam(monkeypatch: pytest.MonkeyPatch) -> Source:
    """Return a camera that vanishes after five frames, each time it is opened."""
    pattern = ("lavfi", "testsrc=size=64x48:rate=50:duration={}")
    monkeypatch.setitem(reading.CAMERAS, reading.sys.platform, pattern)
    monkeypatch.setattr(live_run, "PAUSES_S", (0.01, 0.02))
    return Source.camera("0.1")


def test_a_camera_that_vanished_is_opened_again(webcam: Source, seer: Any, receiver: Receiver) -> None:
    def stop(frame: Frame) -> None:
        if frame.index > 5:  # it gives five frames at a time
            raise KeyboardInterrupt

    said: list[str] = []
    seer.on_frame = stop
    summary, frames = run(webcam, seer, receiver, say=said.append)
    times = [frame["time_s"] for frame in frames]
    assert times == sorted(times) and summary.fault is None
    assert said[0] == f"{webcam.title} is lost; it will be opened again when it is back, Ctrl-C ends"
    assert said[1] == f"{webcam.title} is back"


def test_ctrl_c_ends_a_camera_that_is_gone(webcam: Source, seer: Any, receiver: Receiver) -> None:
    def say(text: str) -> None:
        opened.append(text)

    def stop(frame: Frame) -> None:
        if opened:
            raise KeyboardInterrupt

    opened: list[str] = []
    seer.on_frame = stop
    summary, _ = run(webcam, seer, receiver, say=say)
    assert summary.fault is None and opened


def test_the_time_of_a_run_ends_also_while_its_camera_stalls(
    webcam: Source, seer: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stalling(source: Source, end_s: float, say: object, stop: Event) -> Iterator[tuple[Frame, float]]:
        yield Frame(0, 0.0, np.zeros((48, 64, 3), np.uint8)), 30.0
        stop.wait()

    monkeypatch.setattr(live_run, "_camera_frames", stalling)
    monkeypatch.setattr(live_run, "_OPENING_S", 0.0)
    summary, frames = run(webcam, seer, receiver, seconds=0.5)
    assert summary.frames == len(frames) <= 1 and summary.fault is None


def test_the_time_of_a_run_ends_also_while_its_camera_is_gone(
    webcam: Source, seer: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    @contextmanager
    def vanished(source: Source) -> Iterator[Any]:
        opened.append(source)
        if len(opened) > 1:
            raise VideoError("it is gone")
        with reading.open_video(source) as video:
            yield video

    monkeypatch.setattr(live_run, "open_video", vanished)
    summary, frames = run(webcam, seer, receiver, seconds=0.5)
    assert summary.frames == len(frames) and summary.fault is None


def test_a_camera_that_is_missing(monkeypatch: pytest.MonkeyPatch, seer: Any, receiver: Receiver) -> None:
    monkeypatch.setitem(reading.CAMERAS, reading.sys.platform, ("lavfi", "nosuchfilter={}"))
    with pytest.raises(VideoError, match=r"cannot open camera .*; check its number"):
        run(Source.camera(7), seer, receiver)


def test_packets_that_cannot_be_sent_are_reported_once(clip: Clip, seer: Any, receiver: Receiver) -> None:
    said: list[str] = []
    with closing(Target.open("json://127.0.0.1:9")) as target:
        target._socket.close()
        run_live(Source(str(clip())), [target], seer, realtime=False, say=said.append)
    assert said == ["cannot send to json://127.0.0.1:9: Bad file descriptor; going on"] and target.lost == 10


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_rates_that_are_none(clip: Clip, seer: Any, receiver: Receiver, fps: float) -> None:
    with pytest.raises(InputError, match="fps: expected more than 0 frames a second"):
        run(clip(), seer, receiver, fps=fps)


def typed(*arguments: object) -> tuple[int, str, str]:
    """Return the exit code, stdout and stderr of the command, without frames and line breaks."""
    result = CliRunner().invoke(app, ["live", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, " ".join(result.stderr.replace("│", " ").split())


@pytest.fixture
def networks(seer: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Replace the networks; ``seer.built`` records the options."""

    def build(device: str, options: dict[str, Any], tracking: dict[str, Any]) -> Any:
        seer.built = {"device": device, **options, **tracking}
        return seer

    monkeypatch.setattr("facegeom.cli.live.load_analyzer", build)
    return seer


def test_the_command(networks: Any, clip: Clip, receiver: Receiver) -> None:
    here = f"127.0.0.1:{receiver.port}"
    urls = [f"{scheme}://{here}" for scheme in ("vmc", "json", "osc", "livelink")]
    sends = [part for url in urls for part in ("--send", url)]
    code, printed, reported = typed(clip(), *sends, "--no-realtime", "--fov", 60)
    assert (code, reported) == (0, "")
    first, *rest = printed.splitlines()
    assert first.startswith("10 frames in ") and "1 face tracked; from frame to packet " in first
    counts = {line.rpartition(": ")[0]: int(line.rpartition(": ")[2].split()[0]) for line in rest}
    assert counts == dict(zip(urls, (30, 10, 20, 10), strict=True))
    assert sum(counts.values()) == len(receiver.datagrams())
    assert networks.built["max_faces"] == 1 and networks.built["fov_deg"] == 60 and networks.built["smooth"]


def test_the_command_with_a_camera(networks: Any, webcam: Source, receiver: Receiver) -> None:
    url = f"json://127.0.0.1:{receiver.port}"
    code, printed, reported = typed("--camera", 0.1, "--send", url, "--send", url, "--seconds", 0.3)
    assert code == 0 and "is lost; it will be opened again" in reported and printed.count(url) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "expected a video, or --camera N, one of the two"),
        (["a.mp4", "--camera", "0", "--send", "vmc://127.0.0.1"], 2, "one of the two"),
        (["a.mp4"], 2, "expected a receiver, as vmc://127.0.0.1:39539"),
        (["a.mp4", "--send", "http://127.0.0.1"], 2, "expected a receiver as one of vmc://HOST:PORT"),
        (["a.mp4", "--send", "vmc://127.0.0.1:65536"], 2, "expected a URL with a port from 1 to 65535"),
        (["a.mp4", "--send", "osc://127.0.0.1"], 2, "expected a port from 1 to 65535"),
        (["a.mp4", "--send", "vmc://127.0.0.1", "--fps", "0"], 2, "fps: expected more than 0 frames"),
        (["a.mp4", "--send", "vmc://127.0.0.1", "--seconds", "0"], 2, "expected more than 0 seconds"),
        (["a.mp4", "--send", "vmc://127.0.0.1", "--max-faces", "17"], 2, "'--max-faces'"),
        (["none.mp4", "--send", "vmc://127.0.0.1"], 1, "'none.mp4' is no such file"),
        (["--camera", "99", "--send", "vmc://127.0.0.1"], 1, "check its number and that no other program"),
    ],
)
def test_what_is_wrong_is_said(
    networks: Any, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.setitem(reading.CAMERAS, reading.sys.platform, ("lavfi", "nosuchfilter={}"))
    exit_code, printed, reported = typed(*arguments)
    assert (exit_code, printed) == (code, "") and message in reported


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to all processes of a console")
def test_ctrl_c_at_the_keyboard(clip: Clip, receiver: Receiver) -> None:
    path = clip(range(600))  # ten minutes
    command = [sys.executable, "-m", "facegeom", "live", path, "--send", f"json://127.0.0.1:{receiver.port}"]
    process = subprocess.Popen(
        [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    receiver.wait()
    process.send_signal(signal.SIGINT)
    printed, reported = process.communicate(timeout=600)
    assert (process.returncode, reported) == (0, "") and "0 faces tracked; from frame to packet" in printed


def test_a_damaged_file_ends_with_its_fault(networks: Any, clip: Clip, receiver: Receiver) -> None:
    path = clip([index / 10 for index in range(60)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    url = f"json://127.0.0.1:{receiver.port}"
    code, printed, reported = typed(path, "--send", url, "--no-realtime")
    assert code == 1 and "frames in" in printed and "is damaged" in reported

"""Videos in: times, orientation, damage, what is no video, cameras."""

import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from facegeom.errors import InputError
from facegeom.video import Source, VideoError, open_video, reading
from facegeom.video.frames import Frame

Film = Callable[..., Path]
EVEN = [index / 30 for index in range(20)]


def frames_of(path: Path | Source) -> list[Frame]:
    with open_video(path) as video:
        return list(video)


def test_frames_in_their_order(film: Film, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", EVEN)
    with open_video(path) as video:
        assert video.rate == pytest.approx(30, rel=0.1) and video.frames == 20
        assert video.duration_s == pytest.approx(20 / 30, abs=0.05)
        frames = list(video)
    assert [frame.index for frame in frames] == list(range(20))
    np.testing.assert_allclose([frame.time_s for frame in frames], EVEN, atol=1e-4)
    for frame in frames:
        assert frame.pixels.shape == (48, 64, 3) and frame.pixels.dtype == np.uint8
        assert frame.pixels[:, 32:].mean() == pytest.approx(20 + 8 * frame.index, abs=3)


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_no_frame_is_lost_where_the_sound_comes_first(film: Film, tmp_path: Path, ending: str) -> None:
    path = film(tmp_path / f"a.{ending}", EVEN, sound="aac", sound_first=True)
    with open_video(path) as video:
        assert video._stream.index == 1
        assert [frame.index for frame in video] == list(range(20))


def test_a_camera_without_a_frame_yet_is_asked_again(
    film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_CAMERA_PAUSE_S", 0.001)
    with open_video(film(tmp_path / "a.mkv", EVEN)) as video:
        packets, asked = list(video._container.demux(video._stream)), []

        class Camera:
            """Raises at every other packet, as avfoundation does, which ends its iterator."""

            format = video._container.format

            def demux(self, *streams: Any) -> Iterator[Any]:
                while packets:
                    asked.append(len(packets))
                    if len(asked) % 2:
                        raise BlockingIOError
                    yield packets.pop(0)

        video.source, video._container = Source("camera", "avfoundation"), Camera()
        assert len(list(video)) == 20 and len(asked) > 2 * 20


def test_a_camera_that_falls_silent_ends(film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_CAMERA_PAUSE_S", 0.001)
    monkeypatch.setattr(reading, "_CAMERA_SILENCE_S", 0.01)
    with open_video(film(tmp_path / "a.mkv", EVEN)) as video:

        class Camera:
            format = video._container.format

            def demux(self, *streams: Any) -> Iterator[Any]:
                raise BlockingIOError
                yield

        video.source, video._container = Source("camera", "avfoundation"), Camera()
        with pytest.raises(VideoError, match="no frame could be read"):
            list(video)


def test_a_video_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch, film: Film, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", EVEN)

    def refuse(*_: Any, **__: Any) -> None:
        raise av.error.PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("av.open", refuse)
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(VideoError, match="check its permissions"):
        frames_of(path)


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_uneven_times_are_kept(film: Film, tmp_path: Path, ending: str) -> None:
    times = [0, 0.04, 0.05, 0.3, 0.31, 0.9]
    frames = frames_of(film(tmp_path / f"a.{ending}", times))
    np.testing.assert_allclose([frame.time_s for frame in frames], times, atol=1e-3)


def test_a_clock_that_starts_late_is_set_to_zero(film: Film, tmp_path: Path) -> None:
    frames = frames_of(film(tmp_path / "a.ts", EVEN, start_s=5))
    np.testing.assert_allclose([frame.time_s for frame in frames], EVEN, atol=1e-3)


def turned(path: Path, degrees: int) -> Path:
    """Write a turn, clockwise for the viewer, into the track header of an MP4 file."""
    cos, sin = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    matrix = struct.pack(">9i", *(v << 16 for v in (cos, sin, 0, -sin, cos, 0, 0, 0)), 1 << 30)
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40  # version 0: times, id, duration, layer, volume come first
    data[start : start + 36] = matrix
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_frames_are_upright(film: Film, tmp_path: Path, degrees: int) -> None:
    frame = frames_of(turned(film(tmp_path / "a.mp4", EVEN), degrees))[0]
    lying = frames_of(film(tmp_path / "b.mp4", EVEN))[0]
    np.testing.assert_array_equal(frame.pixels, np.rot90(lying.pixels, -degrees // 90))
    assert frame.pixels.flags.c_contiguous


def test_missing_folder_text_photo_and_sound(film: Film, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no video " * 99)
    (tmp_path / "broken.mp4").write_bytes(bytes(999))
    (tmp_path / "empty.mp4").write_bytes(b"")
    Image.new("RGB", (64, 48)).save(tmp_path / "photo.jpg")
    film(tmp_path / "both.mkv", EVEN, sound="aac")
    for name, message in (
        ("none.mp4", "no such file"),
        ("", "is a folder"),
        ("notes.txt", "expected a video"),
        ("broken.mp4", "expected a video file"),
        ("empty.mp4", "expected a video file"),
        ("photo.jpg", "photos go to `analyze`"),
    ):
        with pytest.raises(VideoError, match=message):
            frames_of(tmp_path / name)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(
        struct.pack(
            "<4sI8sIHHIIHH4sI", b"RIFF", 8036, b"WAVEfmt ", 16, 1, 1, 8000, 16000, 2, 16, b"data", 8000
        )
        + bytes(8000)
    )
    with pytest.raises(VideoError, match="has no video stream"):
        frames_of(tmp_path / "a.wav")


def test_a_playlist_does_not_reach_the_network(tmp_path: Path) -> None:
    (tmp_path / "a.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nhttp://localhost:9/a.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(VideoError):
        frames_of(tmp_path / "a.m3u8")


def test_a_name_like_a_protocol_is_a_file(
    film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film(tmp_path / "a.mp4", EVEN).rename(tmp_path / "http:a.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(frames_of(Path("http:a.mp4"))) == 20


def test_a_video_cut_short_gives_what_it_has_and_then_an_error(film: Film, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 48, 64, 3), dtype=np.uint8)
    whole = film(
        tmp_path / "a.mp4", [i / 30 for i in range(90)], lambda i: noise[i], options={"movflags": "faststart"}
    )
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    frames = []
    with open_video(whole) as video, pytest.raises(VideoError, match=r"ends at 1\.\d s of 3\.0 s"):
        frames += video
    with open_video(whole) as video, pytest.raises(VideoError):
        for frame in video:
            frames.append(frame)
    assert 20 < len(frames) < 90


def test_damaged_packets_are_left_out_and_told(film: Film, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), dtype=np.uint8)
    path = film(tmp_path / "a.mp4", [i / 30 for i in range(60)], lambda i: noise[i])
    data = bytearray(path.read_bytes())
    third = len(data) // 3
    data[third : third + third // 2] = bytes(third // 2)
    path.write_bytes(data)
    frames = []
    with open_video(path) as video, pytest.raises(VideoError, match="damaged packets were left out"):
        for frame in video:
            frames.append(frame)
    assert 10 < len(frames) <= 60 and frames[-1].time_s == pytest.approx(59 / 30, abs=0.05)


def noisy(index: int) -> np.ndarray:
    """Return a frame of noise over a gradient: many bytes, of which none can be missed."""
    noise = np.random.default_rng(index).integers(0, 90, (96, 128, 3))
    return np.uint8(np.linspace(20, 160, 128)[None, :, None] + noise)


def fault_of(path: Path) -> tuple[list[Frame], str]:
    """Return the frames and what is wrong; an empty string for a whole video."""
    seen: list[Frame] = []
    try:
        with open_video(path) as video:
            for frame in video:
                seen.append(frame)
    except VideoError as error:
        return seen, str(error)
    return seen, ""


SECONDS = [index / 30 for index in range(60)]


@pytest.mark.parametrize("sound", [None, "aac"])
@pytest.mark.parametrize("ending", ["mkv", "mp4", "mov", "ts", "flv", "nut", "avi"])
def test_a_whole_video_that_starts_late(film: Film, tmp_path: Path, ending: str, sound: str | None) -> None:
    path = film(tmp_path / f"a.{ending}", SECONDS, noisy, sound, start_s=5, crf=18)
    seen, fault = fault_of(path)
    assert fault == "" and len(seen) == 60
    if ending != "avi":  # it knows no timestamps
        np.testing.assert_allclose(np.diff([frame.time_s for frame in seen]), 1 / 30, atol=2e-3)
        assert seen[0].time_s == pytest.approx(0, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("fraction", [0.5, 0.8])
@pytest.mark.parametrize("start_s", [0, 5])
@pytest.mark.parametrize("sound", [None, "aac"])
@pytest.mark.parametrize(
    ("ending", "flags"),
    [
        ("mkv", None),
        ("mp4", "faststart"),
        ("mp4", "frag_keyframe+empty_moov"),
        ("flv", None),
    ],
)
def test_a_video_broken_off(
    film: Film,
    tmp_path: Path,
    ending: str,
    flags: str | None,
    sound: str | None,
    start_s: int,
    fraction: float,
) -> None:
    options = {"movflags": flags} if flags else {}
    path = film(tmp_path / f"a.{ending}", SECONDS, noisy, sound, options, start_s, crf=18)
    path.write_bytes(path.read_bytes()[: int(fraction * path.stat().st_size)])
    seen, fault = fault_of(path)
    assert 15 < len(seen) < 60 and "is damaged: " in fault and "get a whole copy" in fault
    if not (flags or "").startswith("frag"):
        assert f"it ends at {seen[-1].time_s:.1f} s of 2.0 s" in fault


def test_a_video_without_its_index_says_so(film: Film, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", SECONDS, noisy)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    seen, fault = fault_of(path)
    assert not seen and "it is cut short, its index is missing; get a whole copy" in fault


@pytest.fixture
def damaged(film: Film, tmp_path: Path, portrait: np.ndarray) -> Callable[..., Path]:
    """Return a function that makes a video of a moving portrait and overwrites 600 bytes inside it."""
    small = portrait[::2, ::2]

    def make(ending: str, place: float) -> Path:
        name = tmp_path / f"{ending}_{place}.{ending}"
        path = film(name, SECONDS, lambda index: np.roll(small, 3 * index, axis=1), crf=20)
        data = bytearray(path.read_bytes())
        start = int(place * len(data))
        data[start : start + 600] = np.random.default_rng(0).bytes(600)
        path.write_bytes(data)
        return path

    return make


@pytest.mark.parametrize("place", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("ending", ["mp4", "ts"])
def test_damage_inside_is_noticed(damaged: Callable[..., Path], ending: str, place: float) -> None:
    seen, fault = fault_of(damaged(ending, place))
    assert len(seen) > 50 and "is damaged: " in fault
    assert re.search(r"\d+ damaged (frames? w\w+ filled in|packets? w\w+ left out)", fault)
    numbers = [frame.index for frame in seen if frame.damaged]
    if numbers:  # those that build on a damaged one are, too: to the next key frame, every fifth
        assert f"{len(numbers)} damaged frame" in fault and len(numbers) < 20
        assert numbers == list(range(numbers[0], numbers[-1] + 1))


def test_only_damage_in_what_was_read_is_told(damaged: Callable[..., Path]) -> None:
    path = damaged("mp4", 0.7)
    with open_video(path) as video:
        assert len(list(video.between(0, 1.0))) == 30 and not video.reached_end
    with open_video(path) as video, pytest.raises(VideoError, match="damaged"):
        list(video.between(1.0, 1.9))


def test_a_part_of_a_video(film: Film, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", EVEN)
    with open_video(path) as video:
        part = list(video.between(0.2, 0.4))
    assert [frame.index for frame in part] == list(range(6, 12))
    assert part[0].time_s == pytest.approx(0.2) and part[0].pixels[:, 32:].mean() == pytest.approx(68, abs=3)
    with open_video(path) as video, pytest.raises(VideoError, match=r"no frame in the chosen time.* 0\.6 s"):
        list(video.between(9.0))


def test_a_damaged_picture_of_motion_jpeg(film: Film, tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuvj420p"
        for index in range(20):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(noisy(index), format="rgb24")))
        file.mux(stream.encode(None))
    assert fault_of(path)[1] == ""
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = np.random.default_rng(0).bytes(300)
    path.write_bytes(data)
    seen, fault = fault_of(path)
    assert len(seen) == 19 and "1 damaged packet was left out" in fault


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    class Stream:
        disposition = av.stream.Disposition.attached_pic

    class Container:
        class streams:  # noqa: N801
            video = (Stream(),)

    assert reading._video_streams(Container()) == []


def test_a_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading.sys, "platform", "made up")
    with pytest.raises(InputError, match="expected a camera on"):
        Source.camera(0)
    monkeypatch.setitem(reading.CAMERAS, "made up", ("lavfi", "testsrc=size=80x60:rate=10:duration={}"))
    source = Source.camera(2)
    assert source.stem == "camera" and "camera" in source.title
    with open_video(source) as video:
        assert video.frames is None and video.duration_s is None
        frames = list(video)
    assert len(frames) == 20 and frames[0].pixels.shape == (60, 80, 3)
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(20) / 10, atol=1e-6)


def test_a_camera_that_is_not_there() -> None:
    with pytest.raises(VideoError, match="cannot open camera"):
        frames_of(Source("/dev/video99", "v4l2"))

"""A whole video: the generator, the files, what is kept when it ends early; the command."""

import re
from collections.abc import Callable
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from facegeom.cli.root import app
from facegeom.errors import InputError, OutputError
from facegeom.video import FrameAnalyzer, Source, VideoError, analyze_video, reading
from facegeom.video.run import run_video
from facegeom.video.table import read_table

Film = Callable[..., Path]
BOX = [10.0, 10, 40, 40]
UNEVEN = [0, 0.04, 0.05, 0.3, 0.31, 0.5, 0.62, 0.8]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file()) if folder.exists() else []


def times_of(path: Path) -> list[float]:
    with av.open(str(path)) as file:
        return [frame.time for frame in file.decode(video=0)]


def packets_of(path: Path) -> list[tuple[float, bytes]]:
    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        packets = [packet for packet in file.demux(stream) if packet.dts is not None]
        return [(float(packet.pts * packet.time_base), bytes(packet)) for packet in packets]


def test_the_generator_gives_every_frame(film: Film, tmp_path: Path, scene: Any) -> None:
    scene.boxes = [BOX]
    seen = list(analyze_video(film(tmp_path / "a.mp4", UNEVEN), scene, detect_every=3))
    assert [frame for frame, _, _ in seen] == list(range(8))
    np.testing.assert_allclose([time_s for _, time_s, _ in seen], UNEVEN, atol=1e-4)
    assert all(tracked.ids.tolist() == [0] for _, _, tracked in seen) and scene.searches == 3


def test_files_of_a_run(film: Film, tmp_path: Path, scene: Any) -> None:
    scene.boxes = [BOX]
    path = film(tmp_path / "talk.mp4", UNEVEN, sound="aac")
    summary = run_video(Source(str(path)), tmp_path / "out", FrameAnalyzer(scene))
    assert (summary.frames, summary.rows, summary.track_ids, summary.fault) == (8, 8, {0}, None)
    assert names(tmp_path / "out") == ["talk.frames.parquet", "talk.overlay.mp4", "talk.parquet"]
    columns, about = read_table(tmp_path / "out/talk.parquet")
    assert about["frames"] == "8" and columns["frame"].tolist() == list(range(8))
    np.testing.assert_allclose(times_of(tmp_path / "out/talk.overlay.mp4"), UNEVEN, atol=1e-4)


@pytest.mark.parametrize(("sound", "ending", "kept"), [("aac", "mp4", "mp4"), ("pcm_s16le", "mkv", "mkv")])
def test_sound_is_copied(film: Film, tmp_path: Path, scene: Any, sound: str, ending: str, kept: str) -> None:
    path = film(tmp_path / f"talk.{ending}", UNEVEN, sound=sound)
    run_video(Source(str(path)), tmp_path / "out", FrameAnalyzer(scene))
    before, after = packets_of(path), packets_of(tmp_path / f"out/talk.overlay.{kept}")
    assert [packet for _, packet in before] == [packet for _, packet in after] and len(before) > 9
    np.testing.assert_allclose([t for t, _ in before], [t for t, _ in after], atol=2e-3)


def test_sound_of_a_late_clock_stays_with_the_pictures(film: Film, tmp_path: Path, scene: Any) -> None:
    path = film(tmp_path / "a.ts", [0, 0.1, 0.2, 0.3, 0.4], sound="aac", start_s=9)
    run_video(Source(str(path)), tmp_path / "out", FrameAnalyzer(scene))
    with av.open(str(path)) as file:
        start_s = file.start_time / 1e6
    assert start_s == pytest.approx(9, abs=0.1)
    after = [t for t, _ in packets_of(tmp_path / "out/a.overlay.mp4")]
    np.testing.assert_allclose(after, [t - start_s for t, _ in packets_of(path)], atol=2e-3)
    first = times_of(tmp_path / "out/a.overlay.mp4")[0]
    assert first == pytest.approx(next(analyze_video(path, scene)).time_s, abs=2e-3)


def test_the_overlay_has_the_colours_and_the_size_of_the_video(
    film: Film, tmp_path: Path, scene: Any
) -> None:
    colours = np.zeros((720, 1280, 3), np.uint8)
    colours[:, :320], colours[:, 320:640], colours[:, 640:960] = (200, 40, 40), (40, 200, 40), (40, 40, 200)
    path = film(tmp_path / "a.mp4", [0, 0.1], lambda index: colours)
    run_video(Source(str(path)), tmp_path / "out", FrameAnalyzer(scene))
    with reading.open_video(path) as video, reading.open_video(tmp_path / "out/a.overlay.mp4") as overlay:
        before, after = next(iter(video)).pixels, next(iter(overlay)).pixels
    assert after.shape == (720, 1280, 3)
    for x in (160, 480, 800, 1120):
        np.testing.assert_allclose(after[360, x].astype(int), before[360, x], atol=6)


def test_faces_are_drawn(film: Film, tmp_path: Path, scene: Any) -> None:
    scene.boxes = [[40.0, 40, 120, 140]]
    path = film(tmp_path / "a.mp4", [0, 0.1], lambda index: np.full((180, 240, 3), 90, np.uint8))
    run_video(Source(str(path)), tmp_path / "out", FrameAnalyzer(scene))
    with reading.open_video(tmp_path / "out/a.overlay.mp4") as overlay:
        pixels = next(iter(overlay)).pixels
    changed = np.abs(pixels.astype(int) - 90).max(axis=2) > 20
    assert changed[35:145, 35:125].any() and not changed[:, 170:].any()


def test_a_video_cut_short_keeps_what_was_done(film: Film, tmp_path: Path, scene: Any) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 48, 64, 3), dtype=np.uint8)
    path = film(
        tmp_path / "a.mp4", [i / 30 for i in range(90)], lambda i: noise[i], options={"movflags": "faststart"}
    )
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    summary = run_video(Source(str(path)), tmp_path / "out", FrameAnalyzer(scene))
    assert summary.fault and "is damaged" in summary.fault and 20 < summary.frames < 90
    assert len(times_of(tmp_path / "out/a.overlay.mp4")) == summary.frames
    assert read_table(tmp_path / "out/a.parquet")[1]["frames"] == str(summary.frames)


def test_ctrl_c_keeps_what_was_done(film: Film, tmp_path: Path, scene: Any) -> None:
    def stop(video: object, frame: reading.Frame) -> None:
        if frame.index == 3:
            raise KeyboardInterrupt

    path = film(tmp_path / "a.mp4", UNEVEN)
    summary = run_video(Source(str(path)), tmp_path / "out", FrameAnalyzer(scene), on_frame=stop)
    assert summary.frames == 4 and summary.fault == "stopped by the keyboard"
    assert len(times_of(tmp_path / "out/a.overlay.mp4")) == 4


def test_another_error_leaves_nothing_behind(film: Film, tmp_path: Path, scene: Any) -> None:
    def fail(video: object, frame: reading.Frame) -> None:
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError):
        run_video(
            Source(str(film(tmp_path / "a.mp4", UNEVEN))),
            tmp_path / "out",
            FrameAnalyzer(scene),
            on_frame=fail,
        )
    assert names(tmp_path / "out") == []


def test_a_place_that_cannot_be_written(film: Film, tmp_path: Path, scene: Any) -> None:
    (tmp_path / "out/a.overlay.mp4").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"cannot write .*a\.overlay\.mp4"):
        run_video(Source(str(film(tmp_path / "a.mp4", UNEVEN))), tmp_path / "out", FrameAnalyzer(scene))
    assert names(tmp_path / "out") == []


def run(*arguments: object) -> tuple[int, str, str]:
    """Return the exit code, stdout and stderr."""
    result = CliRunner().invoke(app, ["video", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


@pytest.fixture
def networks(scene: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Replace the networks by the scene; ``scene.built`` records the options."""

    def build(device: str, options: dict[str, Any], tracking: dict[str, Any]) -> FrameAnalyzer:
        scene.built = {"device": device, **options}
        return FrameAnalyzer(scene, **tracking)

    monkeypatch.setattr("facegeom.cli.video.load_analyzer", build)
    return scene


def test_the_command(networks: Any, film: Film, tmp_path: Path) -> None:
    networks.boxes = [BOX]
    path = film(tmp_path / "a.mp4", UNEVEN)
    code, printed, reported = run(
        path, "-o", tmp_path / "out", "--no-overlay", "--detect-every", 2, "--min-face", 9
    )
    assert (code, reported) == (0, "")
    assert re.match(r"8 frames, 0\.0 to 0\.8 s, 1 face tracked, 8 rows; wrote .*a\.parquet\n$", printed)
    assert names(tmp_path / "out") == ["a.frames.parquet", "a.parquet"]
    assert networks.searches == 4 and networks.built["min_face"] == 9


def test_seconds_end_a_run(networks: Any, film: Film, tmp_path: Path) -> None:
    code, printed, _ = run(film(tmp_path / "a.mp4", UNEVEN), "-o", tmp_path / "out", "--seconds", 0.31)
    assert code == 0 and printed.startswith("4 frames")


def test_a_camera_by_the_command(networks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        reading.CAMERAS, reading.sys.platform, ("lavfi", "testsrc=size=81x61:rate=10:duration={}")
    )
    code, printed, _ = run("--camera", 1, "-o", tmp_path)
    assert code == 0 and printed.startswith("10 frames")
    assert names(tmp_path) == ["camera.frames.parquet", "camera.overlay.mp4", "camera.parquet"]
    with reading.open_video(tmp_path / "camera.overlay.mp4") as overlay:
        assert next(iter(overlay)).pixels.shape == (60, 80, 3)  # H.264 in MP4 takes even sizes


def test_metadata_say_how_the_numbers_came(networks: Any, film: Film, tmp_path: Path) -> None:
    networks.boxes, networks.fov_deg = [BOX], 70.0
    run(film(tmp_path / "a.mp4", UNEVEN), "-o", tmp_path, "--no-overlay", "--no-smooth")
    for name in ("a.parquet", "a.frames.parquet"):
        about = read_table(tmp_path / name)[1]
        assert about["source"].endswith("a.mp4") and about["version"] == version("facegeom")
        assert (about["width"], about["height"], about["smoothing"]) == ("64", "48", "none")
        assert (about["fov_deg"], about["fov_source"]) == ("50.0", "assumed")  # of the faces themselves
        assert (about["frames"], about["start_s"], about["seconds"]) == ("8", "0.0", "0.8")


def test_every_frame_is_in_a_table(networks: Any, film: Film, tmp_path: Path) -> None:
    run(film(tmp_path / "a.mp4", UNEVEN), "-o", tmp_path, "--no-overlay")
    columns, about = read_table(tmp_path / "a.frames.parquet")
    assert columns["frame"].tolist() == list(range(8)) and not columns["faces"].any()
    assert about["smoothing"] == "kalman" and len(read_table(tmp_path / "a.parquet")[0]["id"]) == 0


def test_tables_as_csv(networks: Any, film: Film, tmp_path: Path) -> None:
    networks.boxes = [BOX]
    path = film(tmp_path / "a.mp4", UNEVEN)
    code, _, _ = run(path, "-o", tmp_path / "out", "--no-overlay", "--format", "csv")
    assert code == 0 and names(tmp_path / "out") == ["a.csv", "a.frames.csv"]
    assert len((tmp_path / "out/a.csv").read_text().splitlines()) == 9
    run(path, "-o", tmp_path / "both", "--no-overlay", "--format", "parquet, csv")
    assert names(tmp_path / "both") == ["a.csv", "a.frames.csv", "a.frames.parquet", "a.parquet"]
    code, _, reported = run(path, "-o", tmp_path / "none", "--format", "xlsx")
    assert code == 2 and "expected some of parquet,csv" in reported


def test_animations(networks: Any, film: Film, tmp_path: Path) -> None:
    networks.boxes = [BOX]
    path = film(tmp_path / "a.mp4", UNEVEN)
    code, printed, _ = run(path, "-o", tmp_path / "out", "--no-overlay", "--format", "livelink,glb,bvh")
    assert code == 0 and names(tmp_path / "out") == ["a.bvh", "a.glb", "a.livelink.csv"]
    assert len((tmp_path / "out/a.livelink.csv").read_text().splitlines()) == 9
    assert (tmp_path / "out/a.glb").read_bytes().startswith(b"glTF")
    assert all(f"a.{ending}" in printed for ending in ("bvh", "glb", "livelink.csv"))


def test_a_part_of_a_video(networks: Any, film: Film, tmp_path: Path) -> None:
    networks.boxes = [BOX]
    path = film(tmp_path / "a.mp4", UNEVEN)
    code, printed, _ = run(path, "-o", tmp_path / "out", "--start", 0.3, "--seconds", 0.3)
    assert code == 0 and printed.startswith("3 frames, 0.3 to 0.5 s, 1 face tracked, 3 rows")
    columns, about = read_table(tmp_path / "out/a.parquet")
    assert columns["frame"].tolist() == [3, 4, 5] and about["start_s"] == "0.3"
    np.testing.assert_allclose(columns["time_s"], [0.3, 0.31, 0.5], atol=1e-3)
    np.testing.assert_allclose(times_of(tmp_path / "out/a.overlay.mp4"), [0, 0.01, 0.2], atol=1e-3)
    seen = list(analyze_video(path, networks, start=0.3, seconds=0.3))
    assert [one.frame for one in seen] == [3, 4, 5]
    code, _, reported = run(path, "-o", tmp_path / "late", "--start", 9)
    assert code == 1 and "chosen time; its last one is at 0.8 s" in reported
    code, _, reported = run(path, "-o", tmp_path / "late", "--start", 0.1, "--seconds", 0.1)
    assert code == 1 and "chosen time; its next one is at 0.3 s" in reported and not names(tmp_path / "late")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seconds", "0"], "expected more than 0 seconds, got 0"),
        (["--seconds", "-2"], "expected more than 0 seconds, got -2"),
        (["--seconds", "nan"], "expected more than 0 seconds, got nan"),
        (["--start", "-1"], "expected 0 or more seconds, got -1"),
    ],
)
def test_times_that_cannot_be(
    networks: Any, film: Film, tmp_path: Path, arguments: list[str], message: str
) -> None:
    path = film(tmp_path / "a.mp4", UNEVEN)
    code, _, reported = run(path, "-o", tmp_path / "out", *arguments)
    assert code == 2 and message in reported.replace("│ ", "") and names(tmp_path / "out") == []
    times = {arguments[0].removeprefix("--"): float(arguments[1])}
    with pytest.raises(InputError, match=message):
        analyze_video(path, networks, **times)  # before the first frame is asked for


def test_what_is_no_video_is_told_at_once(networks: Any, film: Film, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"nope\.mp4"):
        analyze_video("nope.mp4", networks)
    for bad in ({"start": "0"}, {"seconds": "5"}, {"detect_every": "3"}):
        with pytest.raises(InputError, match=f"{next(iter(bad))}: expected"):
            analyze_video("nope.mp4", networks, **bad)


def test_several_videos_of_which_one_fails(networks: Any, film: Film, tmp_path: Path) -> None:
    networks.boxes = [BOX]
    first, last = film(tmp_path / "a.mp4", UNEVEN), film(tmp_path / "b.mkv", UNEVEN[:3])
    (tmp_path / "notes.mp4").write_text("no video")
    code, printed, reported = run(first, tmp_path / "notes.mp4", last, first, "-o", tmp_path / "out")
    assert code == 1 and [line.split(",")[0] for line in printed.splitlines()] == ["8 frames", "3 frames"]
    assert reported.startswith("error: cannot open") and "notes.mp4" in reported
    assert {name.split(".")[0] for name in names(tmp_path / "out")} == {"a", "b"}
    for name in ("a", "b"):  # each begins anew
        assert set(read_table(tmp_path / f"out/{name}.parquet")[0]["id"]) == {0}


def test_videos_that_differ_in_the_ending_only(networks: Any, film: Film, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    paths = [film(tmp_path / name, UNEVEN[:2]) for name in ("a.mp4", "a.mkv", "other/a.mp4")]
    assert run(*paths, "-o", tmp_path / "out", "--no-overlay")[0] == 0
    stems = {name.removesuffix(".parquet").removesuffix(".frames") for name in names(tmp_path / "out")}
    assert stems == {"a", "a.mkv", "a.mp4"}


def test_ctrl_c_ends_all(networks: Any, film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(self: FrameAnalyzer, frame: reading.Frame) -> Any:
        if frame.index == 2:
            raise KeyboardInterrupt
        return analyze(self, frame)

    analyze = FrameAnalyzer.__call__
    monkeypatch.setattr(FrameAnalyzer, "__call__", stop)
    paths = [film(tmp_path / name, UNEVEN) for name in ("a.mp4", "b.mp4")]
    code, printed, reported = run(*paths, "-o", tmp_path / "out", "--no-overlay")
    assert code == 130 and printed.startswith("2 frames") and len(printed.splitlines()) == 1
    assert "stopped by the keyboard; the frames before that were kept" in reported


def test_failures_of_the_command(networks: Any, film: Film, tmp_path: Path) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "photo.jpg")
    path = film(tmp_path / "a.mp4", UNEVEN)
    for arguments, code, message in (
        ([], 2, "expected a video, or --camera N"),
        ([path, "--camera", 0], 2, "one of the two"),
        ([tmp_path / "none.mp4"], 1, "no such file"),
        ([tmp_path / "photo.jpg"], 1, "photos go to `analyze`"),
        ([path, "--detect-every", 0], 2, "--detect-every"),
        ([path, "-o", path], 2, "expected a folder, got"),
        ([path, "-o", tmp_path / "drawn.mp4"], 2, "expected a folder, got"),
    ):
        found, _, reported = run("-o", tmp_path / "out", *arguments)
        assert found == code and message in reported
    assert names(tmp_path / "out") == []


def test_a_damaged_video_is_told(networks: Any, film: Film, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 48, 64, 3), dtype=np.uint8)
    path = film(
        tmp_path / "a.mp4", [i / 30 for i in range(90)], lambda i: noise[i], options={"movflags": "faststart"}
    )
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    code, printed, reported = run(path, "-o", tmp_path / "out", "--no-overlay")
    assert code == 1 and "frames, 0.0 to 1." in printed
    assert "is damaged: " in reported and "the frames before that were kept" in reported


def test_damage_inside_is_told(networks: Any, film: Film, tmp_path: Path, portrait: np.ndarray) -> None:
    small = portrait[::2, ::2]
    times = [index / 30 for index in range(60)]
    path = film(tmp_path / "a.mp4", times, lambda index: np.roll(small, 3 * index, axis=1), crf=20)
    assert run(path, "-o", tmp_path / "whole", "--no-overlay")[0] == 0
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 600] = np.random.default_rng(0).bytes(600)
    path.write_bytes(data)
    code, printed, reported = run(path, "-o", tmp_path / "out", "--no-overlay")
    assert code == 1 and printed.startswith("60 frames")
    number = re.search(r"is damaged: (\d+) damaged frames were filled in by the decoder", reported)
    assert number and "all frames that could be read were kept" in reported
    assert read_table(tmp_path / "out/a.frames.parquet")[0]["damaged"].sum() == int(number[1]) > 0


def test_names_of_videos_that_other_files_would_take(
    networks: Any, tmp_path: Path, film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [film(tmp_path / name, UNEVEN) for name in ("talk.mp4", "Talk.mkv", "talk.frames.mp4")]
    code, _, reported = run(*paths, "-o", tmp_path / "out", "--no-overlay")
    assert code == 0, reported
    stems = ("Talk.mkv", "talk", "talk.frames.mp4")
    assert names(tmp_path / "out") == sorted(
        f"{stem}.{part}parquet" for stem in stems for part in ("", "frames.")
    )


def test_no_frame_is_an_error(
    networks: Any, tmp_path: Path, film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading.Video, "_decode", lambda self: iter(()))
    with pytest.raises(VideoError, match="no frame could be read"):
        run_video(Source(str(film(tmp_path / "a.mp4", UNEVEN))), tmp_path / "out", FrameAnalyzer(networks))
    assert names(tmp_path / "out") == []


def test_the_portrait_with_the_real_networks(film: Film, tmp_path: Path) -> None:
    portrait = np.array(Image.open(str(files("facegeom") / "data" / "astronaut.jpg")).convert("RGB"))
    path = film(tmp_path / "a.mp4", [0, 0.1, 0.2], lambda index: np.roll(portrait, 4 * index, axis=1))
    code, printed, _ = run(path, "-o", tmp_path / "out", "--no-smooth")
    assert code == 0 and "1 face tracked, 3 rows" in printed
    columns, _ = read_table(tmp_path / "out/a.parquet")
    shift = np.diff(columns["landmarks_px"].mean(axis=1), axis=0)
    np.testing.assert_allclose(shift, [[4, 0], [4, 0]], atol=0.8)

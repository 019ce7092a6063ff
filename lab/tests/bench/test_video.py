"""Video: the clips, jitter and lag of points with known motion, and a small run beside a fake peer."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from facegeom import FaceAnalyzer, Faces
from facegeom.errors import InputError
from facegeom.geometry import transforms
from facegeom_lab.bench.video import clips, expressions
from facegeom_lab.bench.video.clips import jitter_percent, lag_frames
from facegeom_lab.bench.video.run import SKIPPED_FRAMES, VideoConfig, run_video_bench
from facegeom_lab.cli.bench import app


@pytest.fixture(scope="module")
def analyzed() -> Faces:
    """Return the portrait's face."""
    return FaceAnalyzer(threads=1)(clips.still(1, noise=0, seed=1).frames[0])


def test_a_still_clip_is_one_picture_with_noise() -> None:
    clip = clips.still(6, noise=8, seed=1)
    assert clip.frames.shape == (6, 360, 640, 3) and clip.frames.dtype == np.uint8
    grey = clip.frames[:, 100:200, 100:200].astype(float)
    assert grey.std(axis=0).mean() == pytest.approx(8 * 0.95, rel=0.1)  # of six values, biased
    np.testing.assert_array_equal(clip.frames, clips.still(6, noise=8, seed=1).frames)
    assert (clip.frames != clips.still(6, noise=8, seed=2).frames).mean() > 0.8


def test_the_maps_of_a_moving_clip_are_those_of_its_pictures() -> None:
    clip = clips.moving(25)
    np.testing.assert_allclose(clip.maps[0], np.eye(2, 3), atol=1e-9)
    y, x = np.mgrid[90:270:3, 230:410:3]
    points = np.stack([x.ravel(), y.ravel()], axis=1).astype(float)
    there = transforms.apply(clip.maps[24], points).round().astype(int)
    before, after = clip.frames[0][y.ravel(), x.ravel()], clip.frames[24][there[:, 1], there[:, 0]]
    assert np.abs(before.astype(int) - after).mean() < 6
    assert np.abs(before.astype(int) - clip.frames[24][y.ravel(), x.ravel()]).mean() > 20


def test_lag_is_measured_in_frames() -> None:
    maps, shift = np.tile(np.eye(2, 3), (90, 1, 1)), 40 * np.sin(np.arange(-3, 90) / 18)
    maps[:, 0, 2] = shift[3:]
    rest = np.random.default_rng(2).uniform(0, 99, (478, 2))
    truth = rest + maps[:, None, :, 2]
    late = truth + np.stack([shift[:-3] - shift[3:], np.zeros(90)], axis=1)[:, None]
    assert lag_frames(truth + 7, rest, maps) == pytest.approx(0, abs=1e-9)
    assert lag_frames(late, rest, maps) == pytest.approx(3, abs=0.15)
    late[20] = np.nan
    assert lag_frames(late, rest, maps) == pytest.approx(3, abs=0.15)


def test_jitter_is_a_percentage_of_the_eye_distance() -> None:
    rest = np.zeros((478, 2))
    rest[263] = 50, 0
    noise = np.random.default_rng(3).normal(size=(400, 478, 2))
    assert jitter_percent(rest + noise) == pytest.approx(100 * np.sqrt(2) / 50, rel=0.02)


def test_the_depth_of_blinks_is_measured() -> None:
    time_s = np.arange(150) / clips.RATE
    closed = expressions.blinks(time_s)
    assert closed.max() > 0.9 and 10 < np.count_nonzero(closed) < 20
    np.testing.assert_allclose(expressions.kept_depths(closed, 0.3 * (1 - 0.7 * closed), 0.3), 0.7)


def test_lids_are_shut_by_a_fraction(analyzed: Faces) -> None:
    half, whole = (expressions.shut(analyzed, fraction, expressions.LIDS) for fraction in (0.5, 1.0))
    np.testing.assert_allclose(half.eye_open, analyzed.eye_open / 2, atol=0.03)
    assert whole.eye_open.max() < 0.03
    assert expressions.shut(analyzed, 1.0, expressions.LIPS).mouth_open.max() < 0.01


@pytest.mark.slow
def test_a_small_run(fake_peers: dict[str, Path], tmp_path: Path) -> None:
    shown = []
    report = run_video_bench(
        tmp_path,
        FaceAnalyzer(threads=1),
        {"mediapipe": fake_peers["mediapipe"]},
        VideoConfig(32, 1),
        shown.append,
    )
    speed, steady, quick = report.tables
    assert shown == report.tables
    ours, every, theirs = ({name: row[i] for i, name in enumerate(speed.columns)} for row in speed.rows)
    assert [row["system"] for row in (ours, every, theirs)] == ["facegeom, one face", "facegeom", "mediapipe"]
    assert ours["frames with a face, %"] == theirs["frames with a face, %"] == 100
    ratio = ours["frames per second"] / theirs["frames per second"]
    assert ours["ratio, ours / this"] == 1 and theirs["ratio, ours / this"] == pytest.approx(ratio)
    rows = {row[0]: row[1:] for row in steady.rows}
    assert rows["mediapipe"][0] == pytest.approx(0, abs=1e-9)  # the fake peer always finds the same mesh
    assert 0 < rows["facegeom"][0] < rows["facegeom, --no-smooth"][0]
    kept = {row[0]: row[1] for row in quick.rows}
    assert 80 < kept["blinks of 100 ms, the worst"] <= kept["blinks of 100 ms, mean"] < 110
    assert 85 < kept["lips, 3 times a second"] < 110 and 85 < kept["lips, 6 times a second"] < 110
    assert json.loads((tmp_path / "video.json").read_text())["title"] == "facegeom bench video"


@pytest.mark.slow
def test_without_a_peer(tmp_path: Path) -> None:
    report = run_video_bench(tmp_path, FaceAnalyzer(threads=1), {}, VideoConfig(2 * SKIPPED_FRAMES + 1, 1))
    assert [row[0] for row in report.tables[0].rows] == ["facegeom, one face", "facegeom"]


@pytest.mark.parametrize(("peers", "frames"), [({"mtcnn": None}, 100), ({}, 2 * SKIPPED_FRAMES)])
def test_bad_arguments(tmp_path: Path, peers: dict[str, None], frames: int) -> None:
    with pytest.raises(InputError, match="expected"):
        run_video_bench(tmp_path, None, peers, VideoConfig(frames, 1))
    assert list(tmp_path.iterdir()) == []


def test_the_command_has_an_example() -> None:
    shown = CliRunner().invoke(app, ["video", "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0 and "Example: facegeom bench video -o results" in shown.output

"""Run each example on the portrait as its documentation says."""

import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import trimesh
from PIL import Image
from receivers import Receiver, VmcAvatar

EXAMPLES = Path(__file__).parents[2] / "examples"
PORTRAIT = Path(str(files("facegeom") / "data" / "astronaut.jpg"))

sys.path.insert(0, str(EXAMPLES))  # the examples import one another as scripts of one folder

import avatar  # noqa: E402
import blink  # noqa: E402
import driver_attention  # noqa: E402
import mask_texture  # noqa: E402
import print_mask  # noqa: E402
import turning_head  # noqa: E402
import warp  # noqa: E402
from facegeom import Face, FaceAnalyzer, Faces  # noqa: E402
from facegeom.geometry.rotation import rotation_from_angles, rotation_to_line_of_sight  # noqa: E402
from facegeom.video import Frame, FrameFaces, TrackedFaces, VideoError, analyze_video  # noqa: E402
from facegeom.video.table import FACES, open_table  # noqa: E402


@pytest.fixture(scope="module")
def face() -> Face:
    return FaceAnalyzer(threads=1)(PORTRAIT)[0]


def example(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, EXAMPLES / f"{name}.py", *arguments]
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)


def test_a_warp_onto_itself_changes_nothing(face: Face) -> None:
    photo, points = Image.open(PORTRAIT).convert("RGB"), face.mesh_px[:, :2]
    layer = np.asarray(warp.warp(photo, points, points, photo.size, warp.filled()), int)
    covered = layer[..., 3] == 255
    assert covered.sum() > 5000
    off, aside = (
        np.abs(layer[covered][:, :3] - np.roll(photo, shift, axis=1)[covered]).mean() for shift in (0, 1)
    )
    assert off < 3 and off < 0.5 * aside  # what is left is the softening of two resamplings


def test_face_paint_on_a_photo(face: Face, tmp_path: Path) -> None:
    done = example("mask_texture", PORTRAIT, "-o", tmp_path / "tiger.png")
    assert (done.returncode, done.stderr) == (0, "")
    before, after = (
        np.asarray(Image.open(p).convert("RGB"), int) for p in (PORTRAIT, tmp_path / "tiger.png")
    )
    changed = np.abs(after - before).max(axis=2) > 3
    left, top, right, bottom = face.box_xyxy.astype(int)
    assert changed[top:bottom, left:right].mean() > 0.5
    outside = changed.copy()
    outside[top - 10 : bottom + 20, left - 20 : right + 20] = False
    assert not outside.any()
    iris = face.mesh_px[[468, 473], :2].round().astype(int)
    np.testing.assert_array_equal(after[iris[:, 1], iris[:, 0]], before[iris[:, 1], iris[:, 0]])


def test_face_paint_of_ones_own(tmp_path: Path) -> None:
    Image.new("RGBA", (64, 64), (0, 0, 255, 255)).save(tmp_path / "blue.png")
    done = example("mask_texture", PORTRAIT, "--texture", tmp_path / "blue.png", "-o", tmp_path / "out.png")
    assert (done.returncode, done.stderr) == (0, "")
    red, _, blue = np.asarray(Image.open(tmp_path / "out.png"))[121, 224].astype(int)
    assert blue > red + 100


def test_face_paint_leaves_a_photo_without_a_face(face: Face) -> None:
    pixels = np.asarray(Image.open(PORTRAIT).convert("RGB"))[300:]
    assert mask_texture.lay_over(pixels, face, Image.new("RGBA", (9, 9))) is pixels


def test_face_paint_on_a_video(tmp_path: Path) -> None:
    turning_head.write_clip(tmp_path / "clip.mp4", 0.3)
    mask_texture.paint_video(tmp_path / "clip.mp4", tmp_path / "tiger.mp4", mask_texture.tiger())
    first, *rest = [
        [
            frame.to_ndarray(format="rgb24").astype(int)
            for frame in av.open(str(tmp_path / name)).decode(video=0)
        ]
        for name in ("clip.mp4", "tiger.mp4")
    ]
    assert len(first) == len(rest[0]) == 3
    for before, after in zip(first, rest[0], strict=True):
        assert (np.abs(after - before).max(axis=2) > 40).sum() > 3000


def test_the_printed_mask_is_a_solid(tmp_path: Path) -> None:
    done = example("print_mask", PORTRAIT, "-o", tmp_path, "--thickness", 3)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mask.mtl", "mask.obj", "mask.png", "preview.jpg"]
    mask = trimesh.load(tmp_path / "mask.obj", process=False, maintain_order=True)
    assert mask.vertices.shape == (936, 3) and mask.visual.uv.shape == (936, 2)
    assert mask.is_watertight and mask.is_winding_consistent and mask.volume > 0
    width, height, depth = mask.extents
    assert 120 < width < 190 and 140 < height < 220 and 60 < depth < 150  # millimetres
    apart = np.linalg.norm(mask.vertices[:468] - mask.vertices[468:], axis=1)
    np.testing.assert_allclose(apart, 3, atol=0.01)
    assert mask.vertices[4, 2] > mask.vertices[:468, 2].max() - 5  # the nose points to the viewer


def test_the_masks_texture_shows_the_face(face: Face) -> None:
    pixels = np.asarray(Image.open(PORTRAIT).convert("RGB"))
    texture = np.asarray(print_mask.skin(pixels, face))
    for index in (4, 50, 280, 199):  # the tip of the nose, the cheeks, near the chin
        x, y = np.clip(warp.texture_px()[index].round().astype(int), 0, warp.TEXTURE_PX - 1)
        there = face.mesh_px[index, :2].round().astype(int)
        assert np.abs(texture[y, x, :3].astype(int) - pixels[there[1], there[0]]).max() < 40


def test_the_head_turns(face: Face) -> None:
    analyzer, pixels = FaceAnalyzer(threads=1), np.asarray(Image.open(PORTRAIT).convert("RGB"))
    yaws = [analyzer(turning_head.rotate_face(pixels, face, yaw))[0].yaw_deg for yaw in (-35, 0, 35)]
    assert yaws[0] < yaws[1] - 15 and yaws[2] > yaws[1] + 15


def watched(yaws: list[float | None], rate: float = 10) -> driver_attention.Driver:
    """Return a driver whose head had these yaws; None stands for a frame without a face."""
    driver = driver_attention.Driver()
    for index, yaw in enumerate(yaws):
        driver.watch(index / rate, None if yaw is None else rotation_from_angles(yaw, -20, 0))
    return driver


@pytest.mark.parametrize(
    ("yaws", "alarms"),
    [
        ([5.0] * 50, []),
        ([5.0] * 20 + [45.0] * 15 + [5.0] * 20, []),
        ([5.0] * 20 + [45.0] * 30 + [5.0] * 20, [(2.0, 4.9)]),
        ([5.0] * 20 + [-40.0] * 10 + [None] * 15 + [5.0] * 9, [(2.0, 4.4)]),
        ([5.0] * 20 + [45.0] * 15 + [5.0] + [45.0] * 15, []),
        ([5.0] * 20 + ([45.0] * 25 + [5.0] * 5) * 2, [(2.0, 4.4), (5.0, 7.4)]),
        ([None] * 40, []),
    ],
)
def test_when_the_alarm_sounds(yaws: list[float | None], alarms: list[tuple[float, float]]) -> None:
    assert watched(yaws).alarms == [pytest.approx(alarm) for alarm in alarms]


def test_the_drivers_angle_is_that_from_the_road() -> None:
    driver = watched([10.0] * 15 + [40.0] * 5)
    assert driver.away_deg[14] == pytest.approx(0, abs=1e-3)
    assert driver.away_deg[-1] == pytest.approx(28, abs=1.5)  # 30 degrees of yaw of a head that looks down


def test_a_driver_who_leans_aside_has_not_turned_away(faces: Faces) -> None:
    frames = []
    for index, x_mm in enumerate(np.linspace(0, 300, 30)):
        translation = np.array([x_mm, 0, 700])
        seen = rotation_to_line_of_sight(translation).T @ rotation_from_angles(10, -5, 0)
        leaned = replace(faces[:1], rotation=seen[None], translation_mm=translation[None])
        frames.append((index, index / 10, SimpleNamespace(faces=leaned)))
    driver = driver_attention.observe(driver_attention.from_video(frames))
    assert max(driver.away_deg) < 0.1
    assert abs(frames[-1][2].faces.yaw_deg[0] - frames[0][2].faces.yaw_deg[0]) > 20  # but it shows its side


@pytest.mark.slow
def test_attention_from_a_video_and_from_its_table(tmp_path: Path) -> None:
    turning_head.write_clip(tmp_path / "drive.mp4", 2.0)
    command = [
        sys.executable,
        "-m",
        "facegeom",
        "video",
        tmp_path / "drive.mp4",
        "-o",
        tmp_path,
        "--no-overlay",
    ]
    subprocess.run([*map(str, command)], check=True, capture_output=True)
    done = example("driver_attention", tmp_path / "drive.parquet", "-o", tmp_path / "plot.png")
    assert (done.returncode, done.stdout) == (0, "")
    assert Image.open(tmp_path / "plot.png").size == (880, 308)
    table = driver_attention.observe(driver_attention.from_table(tmp_path / "drive.parquet"))
    live = driver_attention.observe(driver_attention.from_video(analyze_video(tmp_path / "drive.mp4")))
    np.testing.assert_allclose(table.times_s, live.times_s, atol=1e-6)
    np.testing.assert_allclose(table.away_deg, live.away_deg, atol=0.05)
    assert max(table.away_deg[:12]) < 8 < driver_attention.AWAY_DEG < max(table.away_deg[-6:])


def test_a_sheet_of_aligned_crops(tmp_path: Path) -> None:
    done = example("aligned_crops", PORTRAIT, PORTRAIT, "-o", tmp_path / "sheet.png")
    assert (done.returncode, done.stderr) == (0, "")
    assert Image.open(tmp_path / "sheet.png").size == (4 * 224, 2 * 224)


def test_an_avatars_face_is_printed_and_sent(face: Face) -> None:
    done = example("avatar", PORTRAIT)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.count("\n") == 1
    assert f"head {face.yaw_deg:+.0f} {face.pitch_deg:+.0f} {face.roll_deg:+.0f}  gaze " in done.stdout
    receiver, drawn = Receiver(), VmcAvatar()
    done = example("avatar", PORTRAIT, "--send", f"vmc://127.0.0.1:{receiver.port}")
    for datagram in receiver.datagrams():
        drawn.take(datagram)
    receiver.close()
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "3 packets\n")
    assert drawn.shapes["MouthSmileLeft"] == pytest.approx(face.coefficients["mouthSmileLeft"], abs=0.02)


def test_an_avatars_face_from_a_video(tmp_path: Path) -> None:
    turning_head.write_clip(tmp_path / "clip.mp4", 0.3)
    frames = list(avatar.frames_of(tmp_path / "clip.mp4"))
    assert [frame.index for frame in frames] == [0, 1, 2] and all(frame.faces for frame in frames)


def blinks_of(openings: list[float], rate: float = 30) -> list[float]:
    """Return the times of blinks; each opening lasts 100 ms."""
    count = blink.BlinkCounter()
    for index, opening in enumerate(np.repeat(openings, 3)):
        count(index / rate, float(opening))
    return count.blinks_s


@pytest.mark.parametrize(
    ("openings", "times_s"),
    [
        ([0.3] * 40, []),
        ([0.3] * 10 + [0.1] + [0.3] * 9 + [0.1, 0.1] + [0.3] * 9, [1.0, 2.0]),
        ([0.3] * 10 + [0.1] * 10 + [0.3] * 20, []),  # shut for a second
        ([0.3] * 10 + [0.2] * 2 + [0.3] * 20, []),  # narrowed
        ([0.15] * 20 + [0.05] + [0.15] * 10, [2.0]),  # narrow eyes blink, too
    ],
)
def test_when_eyes_blink(openings: list[float], times_s: list[float]) -> None:
    assert blinks_of(openings) == pytest.approx(times_s)


def test_blinks_of_a_table_and_of_frames(tmp_path: Path, faces: Faces) -> None:
    """Of two faces the larger one blinks, the smaller one does not."""
    frames, lids = [], {160: 144, 159: 145, 158: 153, 387: 373, 386: 374, 385: 380}
    path = tmp_path / "talk.parquet"
    with open_table(path, FACES, {}) as table:
        for index in range(90):
            mesh = faces.mesh_mm[[1, 0]].copy()
            if index in (45, 46, 47):
                mesh[1, list(lids)] = mesh[1, list(lids.values())]
            two = replace(faces[[1, 0]], mesh_mm=mesh)
            frames.append(FrameFaces(index, index / 30, TrackedFaces(np.arange(2), two)))
            table.write(Frame(index, index / 30, np.zeros((2, 2, 3), np.uint8)), frames[-1].tracked)
    live, stored = list(blink.from_video(frames)), list(blink.from_table(path))
    np.testing.assert_allclose(live, stored, atol=1e-6)
    done = example("blink", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["   1.50 s  blink 1", "1 blinks, 20 a minute"]


def test_a_source_that_is_not_there() -> None:
    assert example("driver_attention").returncode == example("blink").returncode == 2
    with pytest.raises(VideoError, match="no such file"):
        next(analyze_video("none.mp4"))

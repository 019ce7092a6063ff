"""``facegeom detect`` as a user types it, with an FPNet of known answers."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from facegeom.cli.root import app
from facegeom.image.photo import open_photo
from facegeom.results import Poses


class Networks:
    """Replace the networks: a photo that is not black holds one head with 90° of roll."""

    built_with: dict[str, object]

    def __init__(self, **options: object) -> None:
        type(self).built_with = options

    def __call__(self, source: Path) -> Poses:
        photo = open_photo(source)
        width, height = photo.pyramid.size_wh
        if not photo.pyramid.pixels.any():
            return Poses.empty(width, height)
        rotation = np.array([[[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]])
        return Poses(np.array([[100, 60, 200, 160]]), np.array([0.9]), rotation, rotation, width, height)


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> type[Networks]:
    monkeypatch.setattr("facegeom.head_pose.PoseDetector", Networks)
    return Networks


def store(path: Path, value: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (320, 240), (value,) * 3).save(path)
    return path


def run(*arguments: object) -> tuple[int, str, str]:
    """Return the exit code, stdout and stderr."""
    result = CliRunner().invoke(app, ["detect", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["drawn.png", "drawn.jpg", "new/drawn.webp", "drawn.TIFF"])
def test_photo_to_a_file(networks: type[Networks], tmp_path: Path, name: str) -> None:
    code, printed, reported = run(store(tmp_path / "a.jpg"), tmp_path / "out" / name)
    assert (code, reported) == (0, "")
    assert printed.startswith(
        "yaw 0.0°, pitch 0.0°, roll 90.0°, score 0.90, box 100 60 200 160\n1 photo, 1 face"
    )
    assert tree(tmp_path / "out") == [name]
    picture = np.asarray(Image.open(tmp_path / "out" / name).convert("RGB")).astype(int)
    assert picture.shape == (240, 320, 3)
    red, green = picture[130, 150], picture[110, 125]  # the x axis points down, the y axis to the left
    assert red[0] - red[1:].max() > 60 and green[1] - green[[0, 2]].max() > 40
    assert abs(picture[230, 10] - 90).max() < 3


def test_photo_to_a_folder(networks: type[Networks], tmp_path: Path) -> None:
    photo = store(tmp_path / "a.gif")
    (tmp_path / "there").mkdir()
    for folder in ("there", "made"):
        code, _, _ = run(photo, tmp_path / folder)
        assert code == 0 and tree(tmp_path / folder) == ["a.jpg"]


def test_folder_keeps_its_shape_and_is_not_read_twice(networks: type[Networks], tmp_path: Path) -> None:
    album = tmp_path / "album"
    for name in ("b.JPG", "a.jpg", "trip/a.png"):
        store(album / name)
    store(album / "night.png", 0)
    for _ in range(2):
        code, printed, _ = run(album, album / "drawn")
        assert code == 0 and printed.startswith("4 photos, 3 faces, 0 failed")
    assert tree(album / "drawn") == ["a.jpg", "b.JPG", "night.png", "trip/a.png"]
    assert not np.asarray(Image.open(album / "drawn" / "night.png")).any()


def test_photos_that_differ_in_the_ending(networks: type[Networks], tmp_path: Path) -> None:
    for name in ("a.jpg", "a.gif", "b.gif"):
        store(tmp_path / "album" / name)
    for source in ("album", "album/*"):
        code, _, _ = run(tmp_path / source, tmp_path / "out")
        assert code == 0 and tree(tmp_path / "out") == ["a.gif.jpg", "a.jpg", "b.jpg"]


def test_picture_too_wide_for_its_format(networks: type[Networks], tmp_path: Path) -> None:
    Image.new("RGB", (17_000, 20), (90, 90, 90)).save(tmp_path / "pano.png")
    code, _, reported = run(tmp_path / "pano.png", tmp_path / "out/drawn.webp")
    assert code == 0 and "WEBP holds at most 16,383 a side" in reported
    assert Image.open(tmp_path / "out/drawn.webp").size == (16_383, 19)


def test_bad_photos_do_not_stop_the_rest(networks: type[Networks], tmp_path: Path) -> None:
    album = tmp_path / "album"
    store(album / "a.jpg")
    (album / "b.jpg").write_bytes(b"words")
    (album / "c.jpg").write_bytes((album / "a.jpg").read_bytes()[:700])
    code, printed, reported = run(album, tmp_path / "out")
    assert code == 1 and printed.startswith("3 photos, 1 face, 2 failed")
    assert "b.jpg" in reported and "not a picture" in reported and "damaged or cut short" in reported
    assert tree(tmp_path / "out") == ["a.jpg"]


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("album/a.jpg", "album", "is one of the photos"),
        ("album/a.jpg", "album/a.jpg", "is one of the photos"),
        ("album", "album", "is one of the photos"),
        ("album/a.jpg", "drawn.gif", "expected DEST to be a folder or an image ending in .jpg"),
        ("empty", "out", "expected photos in"),
        ("parent", "parent/only", "expected photos in"),
    ],
)
def test_bad_places(networks: type[Networks], tmp_path: Path, source: str, target: str, message: str) -> None:
    store(tmp_path / "album/a.jpg")
    store(tmp_path / "parent/only/a.jpg")
    (tmp_path / "empty").mkdir()
    before = tree(tmp_path)
    code, _, reported = run(tmp_path / source, tmp_path / target)
    assert code == 2 and message in reported
    assert tree(tmp_path) == before and (tmp_path / "album/a.jpg").stat().st_size < 5000


@pytest.mark.parametrize("spelling", ["--face_pose_net", "--face-pose-net"])
def test_options_in_both_spellings(networks: type[Networks], tmp_path: Path, spelling: str) -> None:
    between = spelling[6]
    limits = [f"--min{between}face", 40, f"--min{between}score", 0.5, "--threads", 1, "--fov", 60]
    limits += ["--max-faces", 3, "--orientation", "auto"]
    run(store(tmp_path / "a.jpg"), tmp_path / "b.jpg", spelling, "w.onnx", "--cuda", *limits)
    assert networks.built_with == {
        "face_pose_net": Path("w.onnx"),
        "device": "cuda",
        "min_face": 40,
        "min_score": 0.5,
        "threads": 1,
        "fov_deg": 60,
        "max_faces": 3,
        "orientation": "auto",
    }


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help(flag: str) -> None:
    code, printed, _ = run(flag)
    assert code == 0 and "Example: facegeom detect album/ directions/" in printed


# From here on: P-Net and R-Net as they ship.


def test_a_missing_network_leaves_nothing(tmp_path: Path) -> None:
    code, _, reported = run(
        store(tmp_path / "a.jpg"), tmp_path / "out", "--face_pose_net", tmp_path / "w.onnx"
    )
    assert code == 1 and "cannot load the network" in reported and tree(tmp_path) == ["a.jpg"]


def test_whole_command(tmp_path: Path, fpnet_file: Path) -> None:
    store(tmp_path / "album/wall.png")
    (tmp_path / "album/words.jpg").write_bytes(b"words")
    command = [sys.executable, "-m", "facegeom", "detect", "album", "out", "--face_pose_net", str(fpnet_file)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("2 photos, 0 faces, 1 failed")
    assert "words.jpg" in done.stderr and "Traceback" not in done.stderr
    assert tree(tmp_path / "out") == ["wall.png"]

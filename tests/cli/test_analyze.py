"""``facegeom analyze`` as a user types it; first with faces of known geometry in place of the networks."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from facegeom.cli.root import app
from facegeom.image.photo import Photo, open_photo
from facegeom.results import Faces

Predict = Callable[[np.ndarray], Faces]


@dataclass
class Networks:
    """Replace the networks: a photo of 320 x 240 pixels has a face, unless it is black."""

    predict: Predict
    fov_deg: float | None = None
    built_with: list[dict[str, object]] = field(default_factory=list)
    used_fov_deg: list[float] = field(default_factory=list)

    def build(self, device: str, options: dict[str, float]) -> "Networks":
        self.built_with.append({"device": device, **options})
        self.fov_deg = options.get("fov_deg")
        return self

    def __call__(self, photo: Photo) -> Faces:
        self.used_fov_deg.append(open_photo(photo, self.fov_deg).camera.fov_deg)
        return self.predict(photo.pyramid.pixels)


@pytest.fixture
def networks(make_faces: Callable[..., Faces], monkeypatch: pytest.MonkeyPatch) -> Networks:
    def predict(image: np.ndarray) -> Faces:
        return make_faces() if image.any() else Faces.empty(320, 240)

    networks = Networks(predict)
    monkeypatch.setattr("facegeom.cli.analyze._analyzer", networks.build)
    return networks


def store(path: Path, value: int = 90) -> Path:
    """Store a grey image of 320 x 240 pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = "PNG" if path.suffix.lower() == ".png" else "JPEG"
    Image.new("RGB", (320, 240), (value,) * 3).save(path, kind)
    return path


def run(*arguments: object) -> tuple[int, str, str]:
    """Return the exit code, stdout and stderr."""
    result = CliRunner().invoke(app, ["analyze", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_one_photo(networks: Networks, tmp_path: Path) -> None:
    code, printed, reported = run(store(tmp_path / "photo.jpg"), "-o", tmp_path / "out")
    assert (code, reported) == (0, "")
    assert re.fullmatch(r"1 photo, 1 face, 0 failed, \d+\.\d photos/s; files in .+\n", printed)
    assert tree(tmp_path / "out") == ["photo.0.glb", "photo.0.obj", "photo.json", "photo.overlay.jpg"]
    data = json.loads((tmp_path / "out/photo.json").read_bytes())
    assert data["image"] == {"file": "photo.jpg", "width": 320, "height": 240} and len(data["faces"]) == 1
    assert Image.open(tmp_path / "out/photo.overlay.jpg").size == (320, 240)


@pytest.mark.parametrize(
    ("options", "expected"), [((), [pytest.approx(51.35, abs=0.01), 50]), (("--fov", 70), [70, 70])]
)
def test_angle_of_view_by_exif_unless_it_is_given(
    networks: Networks, tmp_path: Path, options: tuple[object, ...], expected: list[object]
) -> None:
    tags = Image.Exif()
    tags.get_ifd(0x8769)[0xA405] = 36
    Image.new("RGB", (320, 240), (90,) * 3).save(tmp_path / "a.jpg", exif=tags)
    code, _, _ = run(tmp_path / "a.jpg", store(tmp_path / "b.jpg"), "-o", tmp_path / "out", *options)
    assert code == 0 and networks.used_fov_deg == expected


def test_photo_without_a_face(networks: Networks, tmp_path: Path) -> None:
    code, printed, _ = run(store(tmp_path / "night.png", 0), "-o", tmp_path / "out")
    assert code == 0 and printed.startswith("1 photo, 0 faces, 0 failed")
    assert tree(tmp_path / "out") == ["night.json", "night.overlay.jpg"]


def test_folder_keeps_its_shape(networks: Networks, tmp_path: Path) -> None:
    album = tmp_path / "album"
    for name in (
        "b.JPG",
        "a.jpg",
        "trip/a.png",
        "trip/day.one/x.jpeg",
        ".hidden.jpg",
        ".git/a.jpg",
        "a.overlay.jpg",
    ):
        store(album / name)
    (album / "notes.txt").write_text("no photo")
    code, printed, _ = run(album, "-o", tmp_path / "out", "--format", "json")
    assert code == 0 and printed.startswith("4 photos, 4 faces, 0 failed")
    assert tree(tmp_path / "out") == ["a.json", "b.json", "trip/a.json", "trip/day.one/x.json"]
    data = json.loads((tmp_path / "out/trip/a.json").read_bytes())
    assert data["image"]["file"] == "trip/a.png"


def test_output_beside_the_photos_is_not_read_again(networks: Networks, tmp_path: Path) -> None:
    store(tmp_path / "a.jpg")
    for _ in range(2):
        code, printed, _ = run(tmp_path, "-o", tmp_path)
        assert code == 0 and printed.startswith("1 photo,")


def test_photo_given_twice_is_done_once(networks: Networks, tmp_path: Path) -> None:
    photo = store(tmp_path / "album/a.jpg")
    code, printed, _ = run(photo, photo, tmp_path / "album", "-o", tmp_path / "out", "--format", "json")
    assert code == 0 and printed.startswith("1 photo,")


def test_formats(networks: Networks, tmp_path: Path) -> None:
    code, _, _ = run(store(tmp_path / "a.jpg"), "-o", tmp_path / "out", "--format", "ply, json,ply")
    assert code == 0 and tree(tmp_path / "out") == ["a.0.ply", "a.json"]


def test_options_reach_the_analyzer(networks: Networks, tmp_path: Path) -> None:
    photo = store(tmp_path / "a.jpg")
    run(photo, "-o", tmp_path / "out")
    numbers = ["--min-face", 40, "--max-faces", 2, "--min-score", 0.8, "--threads", 1]
    run(
        photo,
        "-o",
        tmp_path / "out",
        *numbers,
        "--device",
        "cuda",
        "--pose-net",
        "fpnet",
        "--detector",
        "cascade",
    )
    assert networks.built_with[0] == {"device": "cpu", "pose_net": "face", "detector": "onepass"}
    assert networks.built_with[1] == {
        "device": "cuda",
        "min_face": 40,
        "max_faces": 2,
        "min_score": 0.8,
        "threads": 1,
        "pose_net": "fpnet",
        "detector": "cascade",
    }


def test_bad_photos_do_not_stop_the_rest(networks: Networks, tmp_path: Path) -> None:
    album = tmp_path / "album"
    store(album / "a.jpg")
    (album / "b.jpg").write_bytes(b"")
    (album / "c.jpg").write_bytes((album / "a.jpg").read_bytes()[:700])
    (album / "d [x].jpg").write_bytes(b"words")
    store(album / "e.jpg")
    code, printed, reported = run(album, tmp_path / "missing.jpg", "-o", tmp_path / "out", "--format", "json")
    assert code == 1 and printed.startswith("6 photos, 2 faces, 4 failed")
    assert tree(tmp_path / "out") == ["a.json", "e.json"]
    for reason in (
        "b.jpg': expected a picture, got nothing",
        "c.jpg': the picture is damaged",
        "d [x].jpg'",
        "no such",
    ):
        assert reason in reported


def test_failed_output_is_counted(networks: Networks, tmp_path: Path) -> None:
    (tmp_path / "out/a.json").mkdir(parents=True)
    photos = [store(tmp_path / name) for name in ("a.jpg", "b.jpg")]
    code, printed, reported = run(*photos, "-o", tmp_path / "out", "--format", "json")
    assert code == 1 and "1 failed" in printed and "cannot write" in reported
    assert (tmp_path / "out/b.json").is_file()


def test_colliding_photos_are_an_error_before_any_work(networks: Networks, tmp_path: Path) -> None:
    for first, second in (("x/a.jpg", "y/a.jpg"), ("z/b.jpg", "z/b.png")):
        photos = store(tmp_path / first), store(tmp_path / second)
        code, _, reported = run(*photos, "-o", tmp_path / "out")
        assert code == 2 and "would both be written" in reported
    assert not (tmp_path / "out").exists() and networks.built_with == []


WRONG_USAGE = [
    ([], "expected photos or folders"),
    (["a.jpg", "--format", "gif"], "expected some of"),
    (["a.jpg", "--format", ""], "expected some of"),
    (["a.jpg", "--device", "tpu"], "tpu"),
    (["a.jpg", "--min-face", "0"], "--min-face"),
    (["a.jpg", "--max-faces", "0"], "--max-faces"),
    (["a.jpg", "--min-score", "1.5"], "--min-score"),
    (["a.jpg", "--nonsense"], "--nonsense"),
    (["empty"], "expected photos in"),
    (["a.jpg", "-o", "a.jpg"], "cannot make the folder"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG_USAGE)
def test_wrong_usage(
    networks: Networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    store(tmp_path / "a.jpg")
    (tmp_path / "empty").mkdir()
    code, _, reported = run(*arguments)
    assert code == 2 and message in reported
    assert tree(tmp_path) == ["a.jpg"] and networks.built_with == []


def test_help_has_an_example() -> None:
    code, printed, _ = run("--help")
    assert code == 0 and "facegeom analyze holiday.jpg" in printed


def test_demo_with_the_real_networks(tmp_path: Path) -> None:
    code, printed, reported = run("--demo", "-o", tmp_path, "--format", "json,overlay,obj,ply,glb")
    assert (code, reported) == (0, "") and printed.startswith("1 photo, 1 face, 0 failed")
    names = [
        "astronaut.0.glb",
        "astronaut.0.obj",
        "astronaut.0.ply",
        "astronaut.json",
        "astronaut.overlay.jpg",
    ]
    assert tree(tmp_path) == names
    face = json.loads((tmp_path / "astronaut.json").read_bytes())["faces"][0]
    eyes = np.array(face["landmarks"]["ibug68"])[36:48].mean(axis=0)
    assert np.linalg.norm(eyes - (225, 102)) < 8  # seen in the picture


def test_depth_formats_of_the_demo(tmp_path: Path) -> None:
    code, _, reported = run("--demo", "-o", tmp_path, "--format", "json,depth,surface")
    assert (code, reported) == (0, "")
    assert tree(tmp_path) == [
        *("astronaut.0.depth.png", "astronaut.0.points.ply", "astronaut.0.surface.glb", "astronaut.json")
    ]


def test_installed_command(tmp_path: Path) -> None:
    """Photos and a folder from a shell, with a photo that is none."""
    store(tmp_path / "album/wall.jpg")
    (tmp_path / "words.jpg").write_text("words")
    command = [
        sys.executable,
        "-m",
        "facegeom",
        "analyze",
        "album",
        "words.jpg",
        "--demo",
        "-o",
        "out",
        "--format",
        "json",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("3 photos, 1 face, 1 failed")
    assert "words.jpg" in done.stderr and "Traceback" not in done.stderr
    assert tree(tmp_path / "out") == ["astronaut.json", "wall.json"]

"""``facegeom analyze`` as a user types it; first with faces of known geometry in place of the networks."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facegeom.cli import options
from facegeom.errors import OutputError
from facegeom.head_pose import MIN_SCORE
from facegeom.options import CLOSEST_FRACTION, CLOSEST_PX, MIN_FACE_FRACTION, MIN_FACE_PX, SearchOptions
from facegeom.results import Faces, base

from .conftest import Networks, run, store, tree


def test_one_photo(networks: Networks, tmp_path: Path) -> None:
    code, printed, reported = run(store(tmp_path / "photo.jpg"), "-o", tmp_path / "out")
    assert (code, reported) == (0, "")
    summary, face, files = printed.splitlines()
    assert re.fullmatch(r"1 photo, 1 face, 0 failed, \d+\.\d photos/s; files in .+", summary)
    assert re.fullmatch(
        r"face 0: score 0\.99, box \d+ \d+ \d+ \d+, yaw 0\.0°, pitch 0\.0°, roll 0\.0°, distance 500 mm"
        r" \(angle of view 50°, assumed\)",
        face,
    )
    assert files.startswith("wrote ") and files.count("photo.") == 4
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


def test_the_smallest_face_is_stated(networks: Networks, tmp_path: Path) -> None:
    predict = networks.predict
    networks.predict = lambda *given: replace(predict(*given), min_face_px=22.4)
    _, printed, _ = run(store(tmp_path / "photo.jpg"), "-o", tmp_path / "out")
    assert "faces below 22 px were not looked for (--min-face)" in printed.splitlines()
    assert json.loads((tmp_path / "out/photo.json").read_bytes())["image"]["min_face_px"] == 22.4


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


def test_aligned_crops(networks: Networks, tmp_path: Path) -> None:
    photo, out = store(tmp_path / "a.jpg"), tmp_path / "out"
    code, _, _ = run(photo, "-o", out, "--format", "aligned", "--template", "box", "--crop-size", 40)
    assert code == 0 and tree(out) == ["a.0.aligned.png"]
    assert Image.open(out / "a.0.aligned.png").size == (40, 40)
    assert run(out, "-o", tmp_path / "again")[0] == 2  # its own pictures are no photos
    assert run(photo, "-o", out, "--template", "dlib")[0] == 2


@pytest.mark.parametrize(
    ("option", "value"), [("--depth-from", "network"), ("--template", "ffhq"), ("--crop-size", 224)]
)
def test_options_that_no_format_follows(
    networks: Networks, tmp_path: Path, option: str, value: object
) -> None:
    code, _, err = run(store(tmp_path / "a.jpg"), "-o", tmp_path / "out", option, value)
    assert code == 2 and option in err and "--format" in err
    assert not (tmp_path / "out").exists()


def test_options_reach_the_analyzer(networks: Networks, tmp_path: Path) -> None:
    photo = store(tmp_path / "a.jpg")
    run(photo, "-o", tmp_path / "out")
    numbers = ["--min-face", 40, "--max-faces", 2, "--min-score", 0.8, "--threads", 1]
    names = ["--weights", "float32", "--orientation", "auto"]
    run(
        photo,
        "-o",
        tmp_path / "out",
        *numbers,
        *names,
        "--device",
        "cuda",
        "--pose-net",
        "fpnet",
        "--detector",
        "cascade",
    )
    defaults = {"device": "cpu", "pose_net": "face", "detector": "onepass", "orientation": "exif"}
    assert networks.built_with[0] == defaults
    assert networks.built_with[1] == {
        "device": "cuda",
        "min_face": 40,
        "max_faces": 2,
        "min_score": 0.8,
        "threads": 1,
        "weights": "float32",
        "orientation": "auto",
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


@pytest.mark.parametrize("command", ["analyze", "detect", "video"])
def test_an_empty_path_is_not_the_current_folder(command: str, tmp_path: Path) -> None:
    """As a shell passes it for a variable without a value."""
    arguments = ["", tmp_path / "out"] if command == "detect" else ["", "-o", tmp_path / "out"]
    code, _, reported = run(*arguments, command=command)
    assert code == 2 and "expected a path, got an empty text" in reported and not (tmp_path / "out").exists()


def test_what_may_not_be_read_is_told_when_it_is_read(
    networks: Networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Permissions are not asked for beforehand: one photo without them would stop the others."""
    monkeypatch.setattr("os.access", lambda *_, **__: False)
    code, printed, _ = run(store(tmp_path / "a.jpg"), "-o", tmp_path / "out", "--format", "json")
    assert code == 0 and printed.startswith("1 photo, 1 face, 0 failed")


def test_the_summary_names_no_files_where_none_are(networks: Networks, tmp_path: Path) -> None:
    code, printed, _ = run(tmp_path / "missing.jpg", "-o", tmp_path / "out")
    assert code == 1 and re.fullmatch(r"1 photo, 0 faces, 1 failed, \d+\.\d photos/s\n", printed)


def test_failed_output_is_counted(networks: Networks, tmp_path: Path) -> None:
    (tmp_path / "out/a.json").mkdir(parents=True)
    photos = [store(tmp_path / name) for name in ("a.jpg", "b.jpg")]
    code, printed, reported = run(*photos, "-o", tmp_path / "out", "--format", "json")
    assert code == 1 and "1 failed" in printed and "cannot write" in reported
    assert (tmp_path / "out/b.json").is_file()


def test_several_photos_print_the_sum_only(networks: Networks, tmp_path: Path) -> None:
    _, printed, _ = run(store(tmp_path / "a.jpg"), store(tmp_path / "b.jpg"), "-o", tmp_path / "out")
    assert len(printed.splitlines()) == 1


def test_file_in_place_of_a_folder(networks: Networks, tmp_path: Path) -> None:
    photo, file = store(tmp_path / "a.jpg"), tmp_path / "new/x.json"
    for _ in range(2):
        code, _, _ = run(photo, "-o", file)
        assert code == 0 and tree(tmp_path / "new") == ["x.json"]
    assert json.loads(file.read_bytes())["image"]["file"] == "a.jpg"
    code, _, _ = run(photo, "-o", file, "--format", "json,obj")
    assert code == 0 and tree(tmp_path / "new") == ["x.0.obj", "x.json"]


def test_photos_are_decoded_again_only_for_formats_that_show_them(
    networks: Networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources: list[object] = []
    whole = base.read

    def spy(source: Any) -> np.ndarray:
        if isinstance(source, Path):  # arrays are passed through
            sources.append(source)
        return whole(source)

    monkeypatch.setattr(base, "read", spy)
    photo, dark = store(tmp_path / "a.jpg"), store(tmp_path / "b.jpg", 0)
    run(photo, dark, "-o", tmp_path / "out", "--format", "json,obj,ply")
    run(dark, "-o", tmp_path / "out", "--format", "glb")
    assert sources == []
    for kind in ("overlay", "glb", "overlay,glb"):
        run(photo, "-o", tmp_path / "out", "--format", kind)
    assert sources == [photo] * 3


def test_wide_panorama(networks: Networks, make_faces: Callable[..., Faces], tmp_path: Path) -> None:
    """JPEG holds 65,500 pixels a side: the overlay is made smaller, and that is said."""
    Image.new("RGB", (70_000, 22), (90, 90, 90)).save(tmp_path / "pano.png")
    networks.predict = lambda image: replace(make_faces(), width=70_000, height=22)
    code, _, reported = run(tmp_path / "pano.png", "-o", tmp_path / "out")
    assert code == 0 and tree(tmp_path / "out") == [
        *("pano.0.glb", "pano.0.obj", "pano.json", "pano.overlay.jpg")
    ]
    assert Image.open(tmp_path / "out/pano.overlay.jpg").size == (65_500, 21)
    assert reported.count("made smaller, to 65,500 x 21: JPEG holds at most 65,500") == 1


@pytest.mark.parametrize("error", [OutputError("cannot be drawn"), MemoryError()])
def test_picture_that_cannot_be_drawn_costs_its_file_only(
    networks: Networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def draw(faces: Faces, image: object) -> None:
        raise error

    monkeypatch.setattr(Faces, "draw", draw)
    code, printed, reported = run(store(tmp_path / "a.jpg"), "-o", tmp_path / "out")
    assert code == 1 and "1 failed" in printed and tree(tmp_path / "out") == ["a.0.glb", "a.0.obj", "a.json"]
    assert "cannot be drawn" in reported or "not enough memory for every file" in reported


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
    (
        ["a.jpg", "-o", "a.glb"],
        "expected a folder, or a .json file for a single photo, got 'a.glb' for 1 photo",
    ),
    (["a.jpg", "a.jpg", "--demo", "-o", "a.json"], "'a.json' for 2 photos; give a folder"),
    (["b*.jpg"], "expected photos by the pattern 'b*.jpg', found none"),
    (["a.jpg", "--weights", "int4"], "int4"),
    (["a.jpg", "--orientation", "up"], "up"),
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


def test_help_states_the_defaults() -> None:
    """The command's options name them by hand, so that the help needs no heavy import."""
    smallest = f"{100 * MIN_FACE_FRACTION:g} % of the longer side, at least {MIN_FACE_PX:g}"
    closest = f"{100 * CLOSEST_FRACTION:g} %, at least {CLOSEST_PX:g}"
    shown = {options.MinFace: f"where something hints at smaller ones, {closest}; else {smallest}"}
    shown |= {options.MinHead: smallest, options.MinHeadScore: f"{MIN_SCORE:g}"}
    shown[options.MinScore] = f"{SearchOptions().min_score:g}"
    for alias, default in shown.items():
        assert alias.__metadata__[0].show_default == default
    assert "(0.9)" in run("--help")[1] and "(0.7)" in run("--help", command="detect")[1]


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

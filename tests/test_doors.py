"""One photo, one answer: every way into facegeom gives the same JSON for the same file.

A door is a function of a file's path that returns the faces as the published JSON. Other modules' doors are
added to ``DOORS``; each photo then goes through all of them.
"""

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import pytest
from fastapi.testclient import TestClient
from PIL import Image, ImageCms
from typer.testing import CliRunner

from facegeom import FaceAnalyzer, Faces
from facegeom.batch import read_rows
from facegeom.cli.root import app
from facegeom.serve.app import Application
from facegeom.serve.limits import Settings
from facegeom.serve.work import analyze_tasks

FacesJson: TypeAlias = dict[str, Any]
Door: TypeAlias = Callable[[Path], FacesJson]

_OPEN = ExitStack()
"""What doors hold open until the end of the module's tests."""


@cache
def analyzer() -> FaceAnalyzer:
    return FaceAnalyzer()


@cache
def service() -> TestClient:
    application = Application([partial(analyze_tasks, analyzer())], Settings(wait_s=60))
    return _OPEN.enter_context(TestClient(application, "http://127.0.0.1"))


def by_path(photo: Path) -> FacesJson:
    return analyzer()(photo).to_dict()


def by_bytes(photo: Path) -> FacesJson:
    return analyzer()(photo.read_bytes()).to_dict()


def by_batch(photo: Path) -> FacesJson:
    """Analyze the photo among others."""
    return analyzer().batch([portrait(), photo, photo.read_bytes()])[1].to_dict()


def by_service(photo: Path) -> FacesJson:
    answer = service().post("/v1/analyze", content=photo.read_bytes())
    assert answer.status_code == 200
    return dict(answer.json())


def by_form(photo: Path) -> FacesJson:
    answer = service().post("/v1/analyze", files={"file": (photo.name, photo.read_bytes())})
    assert answer.status_code == 200
    return dict(answer.json())


def by_command(photo: Path) -> FacesJson:
    """Run ``facegeom analyze``, which also writes formats that show the photo's pixels."""
    with TemporaryDirectory() as out:
        done = CliRunner().invoke(app, ["analyze", str(photo), "-o", out, "--format", "json,overlay"])
        assert done.exit_code == 0
        return dict(json.loads((Path(out) / f"{photo.stem}.json").read_bytes()))


@cache
def rows_of(folder: Path) -> dict[str | None, Faces | None]:
    """Run ``facegeom batch`` on a folder; return the faces by the photos' names."""
    with TemporaryDirectory() as out:
        done = CliRunner().invoke(app, ["batch", str(folder), "-o", out, "--workers", "1"])
        assert done.exit_code == 0
        return {row.name: row.faces for row in read_rows(out)}


def by_batch_command(photo: Path) -> FacesJson:
    faces = rows_of(photo.parent)[photo.name]
    assert faces is not None
    return faces.to_dict()


DOORS: dict[str, Door] = {
    "path": by_path,
    "bytes": by_bytes,
    "batch": by_batch,
    "service": by_service,
    "service, form": by_form,
    "facegeom analyze": by_command,
    "facegeom batch": by_batch_command,
}
"""Doors by name; the first one is what the others are compared with."""


def portrait() -> Path:
    """Return the portrait that ships with facegeom."""
    return Path(str(files("facegeom") / "data" / "astronaut.jpg"))


def display_p3() -> bytes:
    """Return a Display P3 profile: that of sRGB with its three primaries replaced."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    primaries = {b"rXYZ": (0.51512, 0.24120, -0.00105), b"gXYZ": (0.29198, 0.69225, 0.04189)}
    primaries[b"bXYZ"] = (0.15710, 0.06657, 0.78407)
    for entry in range(132, 132 + 12 * struct.unpack_from(">I", profile, 128)[0], 12):
        name, offset, _ = struct.unpack_from(">4sII", profile, entry)
        if name in primaries:
            struct.pack_into(">3i", profile, offset + 8, *(round(each * 65536) for each in primaries[name]))
    return bytes(profile)


def lens_of_85_mm(orientation: int = 1) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8769)[0xA405] = 85  # focal length for 35 mm film
    return exif


# Each saves a variant of the portrait as a JPEG.
PHOTOS: dict[str, Callable[[Image.Image, Path], None]] = {
    "85 mm by EXIF": lambda image, path: image.save(path, exif=lens_of_85_mm(), quality=92),
    "large, odd sides": lambda image, path: image.resize((4001, 3203)).save(path, quality=92),
    "turned by EXIF": lambda image, path: image.transpose(Image.Transpose.ROTATE_90).save(
        path, exif=lens_of_85_mm(6), quality=92
    ),
    "Display P3": lambda image, path: image.save(path, icc_profile=display_p3(), quality=92),
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    folder, saved = tmp_path_factory.mktemp("photos"), dict[str, Path]()
    with Image.open(portrait()) as image:
        for name, save in PHOTOS.items():
            saved[name] = folder / f"{len(saved)}.jpg"
            save(image.convert("RGB"), saved[name])
    yield saved
    _OPEN.close()


def encoded(answer: FacesJson) -> str:
    """Return the answer as text, without the file's name, which some doors do not know."""
    image = {key: value for key, value in answer["image"].items() if key != "file"}
    return json.dumps(answer | {"image": image}, sort_keys=True)


@pytest.mark.parametrize("door", list(DOORS)[1:])
@pytest.mark.parametrize("name", PHOTOS)
def test_every_door_gives_the_same_answer(photos: dict[str, Path], name: str, door: str) -> None:
    expected = by_path(photos[name])
    assert len(expected["faces"]) == 1
    assert encoded(DOORS[door](photos[name])) == encoded(expected)


@pytest.mark.parametrize("name", PHOTOS)
def test_commands_give_the_same_bytes(photos: dict[str, Path], name: str, tmp_path: Path) -> None:
    """The JSON file of ``facegeom analyze`` and the rows of ``facegeom batch``, without rounding."""
    photo = photos[name]
    CliRunner().invoke(app, ["analyze", str(photo), "-o", str(tmp_path / "out"), "--format", "json,glb"])
    replace(analyzer()(photo), file=photo.name).save(tmp_path / "python", ["json", "glb"], image=photo)
    for ending in ("json", "0.glb"):
        file = f"{photo.stem}.{ending}"
        assert (tmp_path / "out" / file).read_bytes() == (tmp_path / "python" / file).read_bytes()
    alone = FaceAnalyzer(threads=1)(photo.read_bytes())
    assert rows_of(photo.parent)[photo.name] == replace(alone, file=photo.name)


def test_the_answers_are_right(photos: dict[str, Path]) -> None:
    """The lens of EXIF is used, sizes are those of the whole photo, and EXIF turns it."""
    found = {name: by_path(path) for name, path in photos.items()}
    cameras = {name: answer["faces"][0]["pose"]["camera"] for name, answer in found.items()}
    for name in ("85 mm by EXIF", "turned by EXIF"):
        assert (cameras[name]["fov_deg"], cameras[name]["fov_source"]) == (
            pytest.approx(20.4, abs=0.1),  # 36 x 24 mm on a square: its diagonal is 43.3 mm
            "exif",
        )
    assert cameras["Display P3"]["fov_source"] == "assumed"
    assert [found["large, odd sides"]["image"][side] for side in ("width", "height")] == [4001, 3203]
    upright, turned = (found[name]["faces"][0]["pose"] for name in ("85 mm by EXIF", "turned by EXIF"))
    assert turned["roll_deg"] == pytest.approx(upright["roll_deg"], abs=3)


@pytest.mark.parametrize("weights", ["int8", "float32"])
def test_other_processes_and_other_threads_give_the_same_bytes(weights: str, tmp_path: Path) -> None:
    """On one machine the answer depends on nothing but the photo and the options."""
    found = []
    for threads, seed in ((1, "1"), (2, "2"), (2, "3")):
        out = tmp_path / seed
        arguments = [str(portrait()), "-o", str(out), "--weights", weights, "--threads", str(threads)]
        code = (
            f"import sys; sys.argv[1:] = {['analyze', *arguments]!r}; from facegeom.cli import main; main()"
        )
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment)
        found.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert len(found[0]) == 4 and found[0] == found[1] == found[2]

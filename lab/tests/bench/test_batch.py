"""``facegeom bench batch``: the photos it makes, and all of it at its smallest."""

import json
from importlib.resources import files
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from facegeom.batch.input_index import jobs_of
from facegeom.batch.reading import Reader
from facegeom.batch.sources import list_photos
from facegeom.errors import InputError
from facegeom_lab.bench.batch.driver import differing_parts
from facegeom_lab.bench.batch.photos import make_photos
from facegeom_lab.cli.bench import app


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Two small photos."""
    folder = tmp_path / "album"
    folder.mkdir()
    with (files("facegeom") / "data" / "astronaut.jpg").open("rb") as stream, Image.open(stream) as photo:
        face = photo.crop((100, 0, 350, 250))
        for size in (96, 128):
            face.resize((size, size)).save(folder / f"{size}.jpg")
    return folder


def test_photos_are_all_different_and_the_same_every_time(album: Path, tmp_path: Path) -> None:
    read, contents = Reader(), []
    for place in ("x", "y"):
        jobs = jobs_of(list_photos(make_photos(album, tmp_path / place, 100, seed=3)), 50)
        contents.append([photo.content for job in jobs for photo in read.photos(job)])
    assert contents[0] == contents[1]
    assert len(contents[0]) == len(set(contents[0])) == 100
    with pytest.raises(InputError, match="found none"):
        make_photos(tmp_path / "nowhere", tmp_path / "z", 100, seed=3)


def test_parts_are_compared_by_the_byte(tmp_path: Path) -> None:
    for out, parts in (("a", {1: b"x", 2: b"y", 3: b"z"}), ("b", {1: b"x", 2: b"Y", 4: b"z"})):
        (tmp_path / out / "parts").mkdir(parents=True)
        for number, content in parts.items():
            (tmp_path / out / f"parts/part-{number}.parquet").write_bytes(content)
    names = [f"part-{number}.parquet" for number in (2, 3, 4)]
    assert differing_parts(tmp_path / "a", tmp_path / "b") == names
    assert differing_parts(tmp_path / "a", tmp_path / "a") == []


@pytest.mark.slow
def test_smallest_run(album: Path, tmp_path: Path) -> None:
    """Real processes: one alone, two workers, and a run whose driver and worker are killed."""
    options = ["--engines", "local", "--count", "200", "--part-size", "4", "--kills", "4", "--minutes", "30"]
    result = CliRunner().invoke(app, ["batch", str(album), "-o", str(tmp_path / "out"), *options])
    assert result.exit_code == 0, result.output
    speed, kills = json.loads((tmp_path / "out/batch.json").read_text())["tables"]
    assert [row[0] for row in speed["rows"]] == [
        "one process alone",
        "2 processes at once",
        "local, 2 workers",
    ]
    (row,) = kills["rows"]
    assert row[0] == "local" and row[1] + row[2] >= 1 and row[4:] == [200, 200, 200, 0]


@pytest.mark.parametrize("engines", ["", "spark", "local,spark"])
def test_unknown_engines_are_refused(album: Path, engines: str) -> None:
    result = CliRunner().invoke(app, ["batch", str(album), "--engines", engines])
    assert result.exit_code == 2 and "local, ray" in result.output

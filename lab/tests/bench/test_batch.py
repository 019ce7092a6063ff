"""``facegeom bench batch``: the photos and the store it makes, and all of it at its smallest."""

import json
import os
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from facegeom.batch import UnreachableError, stores
from facegeom.batch.input_index import jobs_of
from facegeom.batch.reading import Reader
from facegeom.batch.sources import list_photos
from facegeom.errors import InputError
from facegeom_lab.bench.batch.driver import differing_parts
from facegeom_lab.bench.batch.photos import make_photos, make_shards
from facegeom_lab.bench.batch.s3 import Store
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


def contents(source: Path | str) -> list[bytes | None]:
    read = Reader()
    return [photo.content for job in jobs_of(list_photos([source]), 50) for photo in read.photos(job)]


def test_the_store_counts_fails_and_goes_away(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shards come whole, also where every fifth request fails; lists have several pages."""
    folder, many = tmp_path / "root/bench/shards", tmp_path / "root/bench/many"
    shards, count = make_shards(album, folder, 0.2, seed=3)
    many.mkdir()
    for number in range(1100):
        (many / f"{number}.jpg").write_bytes(b"x")
    expected = contents(folder)
    assert len(expected) == 2 * count
    with Store(tmp_path / "root") as store:
        assert contents("s3://bench/shards") == expected
        requests, fetched = store.counts()
        assert requests[""] == 2 and store.counts() == (Counter(), Counter())
        for file in shards:
            assert file.stat().st_size <= fetched[f"shards/{file.name}"] < 2 * file.stat().st_size
        assert len(list(list_photos(["s3://bench/many"]))) == 1100
        store.stop()
        with monkeypatch.context() as patch, pytest.raises(UnreachableError):
            patch.setattr(stores, "RETRY_DELAYS_S", ())
            contents("s3://bench/shards")
        store.start()
        assert contents("s3://bench/shards") == expected
    stores._open_with_pyarrow.cache_clear()  # the next store has another port
    monkeypatch.setattr(stores, "RETRY_DELAYS_S", (0.0,) * 9)
    with Store(tmp_path / "root", fault_every=5):
        assert contents("s3://bench/shards") == expected
    stores._open_with_pyarrow.cache_clear()
    assert "127.0.0.1" not in os.environ.get("AWS_ENDPOINT_URL", "")


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


@pytest.mark.slow
def test_smallest_store_merge_and_scale(album: Path, tmp_path: Path) -> None:
    """Real processes over a store; the tables are added to those that were measured before."""
    options = [
        "--engines",
        "local",
        "--count",
        "60",
        "--repeat",
        "2",
        "--megabytes",
        "2",
        "--listed",
        "300",
        "--part-size",
        "1",
    ]
    for only in ("merged,scale", "shards,loose"):
        result = CliRunner().invoke(app, ["batch", str(album), "-o", str(tmp_path), *options, "--only", only])
        assert result.exit_code == 0, result.output
    tables = {
        each["title"]: each["rows"] for each in json.loads((tmp_path / "batch.json").read_text())["tables"]
    }
    ((name, _, *merged),) = tables["Merged rows"]
    assert name == "rows-0000000.parquet" and merged == [120, 1, "true", "true"]
    assert [(row[0], row[1]) for row in tables["Scale"]][-2:] == [("left", 400), ("run", 400)]
    assert all(1 <= row[3] < 1.2 for row in tables["Shards in a store"])
    assert [row[0] for row in tables["Loose photos in a store"]] == ["disk", "store"]


@pytest.mark.parametrize("engines", ["", "spark", "local,spark"])
def test_unknown_engines_are_refused(album: Path, engines: str) -> None:
    result = CliRunner().invoke(app, ["batch", str(album), "--engines", engines])
    assert result.exit_code == 2 and "local, ray" in result.output

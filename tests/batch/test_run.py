"""Runs: what they write, how they resume, what they reject."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from facegeom import FaceAnalyzer
from facegeom.batch import Progress, Selection, analyze_many, read_rows
from facegeom.batch.rows import Counts
from facegeom.batch.run import locked, networks
from facegeom.batch.sources import list_photos
from facegeom.batch.work import Settings
from facegeom.errors import InputError, OutputError
from facegeom.models import weights

from .conftest import jpeg, parts_of, portrait, run, write_parquet, write_tar

pytestmark = pytest.mark.usefixtures("in_process")


def test_a_row_for_every_photo(album: Path, tmp_path: Path) -> None:
    end = run(album, tmp_path / "out")
    assert end.done == Counts(photos=10, faces=4, errors=3) and end.photos == 10 and end.earlier == 0
    rows = list(read_rows(tmp_path / "out"))
    names = sorted(path.name for path in album.iterdir())
    assert [row.name for row in rows] == names
    assert [row.key for row in rows] == [f"{album}/{name}" for name in names]
    for row in rows:
        assert (row.faces is None) == (row.name in ("words.jpg", "empty.jpg", "cut.jpg")) == bool(row.error)
    reasons = {row.name: row.error for row in rows if row.error}
    assert "not a picture" in reasons["words.jpg"]
    assert "got nothing" in reasons["empty.jpg"]
    assert "damaged" in reasons["cut.jpg"]


def test_rows_equal_the_analyzers_results(album: Path, tmp_path: Path) -> None:
    run(album, tmp_path / "out", min_face=20, max_faces=1, fov_deg=40)
    analyzer = FaceAnalyzer(min_face=20, max_faces=1, fov_deg=40, threads=1)
    compared = 0
    for row in read_rows(tmp_path / "out"):
        if row.faces:
            expected = analyzer(album / str(row.name))
            np.testing.assert_array_equal(row.faces.mesh_mm, expected.mesh_mm)
            np.testing.assert_array_equal(row.faces.score, expected.score)
            compared += len(expected)
    assert compared == 4


def test_folder_of_a_run(album: Path, tmp_path: Path) -> None:
    run(album, tmp_path / "out", min_score=0.8)
    manifest = json.loads((tmp_path / "out/run.json").read_text())
    assert (manifest["photos"], manifest["parts"], manifest["sources"]) == (10, 4, [str(album)])
    made = manifest["made_with"]
    assert (made["min_score"], made["part_size"], made["mesh"], made["device"]) == (0.8, 3, True, "cpu")
    assert made["networks"] == {
        name: sha256(f"{name}.onnx") for name in {"face.int8", "onepass.int8"} | ALWAYS
    }
    assert list(parts_of(tmp_path / "out")) == [f"part-{number:07d}.parquet" for number in range(4)]


def sha256(file: str) -> str:
    return hashlib.sha256((files("facegeom.models.weights") / file).read_bytes()).hexdigest()


ALWAYS = {"eyes", "mouth", "expression"}
USED: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"onepass.int8", "face.int8"}),
    ({"device": "cuda"}, {"onepass", "face"}),
    ({"weights": "float32"}, {"onepass", "face"}),
    ({"device": "cuda", "weights": "int8"}, {"onepass.int8", "face.int8"}),
    ({"detector": "cascade"}, {"pnet", "rnet", "face.int8"}),
    ({"pose_net": "fpnet"}, {"onepass.int8", "face.int8", "fpnet"}),
]


@pytest.mark.parametrize(("options", "expected"), USED)
def test_networks_that_workers_use(
    options: dict[str, Any], expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are those whose files the analyzer opens."""
    opened: set[str] = set()
    monkeypatch.setattr(weights, "check", lambda path, content: opened.add(path.stem))
    device = options.get("device", "cpu")
    rest = {name: value for name, value in options.items() if name != "device"}
    assert networks(Settings(device, options=rest)).keys() == opened == expected | ALWAYS


def test_rows_and_analyzer_agree_on_every_option(album: Path, tmp_path: Path) -> None:
    """Rows hold the whole result: angle of view, its source, the turn, rotations."""
    options: dict[str, Any] = {
        "weights": "float32",
        "orientation": "auto",
        "detector": "cascade",
        "threads": 2,
    }
    with Image.open(album / "face0.jpg") as upright:
        upright.rotate(90, expand=True).save(album / "turned.png")
    run(album, tmp_path / "out", **options)
    analyzer = FaceAnalyzer(**options)
    rows = [row for row in read_rows(tmp_path / "out") if row.faces is not None]
    for row in rows:
        assert row.faces == replace(analyzer((album / str(row.name)).read_bytes()), file=row.name)
    assert {row.faces.turned_deg for row in rows if row.faces} == {0, 90}


def test_mixed_sources(album: Path, tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "s.tar", {"a.jpg": portrait(), "b.jpg": b"x"})
    table = write_parquet(tmp_path / "t.parquet", {"image": [portrait(), None], "id": [5, 6]})
    (tmp_path / "broken.tar").write_text("words " * 300)
    sources = [tar, table, tmp_path / "broken.tar", album / "face0.jpg"]
    end = analyze_many(sources, tmp_path / "out", name_column="id")
    assert end.done == Counts(photos=6, faces=3, errors=3)
    rows = list(read_rows(tmp_path / "out"))
    assert [row.name for row in rows] == ["a.jpg", "b.jpg", "5", "6", "broken.tar", "face0.jpg"]
    assert [bool(row.error) for row in rows] == [False, True, False, True, True, False]


Damage = Callable[[Path], object]
DAMAGES: list[tuple[Damage, list[int]]] = [
    (lambda parts: None, []),
    (lambda parts: (parts / "part-0000001.parquet").unlink(), [1]),
    (lambda parts: [path.unlink() for path in parts.iterdir()], [0, 1, 2, 3]),
    (lambda parts: (parts / "part-0000003.parquet").write_bytes(b""), [3]),
    (lambda parts: _cut(parts / "part-0000002.parquet"), [2]),
    (lambda parts: (parts / "part-0000000.parquet").replace(parts / "part-0000001.parquet"), [0, 1]),
    (lambda parts: write_parquet(parts / "part-0000002.parquet", {"a": [1]}), [2]),
    (lambda parts: _flip(parts / "part-0000002.parquet", -8), [2]),
    (lambda parts: [_flip(path, 1000) for path in parts.iterdir()], [0, 1, 2, 3]),
    (lambda parts: (parts.parent / "ledger.jsonl").unlink(), [0, 1, 2, 3]),
    (lambda parts: _cut(parts.parent / "ledger.jsonl"), [3]),
    (lambda parts: (parts.parent / "ledger.jsonl").write_bytes(bytes(range(256))), [0, 1, 2, 3]),
    (lambda parts: (parts / "part-0000001-0001.parquet").write_bytes(b"left over"), []),
    (lambda parts: [(where / ".123.tmp").write_bytes(b"half") for where in (parts, parts.parent)], []),
]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(("damage", "redone"), DAMAGES)
def test_resuming(
    album: Path,
    finished: tuple[Path, dict[str, bytes]],
    in_process: list[int],
    damage: Damage,
    redone: list[int],
) -> None:
    """Only missing or incomplete part files are made again; the final files are the same."""
    out, parts = finished
    damage(out / "parts")
    end = analyze_many([album], out)
    assert in_process == redone
    assert parts_of(out) == parts and not list(out.rglob("*.tmp"))
    assert end.done == Counts(10, 4, 3) and end.photos == 10
    assert end.earlier == 10 - sum(min(3, 10 - 3 * part) for part in redone)


@pytest.mark.parametrize("seed", range(30))
def test_any_flipped_bit_of_a_run_is_noticed(
    album: Path, finished: tuple[Path, dict[str, bytes]], seed: int
) -> None:
    """The run is refused, or what is damaged is done again; the parts are right in the end."""
    out, parts = finished
    random = np.random.default_rng(seed)
    path = sorted(each for each in out.rglob("*") if each.is_file() and each.name != ".lock")[seed % 7]
    content = bytearray(path.read_bytes())
    content[random.integers(len(content))] ^= 1 << int(random.integers(8))
    path.write_bytes(content)
    try:
        analyze_many([album], out)
    except InputError as error:
        assert path.name in ("run.json", "inputs.arrow") and str(error)
    else:
        assert parts_of(out) == parts


def test_an_error_in_the_middle_keeps_what_is_done(
    album: Path, tmp_path: Path, in_process: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop_after_two(progress: Progress) -> None:
        if progress.done.photos == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(album, tmp_path / "out", tell=stop_after_two)
    assert len(parts_of(tmp_path / "out")) == 2
    assert run(album, tmp_path / "out").earlier == 6
    assert in_process == [0, 1, 2, 3]


OTHER_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"min_score": 0.5}, "min_score null, not min_score 0.5"),
    ({"mesh": False}, "mesh true, not mesh false"),
    ({"part_size": 4}, "part_size 3, not part_size 4"),
    ({"column": "img"}, "column null"),
    ({"device": "cuda"}, 'device "cpu", not device "cuda"'),
    ({"weights": "float32"}, 'weights null, not weights "float32"'),
]


@pytest.mark.parametrize(("options", "message"), OTHER_OPTIONS)
def test_other_options_are_refused(
    album: Path, finished: tuple[Path, dict[str, bytes]], options: dict[str, Any], message: str
) -> None:
    out, parts = finished
    with pytest.raises(InputError) as caught:
        run(album, out, **options)
    assert message in str(caught.value) and "another output folder" in str(caught.value)
    assert parts_of(out) == parts


def test_another_version_or_network_is_refused(
    album: Path, finished: tuple[Path, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facegeom.batch.run.version", lambda package: "9.9")
    with pytest.raises(InputError, match=r'not facegeom "9\.9"'):
        run(album, finished[0])


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"engine": "spark"}, "engine: expected"),
    ({"workers": 0}, "workers: expected"),
    ({"workers": "2"}, "workers: expected a whole number from 1 to inf, got '2'"),
    ({"workers": 1.5}, "workers: expected a whole number"),
    ({"part_size": "3"}, "part_size: expected a whole number"),
    ({"gpus_per_worker": "1"}, "gpus_per_worker: expected a number"),
    ({"select": Selection(sample="all")}, "sample: expected a number"),  # type: ignore[arg-type]
    ({"gpus_per_worker": 0}, "gpus_per_worker: expected"),
    ({"part_size": 0}, "part_size: expected"),
    ({"select": Selection(limit=0)}, "limit: expected"),
    ({"select": Selection(sample=0)}, "sample: expected"),
    ({"min_score": 2}, "min_score: expected"),
    ({"threads": 0}, "threads: expected"),
    ({"depth": True}, "options of FaceAnalyzer, got depth"),
    ({"sources": []}, "expected photos, folders"),
    ({"sources": ["nowhere"]}, "is not there"),
    ({"out": ""}, "expected the folder of a run, got an empty text"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_arguments(album: Path, tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        analyze_many(**{"sources": [album], "out": tmp_path / "out", **arguments})
    assert message in str(caught.value)
    assert not (tmp_path / "out/run.json").exists()


def test_numbers_of_numpy_are_taken(album: Path, tmp_path: Path, in_process: list[int]) -> None:
    numbers = {"part_size": np.int64(3), "max_faces": np.int32(2), "min_score": np.float32(0.5)}
    assert run(album, tmp_path / "out", **numbers).done.photos == 10
    plain = {"part_size": 3, "max_faces": 2, "min_score": 0.5}
    assert run(album, tmp_path / "out", **plain).earlier == 10  # the same run


def test_output_folder_among_the_photos(album: Path, in_process: list[int]) -> None:
    for _ in range(2):
        assert run(album, album / "out").done.photos == 10
    assert in_process == [0, 1, 2, 3]


def test_output_of_other_runs_among_the_photos(album: Path, tmp_path: Path, in_process: list[int]) -> None:
    """Part files of a finished run are no photos, wherever they lie; nor are pictures of ``analyze``."""
    run(album, album / "first")
    (album / "face0.overlay.jpg").write_bytes(jpeg())
    (album / "face0.0.depth.png").write_bytes(jpeg())
    (album / "copy.parquet").write_bytes((album / "first/parts/part-0000001.parquet").read_bytes())
    for sources in ([album], [album / "*"], [album / "**"]):
        names = [photo.name for photo in list_photos(sources) if photo.kind != "damaged"]
        assert {str(name).rpartition(".")[2] for name in names} <= {"jpg", "json", "arrow", "jsonl"}
    assert run(album, album / "second").done.photos == 10
    with pytest.raises(InputError, match="found none"):
        analyze_many([album / "copy.parquet"], tmp_path / "out")


def test_runs_of_an_earlier_version_are_refused(album: Path, finished: tuple[Path, dict[str, bytes]]) -> None:
    out, _ = finished
    manifest = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps(manifest | {"format": 1}))
    with pytest.raises(InputError, match="a run of another facegeom, whose rows differ"):
        run(album, out)
    for path in (out / "parts").iterdir():
        pq.write_table(pq.read_table(path).drop(["expression"]), path)
    (out / "ledger.jsonl").unlink()
    with pytest.raises(InputError, match="other columns than this facegeom writes"):
        next(read_rows(out))


def test_parts_without_a_manifest_are_refused(album: Path, finished: tuple[Path, dict[str, bytes]]) -> None:
    (finished[0] / "run.json").unlink()
    with pytest.raises(InputError, match=r"has parts, but no run\.json"):
        run(album, finished[0])


@pytest.mark.parametrize(
    "text",
    [
        "words",
        "[]",
        "{}",
        '{"format": 7}',
        '{"format": 2}',
        *(
            f'{{"format": 2, "made_with": {made}}}'
            for made in ("3", "[]", '{"part_size": 0}', '{"part_size": null}')
        ),
    ],
)
def test_damaged_manifest_is_refused(album: Path, finished: tuple[Path, dict[str, bytes]], text: str) -> None:
    (finished[0] / "run.json").write_text(text)
    with pytest.raises(InputError, match=r"run\.json"):
        run(album, finished[0])


def test_two_runs_at_once_are_refused(album: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with locked(tmp_path / "out"), pytest.raises(InputError, match="another run is working"):
        run(album, tmp_path / "out")
    assert run(album, tmp_path / "out").done.photos == 10


def test_output_that_cannot_be_written(album: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError):
        run(album, tmp_path / "out")


def test_progress_is_reported(album: Path, tmp_path: Path) -> None:
    reports: list[Progress] = []
    run(album, tmp_path / "out", tell=reports.append)
    assert reports[0].listing and not any(progress.listing for progress in reports[1:])
    assert [progress.done.photos for progress in reports[1:]] == [0, 3, 6, 9, 10]
    assert reports[-1].photos_per_second > 0


def test_reading_no_run_or_no_mesh(album: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no parts"):
        next(read_rows(tmp_path))
    run(album, tmp_path / "out", mesh=False)
    with pytest.raises(InputError, match="rows with the mesh"):
        next(read_rows(tmp_path / "out"))
    for damage in (lambda path: _flip(path, 1000), _cut):
        damage(tmp_path / "out/parts/part-0000000.parquet")
        with pytest.raises(
            InputError, match=r"(?s)part-0000000.parquet' is damaged .*; run the same command again"
        ):
            next(read_rows(tmp_path / "out"))

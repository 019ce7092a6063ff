"""``facegeom batch`` as a user types it."""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.resources import files
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from facegeom.batch import local
from facegeom.batch.input_index import Job, Record
from facegeom.batch.rows import Row, encode
from facegeom.batch.work import Outcome, Piece, Settings
from facegeom.cli.root import app
from facegeom.results import Faces

asked: list[Settings] = []


@pytest.fixture(autouse=True)
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that find no face in any photo, and read none; what is called bad cannot be used."""

    def run(jobs: Iterable[Job], settings: Settings, workers: int) -> Iterator[Piece | Outcome]:
        asked.append(settings)
        for job in jobs:
            bad = [photo.key.endswith("bad.jpg") for photo in job.photos]
            rows = [
                Row(photo.key, photo.name, None if wrong else Faces.empty(1, 1), "bad" if wrong else None)
                for photo, wrong in zip(job.photos, bad, strict=True)
            ]
            about = {"part": job.part, "piece": 0, "inputs": job.inputs}
            content = encode(rows, settings.mesh, about)
            digest = hashlib.sha256(content).hexdigest()
            record = Record(job.part, 0, True, len(rows), 0, sum(bad), len(content), digest, job.inputs)
            yield Piece(record, content)
            yield Outcome(job.part, None)

    asked.clear()
    monkeypatch.setattr(local, "run", run)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    folder.mkdir()
    for number in range(5):
        Image.new("RGB", (32, 24)).save(folder / f"{number}.jpg")
    return folder


def run(*arguments: object) -> tuple[int, str, str]:
    """Return the exit code, stdout and stderr."""
    result = CliRunner().invoke(app, ["batch", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def test_a_run_and_its_second_start(album: Path, tmp_path: Path) -> None:
    code, printed, reported = run(album, "-o", tmp_path / "out", "--part-size", 2)
    assert code == 0
    assert re.fullmatch(r"5 photos, 0 faces, 0 failed, \d+\.\d photos/s; rows in .+parts\n", printed)
    assert reported.startswith("0 of 5 photos, 0 failed")
    code, printed, _ = run(album, "-o", tmp_path / "out")
    assert code == 0 and printed.startswith("5 photos (5 were done before), 0 faces")
    assert pq.read_table(tmp_path / "out/parts").num_rows == 5


def test_the_end_says_where_reasons_stand(album: Path, tmp_path: Path) -> None:
    Image.new("RGB", (32, 24)).save(album / "bad.jpg")
    code, printed, _ = run(album, "-o", tmp_path / "out")
    assert code == 1 and "6 photos, 0 faces, 1 failed" in printed
    assert printed.endswith("the column error of the rows says what is wrong with a photo\n")


NETWORK_OPTIONS = {
    "detector": "cascade",
    "weights": "float32",
    "pose_net": "fpnet",
    "orientation": "auto",
    "threads": 2,
}


def test_options_reach_the_workers(album: Path, tmp_path: Path) -> None:
    numbers = ["--min-face", 40, "--max-faces", 2, "--min-score", 0.8, "--fov", 30]
    for name, value in NETWORK_OPTIONS.items():
        numbers += [f"--{name.replace('_', '-')}", value]
    run(album, "-o", tmp_path / "out", *numbers, "--no-mesh", "--column", "img", "--device", "cuda")
    options = {"min_face": 40, "max_faces": 2, "min_score": 0.8, "fov_deg": 30, **NETWORK_OPTIONS}
    (settings,) = asked
    assert (settings.device, settings.mesh, settings.column, settings.options) == (
        "cuda",
        False,
        "img",
        options,
    )


def test_ctrl_c_says_what_was_done(album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finish = local.run

    def run_two(jobs: Iterable[Job], settings: Settings, workers: int) -> Iterator[Piece | Outcome]:
        yield from islice(finish(jobs, settings, workers), 4)
        raise KeyboardInterrupt

    monkeypatch.setattr(local, "run", run_two)
    code, printed, _ = run(album, "-o", tmp_path / "out", "--part-size", 1)
    assert code == 130 and printed.startswith("stopped by Ctrl-C: 2 photos, 0 faces, 0 failed")
    assert "the same command goes on" in printed
    monkeypatch.setattr(local, "run", finish)
    assert run(album, "-o", tmp_path / "out")[1].startswith("5 photos (2 were done before)")


def test_what_is_no_photo_is_said_once(album: Path, tmp_path: Path) -> None:
    os.mkfifo(album / "pipe.jpg")
    for earlier in ("", " (6 were done before)"):
        _, printed, reported = run(album, "-o", tmp_path / "out")
        assert printed.startswith(f"6 photos{earlier}, 0 faces")
        assert reported.count("pipe.jpg': not a regular file") == 1


WRONG_USAGE = [
    ([], "Missing option"),
    (["-o", "out"], "got none"),
    (["album"], "Missing option"),
    (["album", "-o", "out", "--engine", "spark"], "spark"),
    (["album", "-o", "out", "--workers", "0"], "--workers"),
    (["album", "-o", "out", "--part-size", "0"], "--part-size"),
    (["album", "-o", "out", "--gpus-per-worker", "0"], "gpus_per_worker: expected"),
    (["nowhere", "-o", "out"], "'nowhere' is not there"),
    (["*.gif", "-o", "out"], "found none"),
    (["album", "-o", "album/0.jpg"], "album/0.jpg': it is a file; name another"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG_USAGE)
def test_wrong_usage(
    album: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(album.parent)
    code, _, reported = run(*arguments)
    assert code == 2 and message in reported and asked == []


def test_help_has_an_example() -> None:
    code, printed, _ = run("--help")
    assert code == 0 and "facegeom batch photos/" in printed


def test_installed_command(tmp_path: Path) -> None:
    """From a shell, with real workers: a photo with a face and one that is none."""
    (tmp_path / "album").mkdir()
    (tmp_path / "album/words.jpg").write_text("words")
    portrait = files("facegeom") / "data" / "astronaut.jpg"
    (tmp_path / "album/face.jpg").write_bytes(portrait.read_bytes())
    command = [sys.executable, "-m", "facegeom", "batch", "album", "-o", "out", "--workers", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("2 photos, 1 face, 1 failed")
    rows = pq.read_table(tmp_path / "out/parts").to_pylist()
    assert [(row["key"], row["faces"]) for row in rows] == [
        ("album/face.jpg", 1),
        ("album/words.jpg", None),
    ]

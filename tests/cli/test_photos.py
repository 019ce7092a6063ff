"""Which photos a command takes, how their files are named, and how trouble ends."""

import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer import Exit

from facegeom.cli.photos import collect_photos, process_photos
from facegeom.results import Faces
from facegeom.worker_pool import process
from facegeom.worker_pool.process import WorkerProcess

from .conftest import Networks, run, store, tree


def stems(*sources: Path) -> dict[str, str]:
    """Return the names of the output files by the names of the photos."""
    return {photo.name: photo.stem for photo in collect_photos(sources).photos}


SAME_STEM = [
    (["IMG_1.jpg", "IMG_1.png"], ["IMG_1", "IMG_1.png"]),
    (["IMG_1.JPG", "IMG_1.jpg", "IMG_1.png", "IMG_2.png"], ["IMG_1", "IMG_1.jpg", "IMG_1.png", "IMG_2"]),
    (["IMG_1.JPG", "img_1.png"], ["IMG_1", "img_1.png"]),
    (["a.jpg", "a.png", "a.png.jpg"], ["a", "a.png", "a.png.jpg"]),
    (["a.jpg", "a.png.jpg"], ["a", "a.png"]),
    (["sub/a.jpg", "sub/a.png", "a.png"], ["sub/a", "sub/a.png", "a"]),
]


@pytest.mark.parametrize(("names", "expected"), SAME_STEM)
def test_photos_that_differ_in_the_ending(tmp_path: Path, names: list[str], expected: list[str]) -> None:
    """The folder decides: one by one, in any order, and all at once they have the same names."""
    paths = [store(tmp_path / name) for name in names]
    by_name = dict(zip(names, expected, strict=True))
    assert stems(tmp_path) == stems(*(tmp_path / name for name in ["."])) == by_name
    for path, stem in zip(paths, expected, strict=True):
        (found,) = stems(path).values()
        assert found == Path(stem).name
    alone = stems(*reversed(paths[:2]))
    assert set(alone.values()) == {Path(stem).name for stem in expected[:2]}


def test_both_of_a_pair_are_written(networks: Networks, tmp_path: Path) -> None:
    for name in ("IMG_1.jpg", "IMG_1.png"):
        store(tmp_path / "album" / name)
    code, printed, _ = run(tmp_path / "album", "-o", tmp_path / "out", "--format", "json")
    assert code == 0 and printed.startswith("2 photos, 2 faces, 0 failed")
    assert tree(tmp_path / "out") == ["IMG_1.json", "IMG_1.png.json"]


def test_same_name_in_two_folders(networks: Networks, tmp_path: Path) -> None:
    """The second keeps its folder; a third with the same folder's name is reported, the rest is done."""
    photos = [store(tmp_path / name) for name in ("x/a.jpg", "y/a.jpg", "z/y/a.jpg", "z/b.jpg")]
    code, _, reported = run(*photos, "-o", tmp_path / "out", "--format", "json")
    assert code == 1 and reported.count("failed:") == 1 and "would both be written as 'y/a'" in reported
    assert tree(tmp_path / "out") == ["a.json", "b.json", "y/a.json"]


def test_unknown_ending_beside_a_photo(tmp_path: Path) -> None:
    photos = store(tmp_path / "a.jpg"), store(tmp_path / "a.raw")
    assert stems(*photos) == {"a.jpg": "a", "a.raw": "a.raw"} and stems(photos[1]) == {"a.raw": "a.raw"}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("album/*.jpg", ["a.json"]),
        ("album/*", ["a.json", "a.png.json"]),
        ("album/**/*.jpg", ["a.json", "trip/c.json"]),
        ("al*m/[ab].*", ["album/a.json", "album/a.png.json"]),
        ("odd [1].jpg", ["odd [1].json"]),
    ],
)
def test_quoted_patterns(
    networks: Networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, expected: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = (
        "album/a.jpg",
        "album/a.png",
        "album/.b.jpg",
        "album/a.overlay.jpg",
        "album/trip/c.jpg",
        "odd [1].jpg",
    )
    for name in names:
        store(tmp_path / name)
    code, _, _ = run(pattern, "-o", "out", "--format", "json")
    assert code == 0 and tree(tmp_path / "out") == expected


def test_pictures_of_earlier_runs_are_no_photos(tmp_path: Path) -> None:
    names = ("a.jpg", "a.overlay.jpg", "a.0.depth.png", "a.12.depth.png", "b.depth.png")
    for name in names:
        store(tmp_path / name)
    assert list(stems(tmp_path)) == ["a.jpg", "b.depth.png"]
    assert list(stems(tmp_path / "a.overlay.jpg")) == ["a.overlay.jpg"]  # asked for by name


def test_files_that_are_no_files(networks: Networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    album = tmp_path / "album"
    store(album / "a.jpg")
    os.mkfifo(album / "pipe.jpg")
    os.symlink("nothing", album / "link.jpg")
    (album / os.fsdecode(b"caf\xe9.jpg")).write_bytes((album / "a.jpg").read_bytes())
    monkeypatch.chdir(album)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.jpg")
        code, printed, reported = run(album, "/dev/zero", "-o", tmp_path / "out", "--format", "json")
    assert code == 1 and "1 face, 5 failed" in printed and tree(tmp_path / "out") == ["a.json"]
    assert reported.count("failed:") == 5
    for reason in ("not a regular file", "no such file", "the file's name is not UTF-8"):
        assert reason in reported


def test_folders_that_cannot_be_searched(
    networks: Networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is closed to the user, and one that disappears during the search."""
    album = tmp_path / "album"
    for name in ("a.jpg", "closed/b.jpg", "gone/c.jpg", "z/d.jpg"):
        store(album / name)
    scan = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        if str(path).endswith("gone"):
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    code, printed, reported = run(album, "-o", tmp_path / "out", "--format", "json")
    assert code == 1 and printed.startswith("2 photos, 2 faces, 2 failed")
    assert "closed': Permission denied" in reported and "gone': No such file" in reported
    assert tree(tmp_path / "out") == ["a.json", "z/d.json"]


@pytest.mark.parametrize(
    ("error", "message"),
    [(MemoryError(), "b.jpg': not enough memory"), (KeyError("two\nlines"), "b.jpg': unexpected KeyError:")],
)
def test_unexpected_errors_are_one_line(
    networks: Networks, make_faces: Callable[..., Faces], tmp_path: Path, error: Exception, message: str
) -> None:
    def predict(image: np.ndarray) -> Faces:
        if image[0, 0, 0] < 50:
            raise error
        return make_faces()

    networks.predict = predict
    photos = [store(tmp_path / name, value) for name, value in (("a.jpg", 90), ("b.jpg", 10), ("c.jpg", 90))]
    code, printed, reported = run(*photos, "-o", tmp_path / "out", "--format", "json")
    assert code == 1 and printed.startswith("3 photos, 2 faces, 1 failed") and message in reported
    assert reported.count("failed:") == 1 and "Traceback" not in reported


def test_ctrl_c_says_what_was_done(
    networks: Networks, make_faces: Callable[..., Faces], tmp_path: Path
) -> None:
    def predict(image: np.ndarray) -> Faces:
        if len(networks.used_fov_deg) == 3:
            raise KeyboardInterrupt
        return make_faces()

    networks.predict = predict
    photos = [store(tmp_path / f"{number}.jpg") for number in range(5)]
    code, printed, _ = run(*photos, "-o", tmp_path / "out", "--format", "json")
    assert code == 130 and printed.startswith("stopped by Ctrl-C, 3 left: 2 photos, 2 faces, 0 failed")
    assert tree(tmp_path / "out") == ["0.json", "1.json"]


MODULE = """
import logging, os, time

def process(found):
    def one(photo):
        match photo.path.stem:
            case "endless":
                time.sleep(3600)
            case "dead":
                os._exit(3)
            case "large":
                raise MemoryError
            case "odd":
                logging.getLogger("facegeom").warning("odd photo")
        return found, [f"pid {os.getpid()}"]
    return one
"""


@pytest.mark.workers
def test_a_photo_that_takes_too_long_or_kills_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Workers are real here; a new one does the next photo."""
    (tmp_path / "work_of_test.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    photos = [store(tmp_path / f"{name}.jpg") for name in ("a", "endless", "b", "dead", "large", "odd")]
    with pytest.raises(Exit) as ended:
        process_photos(collect_photos(photos), "work_of_test:process", {"found": 2}, "testing", tmp_path, 5)
    printed, reported = capsys.readouterr()
    assert ended.value.exit_code == 1
    assert printed.startswith("6 photos, 6 faces, 3 failed")
    lines = reported.splitlines()
    assert lines[0] == f"failed: {str(photos[1])!r}: it took longer than 5 s and was left out"
    assert "exited with 3; the photo was left out" in lines[1]
    assert (
        lines[2]
        == f"failed: {str(photos[4])!r}: not enough memory; make the photo smaller, or close other programs"
    )
    assert lines[3:] == ["odd photo"]


@pytest.mark.workers
def test_ctrl_c_ends_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "work_of_test.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    pids: list[int] = []

    def start_and_interrupt(*arguments: Any) -> WorkerProcess:
        worker = process.start(*arguments)
        pids.append(worker.pid)
        threading.Timer(0.2, signal.raise_signal, [signal.SIGINT]).start()
        return worker

    monkeypatch.setattr("facegeom.cli.photos.start", start_and_interrupt)
    photos = collect_photos([store(tmp_path / "endless.jpg"), store(tmp_path / "b.jpg")])
    with pytest.raises(Exit) as ended:
        process_photos(photos, "work_of_test:process", {"found": 2}, "testing", tmp_path, 60)
    assert ended.value.exit_code == 130
    assert capsys.readouterr().out.startswith("stopped by Ctrl-C, 2 left: 0 photos")
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)

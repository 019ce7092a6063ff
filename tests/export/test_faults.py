"""Every step of every write fails once: nothing half written stays, older files stay as they were.

A step is a call of the operating system that makes, fills, renames or removes a file. The writers of all
files are driven: results, runs, videos and tables. The disk is full, or the place forbidden.
"""

import errno
import io
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from facegeom.batch.input_index import Job, PhotoRef, Record, write_index
from facegeom.batch.output import Output
from facegeom.errors import FacegeomError, OutputError
from facegeom.export.files import replacing, write
from facegeom.results import Faces


def results(folder: Path, faces: Faces) -> None:
    faces[:1].save(folder, ["json", "obj", "ply"])


def index(folder: Path, _: Faces) -> None:
    write_index([Job(0, (PhotoRef("a", "a", "file", "/a"),))], folder)


RECORD = Record(0, 0, True, 1, 0, 0, 7, "", "")


def part(folder: Path, _: Faces) -> None:
    Output(str(folder)).write(RECORD.file, b"content")


def ledger(folder: Path, _: Faces) -> None:
    Output(str(folder)).replace([RECORD])


WRITERS: dict[str, Callable[[Path, Faces], None]] = {
    "results": results,
    "index": index,
    "part": part,
    "ledger": ledger,
}


class Faults:
    """Let the n-th step fail, counted over all files of the folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
        self.folder, self.code, self.left = folder, code, -1
        self.steps = 0
        whole_open, whole_replace, whole_mkdir = io.open, os.replace, os.mkdir

        def step(path: Any) -> None:
            if str(path).startswith(str(folder)):
                self.steps += 1
                self.left -= 1
                if self.left == 0:
                    raise OSError(self.code, os.strerror(self.code), str(path))

        class Stream:
            def __init__(self, stream: Any, path: Any) -> None:
                self._stream, self._path = stream, path

            def write(self, content: Any) -> Any:
                half = content[: len(content) // 2]
                self._stream.write(half)  # the disk fills up within a write
                step(self._path)
                return self._stream.write(content[len(half) :])

            def __getattr__(self, name: str) -> Any:
                return getattr(self._stream, name)

            def __enter__(self) -> "Stream":
                return self

            def __exit__(self, *error: Any) -> None:
                self._stream.close()

        def open_(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
            if set(mode) & set("wax+") and str(file).startswith(str(folder)):
                step(file)
                return Stream(whole_open(file, mode, *arguments, **named), file)
            return whole_open(file, mode, *arguments, **named)

        def replace(source: Any, target: Any) -> None:
            step(target)
            whole_replace(source, target)

        def mkdir(path: Any, *arguments: Any) -> None:
            if not os.path.isdir(path):  # else a failure changes nothing
                step(path)
            whole_mkdir(path, *arguments)

        monkeypatch.setattr(io, "open", open_)
        monkeypatch.setattr("builtins.open", open_)
        monkeypatch.setattr(os, "replace", replace)
        monkeypatch.setattr(os, "mkdir", mkdir)
        monkeypatch.setattr(
            Path, "open", lambda self, mode="r", *rest, **named: open_(self, mode, *rest, **named)
        )


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EIO], ids=errno.errorcode.get)
@pytest.mark.parametrize("again", [False, True], ids=["new", "over older files"])
@pytest.mark.parametrize("writer", WRITERS)
def test_every_step_fails_once(
    writer: str, again: bool, code: int, faces: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, failed = tmp_path / "whole", 0
    whole.mkdir()
    WRITERS[writer](whole, faces)
    expected = content_of(whole)
    for number in range(1, 100):
        folder = tmp_path / str(number)
        folder.mkdir()
        if again:
            WRITERS[writer](folder, faces)
        before = content_of(folder)
        with monkeypatch.context() as patched:
            faults = Faults(folder, patched, code)
            faults.left = number
            try:
                WRITERS[writer](folder, faces)
            except FacegeomError as error:
                assert isinstance(error, OutputError) and os.strerror(code) in str(error)
                failed += 1
            else:
                assert faults.steps < number
                break
        after = content_of(folder)
        for name, content in after.items():  # whole, or as it was; a line of the ledger may be half
            assert content in (expected.get(name), before.get(name)) or name == "ledger.jsonl", name
        assert before.keys() <= after.keys() <= expected.keys() | before.keys()
        WRITERS[writer](folder, faces)  # and again, with room
        assert content_of(folder).keys() == expected.keys()
    assert failed >= (1 if writer == "index" else 2)  # Arrow fills the index by itself


def _raise(kind: type[BaseException], *_: Any) -> None:
    raise kind


class Killed(BaseException):
    """Like the end of the process: nothing catches it."""


@pytest.mark.parametrize("place", ["within", "before the name"])
def test_a_signal_between_write_and_rename(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older file stays, nothing half written does; KeyboardInterrupt behaves the same."""
    path = tmp_path / "a.json"
    write(path, b"older")
    for kind in (Killed, KeyboardInterrupt, SystemExit):
        with pytest.raises(kind), replacing(path) as temporary:
            temporary.write_bytes(b"half")
            if place == "within":
                raise kind
            with monkeypatch.context() as patched:
                patched.setattr(os, "replace", partial(_raise, kind))
                os.replace(temporary, path)
        assert content_of(tmp_path) == {"a.json": b"older"}

"""Every class of error that a decoder or a lack of memory may raise, through every door.

What leaves is an error of facegeom, or a sentence for the photo, and the photo after it is done.
"""

import struct
import zlib
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from typer.testing import CliRunner

from facegeom import FaceAnalyzer, FacegeomError, HeadPoseDetector
from facegeom.batch.input_index import Job, PhotoRef
from facegeom.batch.work import Piece, Settings, Worker
from facegeom.cli.photos import PhotoWorker
from facegeom.cli.root import app
from facegeom.image import decoding, reading
from facegeom.models.engine import Engine
from facegeom.serve.app import Application
from facegeom.serve.limits import Settings as Limits
from facegeom.serve.work import analyze_tasks

ERRORS: list[Exception] = [
    AssertionError("a"),
    AttributeError("a"),
    EOFError(),
    IndexError("a"),
    KeyError("a"),
    MemoryError(),
    NotImplementedError("a"),
    OSError(5, "a"),
    OverflowError("a"),
    RecursionError("a"),
    RuntimeError("a"),
    StopIteration(),
    SyntaxError("a"),
    TypeError("a"),
    UnicodeDecodeError("ascii", b"a", 0, 1, "a"),
    ValueError("a"),
    ZeroDivisionError("a"),
    Image.DecompressionBombError("a"),
    Image.UnidentifiedImageError("a"),
    struct.error("a"),
    zlib.error("a"),
    np.exceptions.DTypePromotionError("a"),
]
BAD_WIDTH = 37
"""Width of the photo at which decoders raise."""


@cache
def analyzer() -> FaceAnalyzer:
    return FaceAnalyzer(threads=1)


@cache
def detector() -> HeadPoseDetector:
    return HeadPoseDetector(threads=1)


def encoded(width: int = BAD_WIDTH) -> bytes:
    stream = BytesIO()
    Image.new("RGB", (width, 30), (90, 90, 90)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture(params=["open", "decode", "colours", "exif"])
def broken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    """Break one step of decoding, for one photo among others."""
    names = {"open": "check_size", "decode": "_to_rgb", "colours": "converter", "exif": "read_exif"}
    name, whole = names[request.param], getattr(decoding, names[request.param])

    def install(error: Exception) -> None:
        def step(*arguments: Any) -> Any:
            first = arguments[0]
            if name == "converter" or BAD_WIDTH in (first, getattr(first, "width", None)):
                raise error
            return whole(*arguments)

        monkeypatch.setattr(decoding, name, step)
        if name == "converter":  # it is asked for where there is a profile
            monkeypatch.setattr(decoding, "_to_rgb", lambda image, _: step(image))

    return install


LIBRARY: dict[str, Callable[[Path], object]] = {
    "path": lambda path: analyzer()(path),
    "bytes": lambda path: analyzer()(path.read_bytes()),
    "file": lambda path: analyzer()(path.open("rb")),
    "at": lambda path: analyzer().at(path, [[1, 1, 20, 20]]),
    "batch": lambda path: analyzer().batch([path]),
    "heads": lambda path: detector()(path),
    "heads, batch": lambda path: detector().batch([path]),
    "read": reading.read,
    "decode": lambda path: reading.decode(path, reading.FaceSize(12.0), 98.0),
    "Pillow image": lambda path: analyzer()(Image.open(path)),
}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_the_library(error: Exception, broken: Callable[[Exception], None], tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes(encoded())
    broken(error)
    for name, door in LIBRARY.items():
        with pytest.raises(FacegeomError) as raised:
            door(photo)
        assert str(raised.value), name
    kept = analyzer().batch([encoded(40), photo, encoded(41)], on_error="keep")
    if isinstance(kept[0], FacegeomError):  # all are broken
        assert all(isinstance(each, FacegeomError) for each in kept)
    else:
        assert [isinstance(each, FacegeomError) for each in kept] == [False, True, False]


def rows(content: bytes) -> list[str | None]:
    return list(pq.read_table(pa.BufferReader(content))["error"].to_pylist())


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_commands_and_the_service(error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One photo of three fails: the others are done, and its reason is one line."""
    paths = [tmp_path / f"{name}.jpg" for name in "abc"]
    for path, width in zip(paths, (40, BAD_WIDTH, 41), strict=True):
        path.write_bytes(encoded(width))
    whole = decoding._to_rgb

    def step(image: Image.Image, name: str) -> Any:
        if image.width == BAD_WIDTH:
            raise error
        return whole(image, name)

    monkeypatch.setattr(decoding, "_to_rgb", step)
    worker = Worker(Settings(options={"min_face": 20}))
    pieces: list[Any] = []
    job = Job(0, tuple(PhotoRef(path.name, None, "file", str(path)) for path in paths))
    assert (
        worker(job, report=lambda event: pieces.append(event) if isinstance(event, Piece) else None) is None
    )
    reasons = rows(pieces[0].content)
    assert [reason is None for reason in reasons] == [True, False, True]
    assert "\n" not in str(reasons[1]) and "unexpected" not in str(reasons[1])

    class Inline:
        def __init__(self, _: str, *arguments: Any) -> None:
            self._worker = PhotoWorker(*arguments)

        def call(self, photo: Any, on_message: Any, limit_s: float) -> Any:
            return self._worker(photo, on_message)

        def end(self, ask: int | None = None) -> None: ...

    monkeypatch.setattr("facegeom.cli.photos.start", Inline)
    for command in ("analyze", "detect"):
        out = ["-o", str(tmp_path / "out")] if command == "analyze" else [str(tmp_path / "out")]
        done = CliRunner().invoke(app, [command, str(tmp_path / "[abc].jpg"), *out])
        assert done.exit_code == 1 and "3 photos, 0 faces, 1 failed" in done.stdout, done.output
        assert "Traceback" not in done.output and "unexpected" not in done.output
        assert done.stderr.count("failed:") == 1

    application = Application([lambda tasks: analyze_tasks(analyzer(), tasks)], Limits())
    with TestClient(application, base_url="http://127.0.0.1") as client:
        codes = [client.post("/v1/analyze", content=path.read_bytes()).status_code for path in paths]
    assert codes[0] == codes[2] == 200 and 400 <= codes[1] < 500


@pytest.mark.parametrize("raised", [MemoryError(), RuntimeError("Failed to allocate memory"), "fail"])
def test_a_network_without_memory(
    raised: Exception | str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In a folder run, in a batch and alone; the photos that fit are done."""
    error = raised if isinstance(raised, Exception) else ValueError(raised)
    found: list[Any] = []

    class Session:
        def __init__(self, whole: Any) -> None:
            self.whole = whole

        def run(self, _: None, inputs: dict[str, Any]) -> Any:
            found.append(len(inputs["pictures"]))
            if len(inputs["pictures"]) > 1 or inputs["pictures"].shape[2] > 512:
                raise error
            return self.whole.run(None, inputs)

    own = FaceAnalyzer(threads=1)
    engine: Engine = own.detector.engine  # type: ignore[attr-defined]
    monkeypatch.setattr(engine, "_session", Session(engine._session))
    wide = np.zeros((30, 4000), np.uint8)
    with pytest.raises(FacegeomError, match=r"not enough memory|onepass.int8.onnx failed: 'fail'"):
        own(wide, min_face=12)
    if error.args != ("fail",):
        assert [len(each) for each in own.batch([encoded(40), encoded(40)])] == [0, 0]
        kept = own.batch([encoded(40), wide, encoded(40)], min_face=12, on_error="keep")
        assert [isinstance(each, FacegeomError) for each in kept] == [False, True, False]
    photo = Path(str(files("facegeom") / "data" / "astronaut.jpg"))
    monkeypatch.undo()
    assert len(own(photo)) == 1

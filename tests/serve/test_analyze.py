"""POST /v1/analyze: good photos, bad photos, limits."""

import asyncio
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from facegeom import FaceAnalyzer
from facegeom.image.reading import read
from facegeom.serve.app import Application
from facegeom.serve.limits import Settings
from facegeom.serve.uploads import _Reading

PATH = "/v1/analyze"


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Return the image as a file."""
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def plain(width: int = 32, height: int = 24, value: int = 90) -> bytes:
    """Return a grey PNG."""
    return encoded(Image.new("RGB", (width, height), (value,) * 3))


FORM: dict[str, Any] = {"headers": {"content-type": "multipart/form-data; boundary=b"}}


def form(*parts: tuple[str, bytes], end: bytes = b"--b--\r\n") -> dict[str, Any]:
    """Return a request with a form of the boundary b, from dispositions and contents."""
    head = b"--b\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n"
    body = b"".join(head % (disposition.encode(), content) for disposition, content in parts)
    return {"content": body + end, **FORM}


def raw(content: bytes, kind: str | None = "application/octet-stream") -> dict[str, Any]:
    return {"content": content, "headers": {"content-type": kind} if kind else {}}


@pytest.mark.parametrize("kind", ["form", "image/jpeg", "application/octet-stream", None])
def test_the_answer_is_the_analyzers(
    client: TestClient, analyzer: FaceAnalyzer, portrait: Path, kind: str | None
) -> None:
    photo = portrait.read_bytes()
    request = {"files": {"file": ("me.jpg", photo)}} if kind == "form" else raw(photo, kind)
    answer = client.post(PATH, **request)
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    data, expected = answer.json(), analyzer(photo).to_dict()
    name = "me.jpg" if kind == "form" else None
    assert data["image"] == {"file": name, "width": 512, "height": 512, "min_face_px": 20}
    assert data["faces"] == expected["faces"]
    jsonschema.validate(data, client.get("/v1/schema").json())


def test_many_callers_at_once(client: TestClient, analyzer: FaceAnalyzer, portrait: Path) -> None:
    picture = Image.open(portrait)
    photos = [encoded(picture.rotate(angle), "JPEG") for angle in range(0, 24, 3)]
    answers: dict[int, dict[str, Any]] = {}

    def ask(index: int) -> None:
        answers[index] = client.post(PATH, **raw(photos[index])).json()

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(len(photos))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, photo in enumerate(photos):
        expected = analyzer(photo).to_dict()["faces"]
        assert len(answers[index]["faces"]) == len(expected) == 1
        for key in ("box_xyxy", "mesh_px"):
            np.testing.assert_allclose(answers[index]["faces"][0][key], expected[0][key], atol=0.02)


def test_no_face_is_a_result(client: TestClient) -> None:
    assert client.post(PATH, **raw(plain())).json() == {
        "schema": 2,
        "image": {
            **{"file": None, "width": 32, "height": 24, "min_face_px": 12},
            **{"fov_deg": 50, "fov_source": "assumed"},
        },
        "faces": [],
    }


def test_exif_turns_the_photo(client: TestClient) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = encoded(Image.new("RGB", (32, 24)), "JPEG", exif=exif)
    image = client.post(PATH, **raw(photo)).json()["image"]
    assert (image["width"], image["height"]) == (24, 32)


@pytest.mark.parametrize(
    ("name", "media_type", "starts"),
    [
        ("json", "application/json", b'{"schema":2,'),
        ("overlay", "image/jpeg", b"\xff\xd8\xff"),
        ("png", "image/png", b"\x89PNG"),
        ("glb", "model/gltf-binary", b"glTF\x02\0\0\0"),
        ("obj", "model/obj", b"# facegeom mesh"),
        ("ply", "model/ply", b"ply\nformat binary"),
    ],
)
def test_formats(client: TestClient, portrait: Path, name: str, media_type: str, starts: bytes) -> None:
    photo = portrait.read_bytes()
    by_name = client.post(PATH, params={"format": name}, **raw(photo))
    by_header = client.post(PATH, content=photo, headers={"accept": media_type})
    assert by_name.content == by_header.content and by_name.content.startswith(starts)
    for answer in (by_name, by_header):
        assert answer.headers["content-type"] == media_type and answer.headers["vary"] == "Accept"
        assert answer.headers["cache-control"] == "no-store"


def test_options_reach_the_analyzer(client: TestClient, portrait: Path) -> None:
    photo = portrait.read_bytes()
    near, far = (
        client.post(PATH, params={"fov_deg": fov}, **raw(photo)).json()["faces"][0]["pose"]["camera"]
        for fov in (90, 30)
    )
    assert far["translation_mm"][2] > 3 * near["translation_mm"][2]
    assert (far["fov_deg"], far["fov_source"]) == (30, "given")
    sideways = encoded(Image.open(portrait).rotate(90), "PNG")
    auto = client.post(PATH, params={"orientation": "auto"}, **raw(sideways)).json()
    assert auto["image"]["turned_deg"] == 90 and len(auto["faces"]) == 1
    assert client.post(PATH, params={"min_score": 1}, **raw(photo)).json()["faces"] == []
    assert client.post(PATH, params={"min_face": 400}, **raw(photo)).json()["faces"] == []


def test_a_large_photo_is_decoded_whole_only_for_its_pixels(
    client: TestClient, portrait: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = encoded(Image.open(portrait).resize((4000, 4000)), "JPEG")
    decoded: list[bytes] = []
    monkeypatch.setattr(
        "facegeom.serve.work.reading.read", lambda content: decoded.append(content) or read(content)
    )
    for name in ("json", "obj", "ply"):
        assert client.post(PATH, params={"format": name}, **raw(photo)).status_code == 200
    assert not decoded
    overlay = client.post(PATH, params={"format": "overlay"}, **raw(photo)).content
    assert Image.open(BytesIO(overlay)).size == (4000, 4000) and len(decoded) == 1


def test_a_photo_too_wide_for_its_overlay(client: TestClient) -> None:
    photo = encoded(Image.new("RGB", (70_000, 20)), "PNG")
    refused = client.post(PATH, params={"format": "overlay"}, **raw(photo))
    check_problem(refused, 422, "at most 65,500 pixels a side for JPEG, got 70,000 x 20; take PNG")
    assert client.post(PATH, **raw(photo)).json()["image"]["width"] == 70_000
    drawn = client.post(PATH, params={"format": "png"}, **raw(photo))
    assert Image.open(BytesIO(drawn.content)).size == (70_000, 20)


BAD_BODIES: dict[str, tuple[dict[str, Any], int, str]] = {
    "nothing": (raw(b""), 422, "got nothing"),
    "words": (raw(b"words"), 422, "not a picture in a known format"),
    "cut short": (raw(plain()[:60]), 422, "damaged or cut short"),
    "a page": (raw(b"<html>", "text/html"), 415, "got 'text/html'"),
    "json": (raw(b"{}", "application/json"), 415, "multipart/form-data"),
    "no boundary": (raw(b"x", "multipart/form-data"), 400, "broken body"),
    "no form": (raw(b"x", "multipart/form-data; boundary=b"), 400, "broken body"),
    "other field": (form(('name="photo"', plain())), 400, "alone, got ['photo']"),
    "another field": (form(('name="file"', plain()), ('name="x"', b"1")), 400, "got ['file', 'x']"),
    "no field": (form(end=b"--b--\r\n"), 400, "got []"),
    "two files": (form(('name="file"', plain()), ('name="file"', plain())), 400, "got ['file', 'file']"),
    "form cut short": (form(('name="file"', plain()), end=b""), 400, "expected a whole form"),
    "boundaries alone": ({"content": b"--b\r\n" * 3_000_000, **FORM}, 400, "a part without a header of"),
    "a header without end": ({"content": b"--b\r\n" + b"A: b\r\n" * 3_000_000, **FORM}, 400, "at most 8,192"),
    "many fields": (form(*[('name="file"', b"1")] * 99_999), 400, "alone, got ['file', 'file']"),
    "a long name": (form((f'name="{"n" * 8000}"', b"1")), 400, f"got ['{'n' * 50}']"),
    "too long a name": (form((f'name="{"n" * 9_000_000}"', b"1")), 400, "at most 8,192 bytes"),
    "a name in the form": (
        form(('name="file"', plain()), end=b"--bother\r\n"),
        400,
        "a part without a header",
    ),
    "empty file": (form(('name="file"; filename="a.jpg"', b"")), 422, "got nothing"),
    "script named as a photo": (form(('name="file"; filename="a.jpg"', b"%!PS")), 422, "known format"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_bad_bodies(serve: Callable[..., TestClient], name: str) -> None:
    request, status, reason = BAD_BODIES[name]
    client = serve()
    started = time.process_time()
    answer = client.post(PATH, **request)
    assert time.process_time() - started < 2  # of the processor: 20 MB of boundaries took 20
    check_problem(answer, status, reason)
    assert len(answer.content) < 500 and client.app.service.bytes.taken == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"min_score": 1.5}, "min_score: input should be less than or equal to 1, got '1.5'"),
        ({"min_score": "nan"}, "min_score"),
        ({"min_face": 0}, "min_face"),
        ({"max_faces": 0}, "max_faces"),
        ({"fov_deg": 180}, "fov_deg"),
        ({"orientation": "up"}, "orientation: input should be 'exif' or 'auto', got 'up'"),
        ({"format": "exe"}, "format: input should be 'json', 'overlay'"),
        ({"face": -1}, "face"),
        ({"minscore": 0.5}, "min_score, fov_deg, orientation, got 'minscore'"),
    ],
)
def test_bad_options(serve: Callable[..., TestClient], options: dict[str, Any], reason: str) -> None:
    check_problem(serve().post(PATH, params=options, **raw(plain())), 422, reason)


def test_a_face_that_is_not_there(client: TestClient, portrait: Path) -> None:
    options = {"format": "obj", "face": 1}
    answer = client.post(PATH, params=options, **raw(portrait.read_bytes()))
    check_problem(answer, 404, "1 is not there, the photo has 1")


def test_no_acceptable_format(serve: Callable[..., TestClient]) -> None:
    answer = serve().post(PATH, content=plain(), headers={"accept": "text/html"})
    check_problem(answer, 406, "got 'text/html'")


@pytest.mark.parametrize("announced", [True, False])
def test_too_many_bytes(serve: Callable[..., TestClient], announced: bool) -> None:
    client = serve(max_bytes=1000)

    def chunks() -> Iterator[bytes]:
        for _ in range(11):
            yield bytes(100)

    answer = client.post(PATH, content=bytes(1001) if announced else chunks())
    check_problem(answer, 413, "at most 1,000 bytes")
    assert client.post(PATH, content=plain()).status_code == 200


def test_too_many_pixels(serve: Callable[..., TestClient]) -> None:
    client = serve(max_pixels=700)
    check_problem(client.post(PATH, content=plain(32, 24)), 413, "at most 700 pixels, got 32 x 24")
    assert client.post(PATH, content=plain(25, 28)).status_code == 200


def test_a_failure_of_one_photo_is_its_own(serve: Callable[..., TestClient]) -> None:
    client = serve()
    check_problem(client.post(PATH, content=plain(value=0)), 500, "the service has failed")
    assert client.post(PATH, content=plain()).status_code == 200


def test_beyond_the_queue(serve: Callable[..., TestClient], fake_analyzer: Any) -> None:
    client = serve(queue=2)
    fake_analyzer.gate.clear()
    codes: list[int] = []
    ask = lambda: codes.append(client.post(PATH, content=plain()).status_code)  # noqa: E731
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    slots = client.app.service.slots  # type: ignore[attr-defined]
    while slots.taken < 2:
        time.sleep(0.001)
    refused = client.post(PATH, content=plain())
    check_problem(refused, 503, "2 photos are in work")
    assert refused.headers["retry-after"] == "1"
    fake_analyzer.gate.set()
    for thread in threads:
        thread.join()
    assert codes == [200, 200] and slots.taken == 0
    assert client.post(PATH, content=plain()).status_code == 200


def test_no_worker_in_time(serve: Callable[..., TestClient], fake_analyzer: Any) -> None:
    client = serve(wait_s=0.01)
    fake_analyzer.gate.clear()
    threads = [threading.Thread(target=client.post, args=(PATH,), kwargs={"content": plain()})]
    threads[0].start()
    while not fake_analyzer.batches:
        time.sleep(0.001)
    refused = client.post(PATH, content=plain())
    check_problem(refused, 503, "no worker was free for 0.01 s")
    assert refused.headers["retry-after"] == "1"
    fake_analyzer.gate.set()
    threads[0].join()
    assert fake_analyzer.batches == [1]


def test_too_slow_an_analysis(serve: Callable[..., TestClient], fake_analyzer: Any) -> None:
    client = serve(timeout_s=1)
    fake_analyzer.gate.clear()
    check_problem(client.post(PATH, content=plain()), 504, "the analysis took longer than 1 s")
    fake_analyzer.gate.set()
    assert client.post(PATH, content=plain()).status_code == 200


def test_too_slow_an_upload(fake_analyzer: Any) -> None:
    status, body = asyncio.run(upload_that_stalls(Application([], Settings(timeout_s=1))))
    assert status == 408 and "the upload paused for more than 1 s" in json.loads(body)["detail"]


def test_an_upload_may_take_as_long_as_it_flows(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 20.0, 50.0, 51.0, 81.0]).__next__
    monkeypatch.setattr("facegeom.serve.uploads.time", SimpleNamespace(monotonic=clock))
    reading = _Reading(None, bytearray(), flowed=0.0, started=clock())  # type: ignore[arg-type]
    pauses = []
    for size in (2_000_000, 10, 1_000_000, 250_000):  # since the last look
        reading.received += bytes(size)
        pauses.append(reading.paused_s())
    assert pauses == [0.0, 30.0, 0.0, 30.0]


async def upload_that_stalls(app: Application) -> tuple[int, bytes]:
    sent: list[dict[str, Any]] = []
    pieces = iter([{"type": "http.request", "body": b"begin", "more_body": True}])

    async def receive() -> Any:
        for piece in pieces:
            return piece
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": PATH, "headers": [], "query_string": b""}
    async with app.router.lifespan_context(app):
        await app(scope, receive, send)
    return sent[0]["status"], sent[1]["body"]


def test_nothing_is_written(
    serve: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))  # a temporary file would fail here
    photo = encoded(Image.new("RGB", (1200, 900), "white"), "BMP")
    assert len(photo) > 3_000_000
    assert serve().post(PATH, files={"file": ("a.bmp", photo)}).status_code == 200


def check_problem(answer: Any, status: int, reason: str) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    problem = answer.json()
    assert problem.keys() == {"title", "status", "detail"} and problem["status"] == status
    assert reason in problem["detail"]

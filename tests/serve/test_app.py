"""What the service answers beside analyses: health, schema, topology, metrics, description, page, weights."""

import hashlib
import json
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fastapi.testclient import TestClient

from facegeom import FaceAnalyzer
from facegeom.geometry import topology
from facegeom.models import weights
from facegeom.serve.pages import RUNTIME, STATIC, version

WASM = RUNTIME.relative_to(STATIC).as_posix()


@pytest.fixture
def plain_client(serve: Callable[..., TestClient]) -> TestClient:
    return serve(max_bytes=5000)


def test_health(plain_client: TestClient) -> None:
    health = plain_client.get("/v1/health").json()
    assert health["status"] == "ok" and health["max_bytes"] == 5000


def test_schema(plain_client: TestClient) -> None:
    shipped = (files("facegeom") / "data" / "faces.schema.json").read_bytes()
    assert plain_client.get("/v1/schema").content == shipped


def test_topology(plain_client: TestClient) -> None:
    shared = plain_client.get("/v1/topology").json()
    assert shared["triangles"] == topology.triangles().tolist()
    assert len(shared["canonical_mm"]) == len(shared["mesh478"]["mirror"]) == 478
    assert shared["ibug68"]["eye_corners"] == [36, 45] and len(shared["ibug68"]["mirror"]) == 68
    assert shared["mesh478"]["regions"]["eye_right"][0] == 33


def test_metrics(plain_client: TestClient) -> None:
    plain_client.post("/v1/analyze", content=b"words")
    plain_client.post("/v1/analyze", content=bytes(6000))
    plain_client.post("/v1/analyze", content=(STATIC / "icon.svg").read_bytes())
    answer = plain_client.get("/metrics")
    lines = answer.text.splitlines()
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'facegeom_requests_total{code="422"} 2.0' in lines
    assert 'facegeom_requests_total{code="413"} 1.0' in lines
    assert "facegeom_request_seconds_count 3.0" in lines and "facegeom_photos_in_work 0.0" in lines


@pytest.mark.parametrize("path", ["/", "/v1/health", "/static/app.js", "/v1/nothing"])
def test_headers(plain_client: TestClient, path: str) -> None:
    headers = plain_client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "http" not in policy and "unsafe-inline" not in policy
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers


def test_headers_of_a_failure(plain_client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facegeom.serve.app.openapi.faces_schema", lambda: 1 / 0)
    answer = plain_client.get("/v1/schema")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    for name, value in plain_client.app.security_headers.items():  # type: ignore[attr-defined]
        assert answer.headers[name] == value
    assert "ZeroDivision" not in answer.text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("LOCALHOST.:1", 200),
        ("[::1]:8000", 200),
        ("192.168.1.20", 200),
        ("faces.example:443", 200),
        ("", 421),
        ("rebound.example", 421),
        ("localhost.rebound.example", 421),
        ("127.0.0.1.rebound.example:8000", 421),
        ("127.0.0.1:8000:8000", 421),
        ("faces.example@rebound.example", 421),
    ],
)
def test_names_of_other_hosts_are_refused(serve: Callable[..., TestClient], host: str, status: int) -> None:
    """A page of another host that points its own name here reads nothing (DNS rebinding)."""
    client = serve(hosts=("Faces.Example",))
    for path in ("/v1/health", "/", "/metrics", "/static/app.js"):
        answer = client.get(path, headers={"host": host})
        assert answer.status_code == status and answer.headers["x-content-type-options"] == "nosniff"


def test_any_host_may_be_allowed(serve: Callable[..., TestClient]) -> None:
    assert serve(hosts=("*",)).get("/v1/health", headers={"host": "rebound.example"}).status_code == 200


def test_the_page_names_no_other_host() -> None:
    own = [path for path in STATIC.rglob("*") if path.is_file() and "vendor" not in path.parts]
    assert len(own) > 10
    for path in own:
        text = path.read_text(encoding="utf-8")
        for name in ("http://www.w3.org/2000/svg", "http://ns.adobe.com/xap/1.0/"):  # names, not addresses
            text = text.replace(name, "")
        assert "http://" not in text and "https://" not in text.replace("https:// or on", ""), path


def test_every_link_of_the_page_is_there(plain_client: TestClient) -> None:
    page = plain_client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    kept = f"static/{version()}"
    for link in (f"{kept}/style.css", f"{kept}/app.js", f"{kept}/icon.svg", "docs", "v1/schema"):
        assert f'"{link}"' in page.text
        assert plain_client.get(f"/{link}").status_code == 200
    assert f'"./{kept}/vendor/three/three.module.min.js"' in page.text
    again = plain_client.get("/", headers={"if-none-match": page.headers["etag"]})
    assert again.status_code == 304 and not again.content


def test_addresses_with_the_version_are_kept_for_ever(plain_client: TestClient) -> None:
    model = plain_client.get("/model.json").json()
    for path in (f"/static/{version()}/app.js", f"/weights/{model['files']['face']}"):
        assert plain_client.get(path).headers["cache-control"] == "public, max-age=31536000, immutable"
        assert plain_client.get(path.replace(version(), "0" * 12)).status_code == 404


@pytest.mark.parametrize(
    "path", ["/", "/sw.js", "/model.json", "/static/app.js", f"/static/{version()}/{WASM}"]
)
def test_compression(plain_client: TestClient, path: str) -> None:
    plain = plain_client.get(path, headers={"accept-encoding": "gzip;q=0, br"})
    small = plain_client.get(path, headers={"accept-encoding": "br, gzip"})
    assert plain.content == small.content and "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "gzip" and small.headers["vary"] == "Accept-Encoding"
    assert int(small.headers["content-length"]) < 0.65 * len(plain.content)
    for name in ("etag", "cache-control", "content-type"):
        assert plain.headers[name] == small.headers[name]
    again = plain_client.get(path, headers={"if-none-match": small.headers["etag"]})
    assert again.status_code == 304 and not again.content


def test_service_worker_keeps_the_page_and_the_networks(plain_client: TestClient) -> None:
    text = plain_client.get("/sw.js").text
    lists = {name: json.loads(value) for name, value in re.findall(r"^const ([A-Z]+) = (.*);$", text, re.M)}
    assert lists["VERSION"] == version()
    for path in lists["SHELL"] + lists["PAGE"] + lists["NETWORKS"]:
        assert plain_client.get(f"/{path.removeprefix('./')}").status_code == 200, path
    assert f"static/{version()}/app.js" in lists["SHELL"] and len(lists["NETWORKS"]) == 6


def test_private_mode_may_be_the_default(serve: Callable[..., TestClient]) -> None:
    assert "data-private" not in serve().get("/").text
    assert '<html data-private="" ' in serve(private=True).get("/").text


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("app.js", "text/javascript; charset=utf-8"),
        ("vendor/three/three.module.min.js", "text/javascript; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_types_of_files(plain_client: TestClient, name: str, kind: str) -> None:
    first = plain_client.get(f"/static/{name}")
    assert (first.status_code, first.headers["content-type"]) == (200, kind)
    again = plain_client.get(f"/static/{name}", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304 and first.headers["cache-control"] == "no-cache"
    assert not again.content


def test_types_that_the_system_may_not_know(
    plain_client: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for ending, kind in {"wasm": "application/wasm", "mjs": "text/javascript; charset=utf-8"}.items():
        file = next(STATIC.rglob(f"*.{ending}")).relative_to(STATIC)
        assert plain_client.get(f"/static/{file.as_posix()}").headers["content-type"] == kind


def test_vendored_files_are_those_of_the_readme() -> None:
    folder = STATIC / "vendor" / "three"
    text = (folder / "README.md").read_text(encoding="utf-8")
    scripts = sorted(folder.glob("*.js"))
    assert len(scripts) == 4
    for script in scripts:
        digest = hashlib.sha256(script.read_bytes()).hexdigest()
        assert f"| `{script.name}` |" in text and digest in text


def test_model_data_names_files_that_are_served(plain_client: TestClient) -> None:
    model = plain_client.get("/model.json").json()
    files = {"files", "bytes", "canonical_mm"}
    parts = files | {"version", "analyzer", "detection", "face", "regions", "depth", "alignment"}
    assert model.keys() == parts
    for name, file in model["files"].items():
        answer = plain_client.get(f"/weights/{file}")
        assert answer.status_code == 200 and len(answer.content) == model["bytes"][name]


def test_the_page_of_the_free_set(serve: Callable[..., TestClient]) -> None:
    client = serve(weights="free")
    research, free = serve().get("/model.json").json(), client.get("/model.json").json()
    assert free["version"] == research["version"] and free["files"].keys() == research["files"].keys()
    for file in free["files"].values():
        assert "-free." in file and file in client.get("/sw.js").text
        assert client.get(f"/weights/{file}").status_code == 200
    offset = FaceAnalyzer(weights="free", threads=1).detector.fusion.offset
    assert free["detection"]["evidence"]["offset"] == offset


def test_weights(plain_client: TestClient) -> None:
    listed = plain_client.get("/weights/manifest.json").json()
    assert listed.keys() == weights.manifest().keys()
    answer = plain_client.get("/weights/pnet.onnx")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert hashlib.sha256(answer.content).hexdigest() == listed["pnet"]["sha256"]


@pytest.mark.parametrize(
    "path",
    [
        "/weights/facepoints_model.ckpt",
        "/weights/__init__.py",
        "/weights/..%2f__init__.py",
        "/weights/%2e%2e/analyzer.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/app.py",
    ],
)
def test_nothing_else_is_served(plain_client: TestClient, path: str) -> None:
    answer = plain_client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_other_methods_are_refused(plain_client: TestClient) -> None:
    answer = plain_client.get("/v1/analyze")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert plain_client.delete("/static/app.js").status_code == 405


def test_description(plain_client: TestClient) -> None:
    text = plain_client.get("/openapi.json").json()
    assert text["openapi"].startswith("3.1") and set(text["paths"]) == {
        *("/v1/analyze", "/v1/health", "/v1/schema", "/v1/topology", "/metrics")
    }
    post = text["paths"]["/v1/analyze"]["post"]
    assert set(post["responses"]) == {
        *("200", "400", "404", "406", "408", "413", "415", "422", "500", "503", "504")
    }
    assert [option["name"] for option in post["parameters"]] == [
        *("format", "face", "min_face", "max_faces", "min_score", "fov_deg", "orientation")
    ]
    for reference in references(text):
        name = reference.removeprefix("#/components/schemas/")
        jsonschema.Draft202012Validator.check_schema(text["components"]["schemas"][name])


def references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [reference for value in part.values() for reference in references(value)]
    return [reference for value in part for reference in references(value)] if isinstance(part, list) else []


def test_the_api_is_described_for_people(plain_client: TestClient) -> None:
    page = plain_client.get("/docs")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    description = plain_client.get("/openapi.json").json()
    for path, methods in description["paths"].items():
        for method, about in methods.items():
            assert f"{method.upper()} {path}</h2>" in page.text
            assert all(
                f"<code>{option['name']}</code>" in page.text for option in about.get("parameters", ())
            )
    targets = set(re.findall(r'href="#(.+?)"', page.text))
    assert targets and targets <= set(re.findall(r'id="(.+?)"', page.text))
    loaded = re.findall(r'<link[^>]*href="(.+?)"|src="(.+?)"', page.text)
    assert len(loaded) == 2 and "<script" not in page.text and "style=" not in page.text
    assert all(plain_client.get(f"/{link or source}").status_code == 200 for link, source in loaded)
    for field in ("faces", "landmarks.ibug68", "pose.camera.fov_source", "detail"):
        assert f"<code>{field}</code>" in page.text

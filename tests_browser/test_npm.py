"""The npm package: assembled, packed, run in Node.js and in Chromium; the numbers are Python's."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from facegeom import FaceAnalyzer, Faces
from facegeom.serve.pages import DEMO

NPM = Path(__file__).parents[1] / "npm"
TIMEOUT_MS = 300_000
MOST_BYTES = 12_000_000

_NODE = """
import { readFileSync } from "node:fs";
import { InputError, analyze, follow } from "facegeom";
const image = { width: 400, height: 400, data: new Uint8Array(readFileSync("pixels")) };
const found = await analyze(image, { max_faces: 1 });
const first = await follow(image, { timeS: 0, restart: true });
const second = await follow(image, { timeS: 0.04 });
const refused = await analyze({ width: 4, height: 4, data: new Uint8Array(5) }).catch((error) => error);
const wrong = await analyze(image, { min_score: 2 }).catch((error) => error);
const errors = [refused, wrong].map((error) => (error instanceof InputError ? error.message : "not refused"));
console.log(JSON.stringify({ found, ids: [first.ids, second.ids], errors }));
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the package where a site would have it."""
    folder = tmp_path_factory.mktemp("site") / "node_modules" / "facegeom"
    folder.parent.mkdir()
    subprocess.run([sys.executable, NPM / "build.py", folder], check=True)
    return folder


@pytest.fixture(scope="module")
def portrait() -> Image.Image:
    return Image.open(DEMO).convert("RGB").resize((400, 400), Image.Resampling.LANCZOS)


@pytest.fixture(scope="module")
def expected(analyzer: FaceAnalyzer, portrait: Image.Image) -> Faces:
    return analyzer(np.asarray(portrait), max_faces=1)


def check(found: list[dict[str, Any]], expected: Faces) -> None:
    assert len(found) == len(expected) == 1
    (face,), one = found, expected[0]
    np.testing.assert_allclose(face["box_xyxy"], one.box_xyxy, atol=0.5)
    np.testing.assert_allclose(face["landmarks"]["ibug68"], one.landmarks_px, atol=0.5)
    np.testing.assert_allclose(face["mesh_px"], one.mesh_px, atol=0.5)
    np.testing.assert_allclose(face["pose"]["rotation"], one.rotation, atol=0.013)
    np.testing.assert_allclose(list(face["expression"].values()), one.expression, atol=0.02)


def test_what_is_packed(package: Path) -> None:
    packed = subprocess.run(
        ["npm", "pack", "--dry-run", "--json", "--offline"], cwd=package, check=True, capture_output=True
    )
    (described,) = json.loads(packed.stdout)
    files = {each["path"] for each in described["files"]}
    assert described["name"] == "facegeom" and described["unpackedSize"] < MOST_BYTES
    exported = json.loads((package / "package.json").read_text())["exports"]
    named = [address for entry in exported.values() if isinstance(entry, dict) for address in entry.values()]
    assert {address.removeprefix("./") for address in named} <= files
    assert {"LICENSE", "README.md", "worker.js", "data/model.json", "data/face.packed"} <= files


def test_nothing_comes_from_elsewhere(package: Path) -> None:
    own = [path for path in package.rglob("*.js") if "vendor" not in path.parts]
    assert len(own) > 25
    for path in own:
        assert not re.search(r"""(from|import|fetch)\s*\(?\s*["']https?:""", path.read_text("utf-8")), path
        for address in re.findall(r"""from\s+["'](\.[^"']+)["']""", path.read_text("utf-8")):
            assert (path.parent / address).is_file(), (path, address)


def test_node_gives_python_s_numbers(package: Path, portrait: Image.Image, expected: Faces) -> None:
    site = package.parents[1]
    (site / "pixels").write_bytes(np.asarray(portrait).tobytes())
    (site / "run.mjs").write_text(_NODE)
    done = subprocess.run(["node", "run.mjs"], cwd=site, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    check(answer["found"]["faces"], expected)
    assert answer["ids"] == [[0], [0]]
    assert "expected 48 bytes of RGB or 64 of RGBA, got 5" in answer["errors"][0]
    assert "min_score" in answer["errors"][1]


def test_the_free_set_in_node(tmp_path: Path, portrait: Image.Image) -> None:
    folder = tmp_path / "node_modules" / "facegeom"
    folder.parent.mkdir()
    subprocess.run([sys.executable, NPM / "build.py", folder, "free"], check=True)
    (tmp_path / "pixels").write_bytes(np.asarray(portrait).tobytes())
    (tmp_path / "run.mjs").write_text(_NODE)
    done = subprocess.run(["node", "run.mjs"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    faces = FaceAnalyzer(weights="free", threads=1)(np.asarray(portrait), max_faces=1)
    check(json.loads(done.stdout)["found"]["faces"], faces)
    readme = (folder / "README.md").read_text("utf-8")
    assert "research only" not in readme and "data/credits-free.txt" in readme
    assert "CC BY 2.0 by " in (folder / "data" / "credits-free.txt").read_text("utf-8")
    refused = subprocess.run(
        [sys.executable, NPM / "build.py", folder, "x"], capture_output=True, check=False
    )
    assert refused.returncode == 1 and b"expected one of int8, free" in refused.stderr


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def page(package: Path, browser: Browser) -> Iterator[Page]:
    """Open the README's example from a plain file server."""
    site = package.parents[1]
    (example,) = re.findall(r"```html\n(.+?)```", (NPM / "README.md").read_text("utf-8"), re.DOTALL)
    assert len(example.splitlines()) <= 20
    (site / "index.html").write_text(example, encoding="utf-8")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=site))
    Thread(target=server.serve_forever).start()
    opened = browser.new_page()
    opened.set_default_timeout(TIMEOUT_MS)
    opened.goto(f"http://127.0.0.1:{server.server_port}/")
    yield opened
    opened.close()
    server.shutdown()
    server.server_close()


def test_the_example_in_chromium(page: Page, portrait: Image.Image, expected: Faces, tmp_path: Path) -> None:
    portrait.save(tmp_path / "portrait.png")
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    page.set_input_files("input", tmp_path / "portrait.png")
    page.wait_for_function("document.querySelector('facegeom-view').faces")
    check(page.evaluate("document.querySelector('facegeom-view').faces"), expected)
    said = re.match(r"yaw (-?\d+)°, pitch (-?\d+)°", page.inner_text("pre"))
    assert said is not None
    angles = (expected[0].yaw_deg, expected[0].pitch_deg)
    assert [int(each) for each in said.groups()] == pytest.approx(angles, abs=1)
    drawn = """() => {
      const { canvas } = document.querySelector("facegeom-view");
      return [canvas.width, canvas.height, canvas.getContext("2d").getImageData(0, 0, 1, 1).data[3]];
    }"""
    page.wait_for_function(f"({drawn})()[2] === 255")
    assert page.evaluate(drawn)[:2] == [400, 400]
    assert all(host.startswith("127.0.0.1") for host in hosts)
    _follow(page, expected)


def _follow(page: Page, expected: Faces) -> None:
    """Give canvas and pixels in turn; ids stay."""
    found = page.evaluate(
        """async () => {
          const { analyze, follow } = await import("facegeom");
          const { picture } = document.querySelector("facegeom-view");
          const canvas = new OffscreenCanvas(picture.width, picture.height);
          const pen = canvas.getContext("2d");
          pen.drawImage(picture, 0, 0);
          const pixels = pen.getImageData(0, 0, picture.width, picture.height);
          const first = await follow(canvas, { timeS: 0, restart: true });
          const second = await follow(pixels, { timeS: 0.04 });
          const error = await analyze(new Blob(["no picture"])).catch(({ name }) => name);
          const { faces } = await analyze(canvas, { max_faces: 1 });
          return { faces, ids: [first.ids, second.ids], error };
        }"""
    )
    check(found["faces"], expected)
    assert found["ids"] == [[0], [0]] and found["error"] == "ImageError"

"""``facegeom bench browser``: the networks in the page of ``facegeom serve`` beside the analyzer."""

import base64
import io
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from facegeom.analyzer import FaceAnalyzer
from facegeom.errors import InputError
from facegeom_lab.bench.service.process import running_service
from facegeom_lab.measures.about import about
from facegeom_lab.measures.tables import Cell, Report, Table
from facegeom_lab.measures.timing import calls_ms

_PROTOCOL = (
    "`facegeom serve` on this machine and a headless Chromium {version} with {threads} thread(s) for a "
    "network. Bytes of a JPEG in, whole result out, default settings, median of {calls} calls; blocks in the "
    "order analyzer, browser, browser, analyzer, each after 3 uncounted calls. The first result in the "
    "browser takes {first:.1f} s, with download and start of networks and runtime, {megabytes:.1f} MB. The "
    "difference is that of any coordinate of the meshes, x, y or z."
)
_COLUMNS = ("photo", "faces", "analyzer, ms", "browser, ms", "browser / analyzer", "largest difference, px")
_WARM = 3

# Returns the milliseconds of each counted call and the last result.
_TIMES = """async ([text, warm, calls]) => {
  const { analyze } = await import(new URL("static/local/analyze.js", document.baseURI));
  const blob = new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))]);
  const times = [];
  let result;
  for (let call = 0; call < warm + calls; call++) {
    const start = performance.now();
    result = await analyze(blob);
    if (call >= warm) times.push(performance.now() - start);
  }
  return JSON.stringify([times, result]);
}"""
_ABOUT = """async () => {
  const { usualThreads } = await import(new URL("static/local/engine.js", document.baseURI));
  const { bytes } = await (await fetch("model.json")).json();
  return [usualThreads(), Object.values(bytes).reduce((sum, size) => sum + size, 0) / 1e6];
}"""


@dataclass(frozen=True)
class EncodedPhoto:
    """A photo to time.

    Attributes:
        name: first cell of its row.
        jpeg: bytes of the JPEG file.
    """

    name: str
    jpeg: bytes


def run_browser(
    out: Path,
    analyzer: FaceAnalyzer,
    chromium: Path | None,
    calls: int,
    show: Callable[[Table], object] = lambda table: None,
) -> Report:
    """Measure, save ``out/browser.md`` and ``out/browser.json``, and return the report.

    Args:
        out: folder of the results.
        analyzer: with default settings.
        chromium: executable of the browser; None for Playwright's own.
        calls: counted calls in each block.
        show: called with the table as soon as it is measured.

    Raises:
        InputError: Playwright is not installed.
        ProcessError: the service does not start.
    """
    with running_service() as service, _open_page(service.port, chromium) as (page, version):
        start = time.perf_counter()
        _in_browser(page, _portrait(64), calls=1, warm=0)
        first = time.perf_counter() - start
        threads, megabytes = page.evaluate(_ABOUT)
        rows = [_row(page, analyzer, photo, calls) for photo in _photos()]
    measured = {
        "version": version,
        "threads": threads,
        "calls": 2 * calls,
        "first": first,
        "megabytes": megabytes,
    }
    table = Table("In the browser", _PROTOCOL.format(**measured), _COLUMNS, rows)
    show(table)
    report = Report("facegeom in the browser", about(analyzer, []), [table])
    report.save(out, "browser")
    return report


@contextmanager
def _open_page(port: int, chromium: Path | None) -> Iterator[tuple[Any, str]]:
    """Open the page of the service in a browser; yield the page and the browser's version."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise InputError(
            "this benchmark needs Playwright to drive the browser: pip install playwright"
        ) from error
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(0)
        page.goto(f"http://127.0.0.1:{port}/")
        yield page, browser.version
        browser.close()


def _row(page: Any, analyzer: FaceAnalyzer, photo: EncodedPhoto, calls: int) -> tuple[Cell, ...]:
    def native() -> list[float]:
        return calls_ms(lambda: analyzer(photo.jpeg), calls, _WARM)

    before = native()
    first, _ = _in_browser(page, photo, calls)
    second, result = _in_browser(page, photo, calls)
    ours, browsers = median(before + native()), median(first + second)
    expected = analyzer(photo.jpeg).to_dict()
    return (
        photo.name,
        len(result["faces"]),
        ours,
        browsers,
        browsers / ours,
        _largest_difference(result, expected),
    )


def _in_browser(
    page: Any, photo: EncodedPhoto, calls: int, warm: int = _WARM
) -> tuple[list[float], dict[str, Any]]:
    """Analyse a photo in the page; return milliseconds of each counted call, and the result as JSON."""
    text = base64.b64encode(photo.jpeg).decode("ascii")
    times, result = json.loads(page.evaluate(_TIMES, [text, warm, calls]))
    return times, result


def _largest_difference(one: dict[str, Any], other: dict[str, Any]) -> float | None:
    """Return the largest difference of a mesh coordinate, pixels; None if the numbers of faces differ.

    Faces are compared from left to right, since faces with equal scores have no fixed order.
    """
    if len(one["faces"]) != len(other["faces"]):
        return None
    meshes = [
        np.array([face["mesh_px"] for face in sorted(result["faces"], key=lambda face: face["box_xyxy"])])
        for result in (one, other)
    ]
    return float(np.abs(meshes[0] - meshes[1]).max(initial=0))


def _photos() -> list[EncodedPhoto]:
    sheet = Image.new("RGB", (1280, 640))
    for index in range(2):
        sheet.paste(_portrait_image(640), (640 * index, 0))
    return [_portrait(512), _portrait(1600), EncodedPhoto("two portraits, 1280 x 640", _jpeg(sheet))]


def _portrait(side: int) -> EncodedPhoto:
    return EncodedPhoto(f"portrait, {side} x {side}", _jpeg(_portrait_image(side)))


def _portrait_image(side: int) -> Image.Image:
    portrait = Image.open(str(files("facegeom") / "data" / "astronaut.jpg"))
    return portrait.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)


def _jpeg(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=92)
    return stream.getvalue()

"""``facegeom bench browser``: the networks in the page of ``facegeom serve`` beside the analyzer."""

import base64
import io
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
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
from facegeom_lab.measures.tables import Cell, Report, RunningReport, Table
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
_DRAWN = {
    "no graphics card": (),
    "a graphics card in software": ("--use-angle=swiftshader",),
}
_CAMERA = (
    "--enable-unsafe-swiftshader",  # 3D without a graphics card
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)

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
# Returns seconds and faces of the counted frames of the camera, which the page follows.
_LIVE = """async ([warm, frames]) => {
  const [photo, times, faces] = [document.getElementById("photo"), [], []];
  return new Promise((done) => photo.addEventListener("frame", ({ detail }) => {
    times.push(performance.now() / 1000);
    faces.push(detail.faces.length);
    if (times.length === warm) document.dispatchEvent(new Event("warm"));
    if (times.length < warm + frames) return;
    done([times.at(-1) - times[warm - 1], Math.min(...faces.slice(warm))]);
  }));
}"""
_LIVE_PROTOCOL = (
    "The page follows the faces of a camera, for which Chromium plays a video (MJPEG, 640 x 480 pixels, one "
    "face, 30 frames a second). It draws contours, numbers and the head in 3D. {frames} frames after {warm} "
    "uncounted ones. Processor time is that of the page with its worker, and of all of the browser's "
    "processes, which also decode, mix and show the camera's 30 frames a second. Without a graphics card "
    "Chromium mixes the page on the processor and draws only 3D with SwiftShader. In the second row "
    "(--use-angle=swiftshader) SwiftShader stands for a whole graphics card: the processor does all that a "
    "card would do, for every part of the page and every frame that is read."
)
_LIVE_COLUMNS = (
    "camera, 640 x 480, drawn by",
    "faces",
    "frames / s",
    "ms / frame",
    "processor ms / frame",
    "of all processes",
)
_LIVE_WARM = 30
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
    report = RunningReport("facegeom in the browser", about(analyzer, []), out, "browser", show)
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
    report.add(Table("In the browser", _PROTOCOL.format(**measured), _COLUMNS, rows))
    report.add(_live(chromium, 10 * calls))
    return report.finish()


@contextmanager
def _open_page(port: int, chromium: Path | None, args: Sequence[str] = ()) -> Iterator[tuple[Any, str]]:
    """Open the service's page in a browser; yield page and the browser's version."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise InputError(
            "this benchmark needs Playwright to drive the browser: pip install playwright"
        ) from error
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", *args])
        page = browser.new_page()
        page.set_default_timeout(0)
        page.goto(f"http://127.0.0.1:{port}/")
        yield page, browser.version
        browser.close()


def _live(chromium: Path | None, frames: int) -> Table:
    """Measure the page that follows the head of a camera."""
    rows = []
    with tempfile.TemporaryDirectory() as folder, running_service() as service:
        camera = Path(folder) / "camera.mjpeg"
        camera.write_bytes(b"".join(map(_jpeg, _moving_head())))
        for name, drawn in _DRAWN.items():
            args = [*_CAMERA, f"--use-file-for-fake-video-capture={camera}", *drawn]
            with _open_page(service.port, chromium, args) as (page, _):
                rows.append((name, *_followed(page, frames)))
    protocol = _LIVE_PROTOCOL.format(frames=frames, warm=_LIVE_WARM)
    return Table("Live in the browser", protocol, _LIVE_COLUMNS, rows)


def _followed(page: Any, frames: int) -> tuple[Cell, ...]:
    """Follow the camera; return faces, frames a second, milliseconds a frame: all, of page, of browser."""
    page.get_by_label("on this device").check()
    page.evaluate(f"globalThis.measured = ({_LIVE})([{_LIVE_WARM}, {frames}]); 0")
    page.evaluate("globalThis.warm = new Promise((done) => document.addEventListener('warm', done)); 0")
    page.click("#camera")
    page.evaluate("warm.then(() => 0)")
    before = _processor_s(page)
    seconds, faces = page.evaluate("measured")
    used = _processor_s(page) - before
    return faces, frames / seconds, *(1000 * np.array([seconds, *used]) / frames).tolist()


def _processor_s(page: Any) -> np.ndarray:
    """Return the processor time so far of the page's process and of all of the browser's, seconds."""
    session = page.context.browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    times = [
        (process["cpuTime"] * (process["type"] == "renderer"), process["cpuTime"]) for process in processes
    ]
    return np.sum(times, axis=0)


def _moving_head() -> Iterator[Image.Image]:
    """Yield three seconds of a head that moves and nods in a circle, 640 x 480 pixels."""
    portrait = _portrait_image(512)
    for turn in np.linspace(0, 2 * np.pi, 90, endpoint=False):
        cosine, sine = 0.55 * np.cos(0.14 * np.sin(turn)), 0.55 * np.sin(0.14 * np.sin(turn))
        x, y = 225 + 40 * np.sin(turn), 135 + 15 * np.sin(2 * turn)
        rows = (cosine, -sine, x - 320 * cosine + 240 * sine, sine, cosine, y - 320 * sine - 240 * cosine)
        yield portrait.transform((640, 480), Image.Transform.AFFINE, rows, Image.Resampling.BICUBIC)


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

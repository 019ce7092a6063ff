"""The page in a real Chromium; the service runs in this process."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from facegeom import FaceAnalyzer, Faces
from facegeom.serve.app import Application
from facegeom.serve.limits import Settings
from facegeom.serve.pages import DEMO
from facegeom.serve.server import listen
from facegeom.serve.work import analyze_tasks

SCREENSHOTS = Path(__file__).parents[1] / "out" / "page"
TIMEOUT_MS = 240_000
expect.set_options(timeout=TIMEOUT_MS)  # generous: only what hangs fails by it
_CHROMIUM = (
    "--no-sandbox",
    "--use-angle=swiftshader",  # 3D without a graphics card
    "--enable-unsafe-swiftshader",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
_OWN_WARNINGS = ("willReadFrequently", "ReadPixels", "Service Worker registration blocked by Playwright")


@pytest.fixture(scope="session")
def analyzer() -> FaceAnalyzer:
    return FaceAnalyzer()


@contextmanager
def running_service(analyzer: FaceAnalyzer, **settings: bool) -> Iterator[tuple[str, Callable[[], None]]]:
    """Start a service; yield its address, and a function that ends it."""
    listener = listen("127.0.0.1", 0)
    work = [partial(analyze_tasks, analyzer)]
    config = uvicorn.Config(Application(work, Settings(wait_s=60, **settings)), log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()

    def end(force: bool = True) -> None:
        server.should_exit, server.force_exit = True, force
        thread.join()

    yield f"http://127.0.0.1:{listener.getsockname()[1]}/", end
    end(force=False)


@pytest.fixture
def start_service(analyzer: FaceAnalyzer) -> Iterator[Callable[..., tuple[str, Callable[[], None]]]]:
    """``start_service(private=True)`` starts one more service: its address, and a function that ends it."""
    with ExitStack() as services:
        yield lambda **settings: services.enter_context(running_service(analyzer, **settings))


@pytest.fixture(scope="session")
def origin(analyzer: FaceAnalyzer) -> Iterator[str]:
    """Start a service and return its address."""
    with running_service(analyzer) as (address, _):
        yield address


@pytest.fixture(scope="session")
def moving_head() -> list[Image.Image]:
    """Return 60 frames of the example's head that moves and nods in a circle, 640 x 480 pixels."""
    portrait, frames = Image.open(DEMO).convert("RGB"), []
    for turn in np.linspace(0, 2 * np.pi, 60, endpoint=False):
        cosine, sine = 0.55 * np.cos(0.14 * np.sin(turn)), 0.55 * np.sin(0.14 * np.sin(turn))
        x, y = 225 + 40 * np.sin(turn), 135 + 15 * np.sin(2 * turn)
        rows = (cosine, -sine, x - 320 * cosine + 240 * sine, sine, cosine, y - 320 * sine - 240 * cosine)
        frames.append(portrait.transform((640, 480), Image.Transform.AFFINE, rows, Image.Resampling.BICUBIC))
    return frames


@pytest.fixture(scope="session")
def browser(moving_head: list[Image.Image], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Start Chromium; its camera shows the moving head."""
    camera = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    with camera.open("wb") as stream:
        for frame in moving_head:
            frame.save(stream, "JPEG", quality=92)
    args = [*_CHROMIUM, f"--use-file-for-fake-video-capture={camera}"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=args)
        yield chromium
        chromium.close()


@pytest.fixture
def console_errors() -> list[str]:
    """Return the list of console errors and warnings; a test that provokes some clears it."""
    return []


@pytest.fixture
def page(browser: Browser, origin: str, console_errors: list[str]) -> Iterator[Page]:
    """Open the page; at the end, check that nothing went to another host or to the console."""
    page = browser.new_page(
        viewport={"width": 1280, "height": 860}, base_url=origin, service_workers="block"
    )  # requests through a service worker could not be watched
    page.set_default_timeout(TIMEOUT_MS)
    foreign: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith((origin, "blob:", "data:")):
            foreign.append(request.url)

    page.on("request", note)
    page.on("pageerror", lambda error: console_errors.append(str(error)))
    page.on("console", lambda message: console_errors.append(message.text) if is_error(message) else None)
    page.goto("/")
    yield page
    page.close()
    assert (foreign, console_errors) == ([], [])


@pytest.fixture(scope="session")
def expected_faces(analyzer: FaceAnalyzer) -> Faces:
    """Return the analyzer's result for the example."""
    return analyzer(DEMO)


@pytest.fixture(scope="session")
def couple(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a photo with two faces, one the mirror image of the other."""
    portrait = np.asarray(Image.open(DEMO))
    path = tmp_path_factory.mktemp("photos") / "couple.jpg"
    Image.fromarray(np.concatenate([portrait, portrait[:, ::-1]], axis=1)).save(path, quality=92)
    return path


@pytest.fixture
def example(page: Page) -> Page:
    """Return the page with the example's face found."""
    page.click("#demo")
    expect(page.locator("#status")).to_contain_text("One face found in 512 \u00d7 512 pixels")
    return page


def is_error(message: ConsoleMessage) -> bool:
    """Return whether a message is an error or a warning, other than of what the tests do."""
    known = any(part in message.text for part in _OWN_WARNINGS)
    return message.type in ("error", "warning") and not known


@pytest.fixture
def screenshot(page: Page) -> Callable[[str], None]:
    """``screenshot("name")`` saves an image of the whole page in out/page."""

    def function(name: str) -> None:
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    return function

"""The page in a real Chromium; the service runs in this process."""

import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from facegeom import FaceAnalyzer
from facegeom.serve.app import Application
from facegeom.serve.limits import Settings
from facegeom.serve.server import listen
from facegeom.serve.work import analyze_tasks

SCREENSHOTS = Path(__file__).parents[1] / "out" / "page"
TIMEOUT_MS = 120_000
_CHROMIUM = (
    "--no-sandbox",
    "--use-angle=swiftshader",  # 3D without a graphics card
    "--enable-unsafe-swiftshader",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
_READBACK_WARNINGS = ("willReadFrequently", "ReadPixels")


@pytest.fixture(scope="session")
def analyzer() -> FaceAnalyzer:
    return FaceAnalyzer()


@pytest.fixture(scope="session")
def origin(analyzer: FaceAnalyzer) -> Iterator[str]:
    """Start a service and return its address."""
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(
        uvicorn.Config(
            Application([partial(analyze_tasks, analyzer)], Settings(wait_s=60)), log_level="warning"
        )
    )
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=[*_CHROMIUM])
        yield chromium
        chromium.close()


@pytest.fixture
def console_errors() -> list[str]:
    """Return the list of console errors and warnings; a test that provokes some clears it."""
    return []


@pytest.fixture
def page(browser: Browser, origin: str, console_errors: list[str]) -> Iterator[Page]:
    """Open the page; at the end, check that nothing went to another host or to the console."""
    page = browser.new_page(viewport={"width": 1280, "height": 860}, base_url=origin)
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


def is_error(message: ConsoleMessage) -> bool:
    """Return whether a message is an error or a warning, other than of the tests' own reading of pixels."""
    known = any(part in message.text for part in _READBACK_WARNINGS)
    return message.type in ("error", "warning") and not known


@pytest.fixture
def screenshot(page: Page) -> Callable[[str], None]:
    """``screenshot("name")`` saves an image of the whole page in out/page."""

    def function(name: str) -> None:
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    return function

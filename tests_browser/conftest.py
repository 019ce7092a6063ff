"""The page in a real Chromium, served by a service of this process."""

import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from facegeom import FaceAnalyzer
from facegeom.serve.app import Application, listen
from facegeom.serve.limits import Settings
from facegeom.serve.work import analyze_tasks

SHOTS = Path(__file__).parents[1] / "out" / "page"
PATIENCE_MS = 120_000
_CHROMIUM = (
    "--no-sandbox",
    "--use-angle=swiftshader",  # 3D without a graphics card
    "--enable-unsafe-swiftshader",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
_READING = ("willReadFrequently", "ReadPixels")


@pytest.fixture(scope="session")
def analyzer() -> FaceAnalyzer:
    return FaceAnalyzer()


@pytest.fixture(scope="session")
def origin(analyzer: FaceAnalyzer) -> Iterator[str]:
    """Address of a running service."""
    door = listen("127.0.0.1", 0)
    server = uvicorn.Server(
        uvicorn.Config(Application([partial(analyze_tasks, analyzer)], Settings()), log_level="warning")
    )
    thread = threading.Thread(target=server.run, args=([door],))
    thread.start()
    yield f"http://127.0.0.1:{door.getsockname()[1]}/"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=[*_CHROMIUM])
        yield chromium
        chromium.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console says against the page; a test that provokes some empties it."""
    return []


@pytest.fixture
def page(browser: Browser, origin: str, complaints: list[str]) -> Iterator[Page]:
    """The page, just opened. At the end nothing may have gone to another host or to the console."""
    page = browser.new_page(viewport={"width": 1280, "height": 860}, base_url=origin)
    page.set_default_timeout(PATIENCE_MS)
    strangers: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith((origin, "blob:", "data:")):
            strangers.append(request.url)

    page.on("request", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if is_complaint(said) else None)
    page.goto("/")
    yield page
    page.close()
    assert (strangers, complaints) == ([], [])


def is_complaint(said: ConsoleMessage) -> bool:
    """Errors and warnings, but for those of reading pixels back, which only the tests do."""
    return said.type in ("error", "warning") and not any(part in said.text for part in _READING)


@pytest.fixture
def shoot(page: Page) -> Callable[[str], None]:
    """``shoot("name")`` keeps a picture of the whole page in out/page."""

    def function(name: str) -> None:
        page.screenshot(path=SHOTS / f"{name}.png", full_page=True)

    return function

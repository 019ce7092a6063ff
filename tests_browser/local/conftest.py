"""A real Chromium, in which the page's modules run one by one beside the Python that they mirror."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import uvicorn
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from facegeom import FaceAnalyzer
from facegeom.serve.app import Application
from facegeom.serve.run import listen
from facegeom.serve.settings import Settings

Call = Callable[..., Any]

# Arguments and answers travel as text, which Playwright carries faster than lists; typed arrays become lists.
_CALLS = """async ([file, name, calls]) => {
  const module = await import(new URL(`/static/local/${file}`, location));
  const answers = [];
  for (const args of JSON.parse(calls)) answers.push(await module[name](...args));
  return JSON.stringify(answers, (_, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value));
}"""


@pytest.fixture(scope="session")
def analyzer() -> FaceAnalyzer:
    return FaceAnalyzer(threads=1)


@pytest.fixture(scope="session")
def origin(analyzer: FaceAnalyzer) -> Iterator[str]:
    """Address of a running service."""
    door = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(Application(analyzer, Settings()), log_level="warning"))
    thread = threading.Thread(target=server.run, args=([door],))
    thread.start()
    yield f"http://127.0.0.1:{door.getsockname()[1]}/"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def module_page(browser: Browser, origin: str) -> Iterator[Page]:
    """The page, for calls of its modules."""
    page = browser.new_page()
    page.goto(origin)
    yield page
    page.close()


@pytest.fixture
def call_each(module_page: Page) -> Call:
    """``call_each("boxes.js", "area", [[box], [box]])``: a function of a module, once for each list.

    Pillow images go in as pictures; pictures come back as arrays (H, W, 3).
    """

    def function(file: str, name: str, calls: Sequence[Sequence[Any]]) -> list[Any]:
        text = json.dumps(calls, default=_encoded)
        return [_decoded(answer) for answer in json.loads(module_page.evaluate(_CALLS, [file, name, text]))]

    return function


@pytest.fixture
def call(call_each: Call) -> Call:
    """``call("boxes.js", "area", box)``: the same, once."""
    return lambda file, name, *args: call_each(file, name, [args])[0]


def _encoded(value: Any) -> Any:
    if isinstance(value, Image.Image):
        return {"width": value.width, "height": value.height, "data": np.asarray(value).ravel()}
    return value.tolist()


def _decoded(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() >= {"width", "height", "data"}:
        return np.array(value["data"], np.uint8).reshape(value["height"], value["width"], 3)
    return value


@pytest.fixture
def noise() -> Callable[[int, int], Image.Image]:
    """Pictures of random pixels."""
    rng = np.random.default_rng(7)
    return lambda width, height: Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))

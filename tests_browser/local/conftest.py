"""The page's modules, called one by one in a real Chromium and compared with the Python that they mirror."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

Call = Callable[..., Any]

TIMEOUT_MS = 120_000

# Arguments and results travel as text: Playwright transfers it faster than lists. Typed arrays become lists.
_CALLS = """async ([file, name, calls]) => {
  const module = await import(new URL(`/static/local/${file}`, location));
  const results = [];
  for (const args of JSON.parse(calls)) results.push(await module[name](...args));
  return JSON.stringify(results, (_, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value));
}"""


@pytest.fixture(scope="session")
def module_page(browser: Browser, origin: str) -> Iterator[Page]:
    """Open the page, for calls of its modules."""
    page = browser.new_page(service_workers="block")
    page.set_default_timeout(TIMEOUT_MS)
    page.goto(origin)
    yield page
    page.close()


@pytest.fixture
def call_each(module_page: Page) -> Call:
    """``call_each("boxes.js", "area", [[box], [box]])`` calls a function of a module once for each list.

    Pillow images become {width, height, data}; such objects come back as arrays (H, W, 3).
    """

    def function(file: str, name: str, calls: Sequence[Sequence[Any]]) -> list[Any]:
        text = json.dumps(calls, default=_encode)
        return [_decode(result) for result in json.loads(module_page.evaluate(_CALLS, [file, name, text]))]

    return function


@pytest.fixture
def call(call_each: Call) -> Call:
    """``call("boxes.js", "area", box)`` calls a function once."""
    return lambda file, name, *args: call_each(file, name, [args])[0]


def _encode(value: Any) -> Any:
    if isinstance(value, Image.Image):
        return {"width": value.width, "height": value.height, "data": np.asarray(value).ravel()}
    return value.tolist()


def _decode(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() >= {"width", "height", "data"}:
        return np.array(value["data"], np.uint8).reshape(value["height"], value["width"], 3)
    return value


@pytest.fixture
def noise() -> Callable[[int, int], Image.Image]:
    """``noise(width, height)`` makes an image of random pixels."""
    rng = np.random.default_rng(7)
    return lambda width, height: Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))

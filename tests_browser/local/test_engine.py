"""Outputs of the networks in the browser equal the runtime's."""

import base64
import json
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser

from facegeom.models import weights
from facegeom.models.engine import Engine

_RUN = """async ([name, threads, text, dims]) => {
  const { Engine, RUNTIME_URL, prepare } = await import("/static/local/engine.js");
  const bytes = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());
  prepare(await bytes(RUNTIME_URL), threads);
  const engine = await Engine.open(name, await bytes(`/weights/${name}.onnx`));
  const outputs = await engine.run(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)), dims);
  const plain = ([key, { dims, data }]) => [key, { dims, data: Array.from(data) }];
  return JSON.stringify(Object.fromEntries(Object.entries(outputs).map(plain)));
}"""


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("name", "shape"), [("onepass", (1, 64, 96, 3)), ("face", (2, 128, 128, 3))])
def test_outputs(browser: Browser, origin: str, name: str, shape: tuple[int, ...], threads: int) -> None:
    batch = np.random.default_rng(8).integers(0, 256, shape, np.uint8)
    page = browser.new_page()
    page.goto(origin)
    text = base64.b64encode(batch.tobytes()).decode("ascii")
    found: dict[str, Any] = json.loads(page.evaluate(_RUN, [name, threads, text, shape]))
    page.close()
    assert list(found) == list(weights.manifest()[name].outputs)
    for output, expected in zip(found.values(), Engine(weights.path(name), threads=1)(batch), strict=True):
        assert output["dims"] == list(expected.shape)
        np.testing.assert_allclose(np.reshape(output["data"], expected.shape), expected, rtol=1e-3, atol=1e-4)

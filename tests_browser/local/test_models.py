"""Outputs of the networks, and the one-pass detector's scales and input images, equal facegeom.models."""

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from facegeom.geometry.rotation import rotation_from_angles, rotation_to_6d
from facegeom.geometry.topology import canonical_mm
from facegeom.image.pyramid import Pyramid
from facegeom.models import weights
from facegeom.models.detector import STRIDE, OnePassDetector, scales
from facegeom.models.engine import Engine
from facegeom.models.expression import ExpressionNet
from facegeom.models.regions import FEATURES
from facegeom.serve.pages import model_data

SETTINGS = model_data()["detection"]

_RUN = """async ([name, threads, text, dims]) => {
  const { Engine, RUNTIME_URL, prepare } = await import("/static/local/engine.js");
  const bytes = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());
  prepare(await bytes(RUNTIME_URL), threads);
  const engine = await Engine.open(name, await bytes(`/weights/${name}.onnx`));
  const outputs = await engine.run(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)), dims);
  const plain = ([key, { dims, data }]) => [key, { dims, data: Array.from(data) }];
  return JSON.stringify(Object.fromEntries(Object.entries(outputs).map(plain)));
}"""
_LOOK = """async ([faces, head]) => {
  const { Engine, RUNTIME_URL, prepare } = await import("/static/local/engine.js");
  const { ExpressionNet } = await import("/static/local/expression.js");
  const bytes = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());
  prepare(await bytes(RUNTIME_URL), 1);
  const engine = await Engine.open("expression", await bytes("/weights/expression.onnx"));
  return new ExpressionNet(engine, head).look(faces);
}"""
_CANVASES = """async ([width, height, pixels, minFace, settings]) => {
  const { levels, toCanvas } = await import(new URL("/static/local/detector.js", location));
  const { Pyramid } = await import(new URL("/static/local/pyramid.js", location));
  const all = levels(new Pyramid({ width, height, data: Uint8Array.from(pixels) }), minFace, settings);
  return Array.from(all, ({ level, ratio }) => ({ ratio, data: [...toCanvas(level, settings).data] }));
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


@pytest.mark.parametrize("count", [0, 3])
def test_expression(module_page: Page, count: int) -> None:
    rng = np.random.default_rng(9)
    features = rng.normal(size=(count, FEATURES)).astype(np.float32)
    rotation = rotation_from_angles(*rng.uniform(-40, 40, (3, count)))
    meshes = canonical_mm() @ np.swapaxes(rotation, -1, -2) + (40, -30, 700)
    meshes = (meshes + rng.normal(0, 1, meshes.shape)).astype(np.float32)
    vectors = 2 * rotation_to_6d(rotation)  # as networks give them: of any length
    names = ("features", "meshMm", "rotation6d")
    arrays = (features.tolist(), meshes.tolist(), vectors.tolist())
    faces = [dict(zip(names, face, strict=True)) for face in zip(*arrays, strict=True)]
    found = module_page.evaluate(_LOOK, [faces, canonical_mm().tolist()])
    network = ExpressionNet(Engine(weights.path("expression"), threads=1))
    (expected,) = network([features], [meshes], [vectors])
    assert len(found) == count
    for face, expression, seen, confidence, turn in zip(found, *expected, rotation, strict=True):
        np.testing.assert_allclose(face["expression"], expression, atol=1e-4)
        np.testing.assert_allclose(face["gaze"], seen @ turn, atol=1e-4)
        np.testing.assert_allclose(face["gazeConfidence"], confidence, atol=1e-4)


@pytest.mark.parametrize(
    ("longer_px", "min_face"), [(640, 35.2), (448, 24.6), (448, 12.0), (100, 1.0), (4000, 20.0), (20, 12.0)]
)
def test_scales(call: Any, longer_px: int, min_face: float) -> None:
    assert call("detector.js", "scales", longer_px, min_face, SETTINGS) == scales(longer_px, min_face)


@pytest.mark.parametrize("min_face", [10.0, 16.0, 33.0, 100.0])
def test_canvases(module_page: Page, noise: Callable[[int, int], Image.Image], min_face: float) -> None:
    image = noise(290, 171)
    pixels = np.asarray(image).ravel().tolist()
    found = module_page.evaluate(_CANVASES, [image.width, image.height, pixels, min_face, SETTINGS])
    canvases: list[np.ndarray] = []

    def engine(canvas: np.ndarray) -> list[np.ndarray]:
        canvases.append(canvas[0])
        rows, columns = canvas.shape[1] // STRIDE, canvas.shape[2] // STRIDE
        return [np.zeros((1, rows, columns)), np.zeros((1, 3, rows, columns))]

    OnePassDetector(engine)([Pyramid(image)], [min_face])  # type: ignore[arg-type]
    for one, canvas, scale in zip(found, canvases, scales(image.width, min_face), strict=True):
        np.testing.assert_array_equal(one["data"], canvas.ravel())
        sides = [side / round(side * scale) for side in image.size]
        assert one["ratio"] == (sides if scale > 1 else [round(1 / scale)] * 2)

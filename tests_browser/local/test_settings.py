"""Constants that the browser's modules take from the runtime, and their files."""

import hashlib
import re
import urllib.request
from dataclasses import fields
from typing import Any

import pytest
from playwright.sync_api import Page

from facegeom import FaceAnalyzer
from facegeom.options import SearchOptions
from facegeom.serve.pages import NETWORKS, RUNTIME, SETS, model_data, networks

VENDOR = RUNTIME.parent


def test_vendored_files_are_those_of_the_readme() -> None:
    sums = dict(re.findall(r"^\| `(\S+)` \|.*`([0-9a-f]{64})` \|$", (VENDOR / "README.md").read_text(), re.M))
    files = {path.name: path for path in VENDOR.iterdir() if path.name != "README.md"}
    assert sums == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


def test_vendored_files_stay_small() -> None:
    assert sum(path.stat().st_size for path in VENDOR.iterdir()) < 15e6


def test_defaults_are_the_analyzers(analyzer: FaceAnalyzer) -> None:
    options = model_data()["analyzer"]["options"]
    assert options.keys() == {each.name for each in fields(SearchOptions) if each.init}
    for name, option in options.items():
        assert option["default"] == getattr(analyzer.options, name)


@pytest.mark.parametrize("chosen", SETS)
@pytest.mark.parametrize("name", NETWORKS)
def test_sizes_of_the_networks(origin: str, name: str, chosen: str) -> None:
    with urllib.request.urlopen(f"{origin}weights/{model_data(chosen)['files'][name]}") as response:
        content = response.read()
    assert len(content) == model_data(chosen)["bytes"][name]
    assert content == networks(chosen)[name].read_bytes()


@pytest.mark.parametrize("chosen", SETS)
def test_networks_are_those_of_the_analyzer(chosen: Any) -> None:
    analyzer = FaceAnalyzer(weights=chosen, threads=1)
    used = {analyzer.detector.engine.path, analyzer.face_net.engine.path}
    used |= {engine.path for engine in (*analyzer.region_nets.engines, analyzer.expression_net.engine)}
    assert used == set(networks(chosen).values())


def test_the_modules_use_every_setting(module_page: Page) -> None:
    """A misspelt setting would be undefined, and JavaScript computes with it without an error."""
    script = """async () => {
      const { FaceAnalyzer } = await import("/static/local/analyzer.js");
      const used = new Set();
      const watched = (value, path) => new Proxy(value, { get(target, key) {
        const found = target[key];
        if (typeof key === "symbol") return found;
        used.add([...path, key].join("."));
        const whole = found !== null && typeof found === "object" && !Array.isArray(found);
        return whole ? watched(found, [...path, key]) : found;
      }});
      const model = watched(await (await fetch("/model.json")).json(), []);
      globalThis.fetch = new Proxy(fetch, { apply: async (target, self, args) => {
        const response = await Reflect.apply(target, self, args);
        if (String(args[0]).endsWith("model.json")) response.json = async () => model;
        return response;
      }});
      const analyzer = await FaceAnalyzer.load(document.baseURI, () => {});
      const photo = await (await fetch("/demo.jpg")).blob();
      const large = new OffscreenCanvas(1024, 1024); // something hints at smaller faces
      large.getContext("2d").drawImage(await createImageBitmap(photo), 0, 0, 1024, 1024);
      await analyzer.analyze(await large.convertToBlob());
      await analyzer.analyze(photo, { fov_deg: 120 }); // the head is away from the axis
      await analyzer.analyze(photo, { orientation: "auto", min_score: 1 }); // no face: every turn is tried
      const { faces } = await analyzer.analyze(photo);
      const { depthPng, meshDepth } = await import("/static/local/depth.js");
      await depthPng(meshDepth(faces[0], model.depth, model.canonical_mm), model.depth.unit_mm);
      const { alignedCrop } = await import("/static/local/alignment.js");
      alignedCrop({ width: 1, height: 1, data: new Uint8Array(3) }, faces[0], model.alignment, 8);
      return [...used];
    }"""
    used = {name for name in module_page.evaluate(script) if not name.startswith(("canonical", "then"))}
    assert used - {"toJSON"} == names(model_data()) | {"version"}


def names(part: Any, path: tuple[str, ...] = ()) -> set[str]:
    """Return the dotted names of all keys of a part of the model data, groups included."""
    if not isinstance(part, dict):
        return set()
    inner = [names(value, (*path, key)) for key, value in part.items() if key != "canonical_mm"]
    return {".".join((*path, key)) for key in part if key != "canonical_mm"}.union(*inner)

"""The free set: nothing but cleared sources, no part of the research set, its own terms and credits."""

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from facegeom import FaceAnalyzer
from facegeom.cli.root import app
from facegeom.errors import InputError
from facegeom.geometry.schemes import ARKIT52
from facegeom.models import weights
from facegeom.models.weights import CLEARED, FREE, RESEARCH, Entry

PHOTO = Path(str(files("facegeom") / "data" / "astronaut.jpg"))
FREE_ENTRIES = [entry for entry in weights.manifest().values() if entry.family == FREE]


def uncleared(entry: Entry) -> list[str]:
    """Return what of an entry's sources is on no list, or is listed under other terms."""
    return [each.name for each in entry.sources if CLEARED.get(each.name) != each.licence]


def test_the_networks_of_the_free_set() -> None:
    names = ["expression-free", "eyes-free", "face-free", "mouth-free", "onepass-free"]
    assert sorted(entry.name for entry in FREE_ENTRIES) == names
    assert {entry.family for entry in weights.manifest().values()} == {FREE, RESEARCH}


@pytest.mark.parametrize("entry", FREE_ENTRIES, ids=lambda entry: entry.name)
def test_free_networks_name_cleared_sources_alone(entry: Entry) -> None:
    assert entry.sources and uncleared(entry) == []
    assert all(each.count > 0 for each in entry.sources)
    assert entry.licence.startswith("Free: may be used and shipped, see credits")
    assert all(each.credit for each in entry.sources if each.licence.startswith(("CC BY", "MIT", "Apache")))


@pytest.mark.parametrize("entry", FREE_ENTRIES, ids=lambda entry: entry.name)
def test_another_source_is_noticed(entry: Entry) -> None:
    first, *others = entry.sources
    for wrong in (replace(first, name="300w"), replace(first, licence="research only")):
        assert uncleared(replace(entry, sources=(wrong, *others))) == [wrong.name]


def test_networks_of_the_research_set_are_not_called_free() -> None:
    for entry in weights.manifest().values():
        if entry.family == RESEARCH:
            assert entry.licence.startswith("Research only")


def test_credits_name_every_photographer() -> None:
    text = weights.credits_file().read_text(encoding="utf-8")
    assert text.count("CC BY 2.0 by ") > 500 and "DeBruine" in text


def test_the_free_set_finds_a_face_and_what_it_does(tmp_path: Path) -> None:
    faces = FaceAnalyzer(weights="free", threads=1, depth=True)(PHOTO)
    assert len(faces) == 1
    centre = faces.landmarks_px[0].mean(axis=0)
    box = faces.box_xyxy[0]
    assert (centre > box[:2]).all() and (centre < box[2:]).all()
    assert faces.expression is not None and faces.expression.shape == (1, 52)
    assert min(faces.expression[0, ARKIT52.index(f"mouthSmile{side}")] for side in ("Left", "Right")) > 0.3
    assert max(faces.expression[0, ARKIT52.index(f"eyeBlink{side}")] for side in ("Left", "Right")) < 0.4
    assert faces.gaze is not None
    np.testing.assert_allclose(np.linalg.norm(faces.gaze, axis=-1), 1, atol=1e-5)
    assert faces.depth is not None and faces.mesh_px.shape == (1, 478, 3)
    assert len(json.loads(json.dumps(faces.to_dict()))["faces"][0]["expression"]) == 52
    written = faces.save(tmp_path, ("json", "csv", "overlay", "obj", "ply", "glb", "depth"), PHOTO)
    assert len(written) >= 7 and all(path.stat().st_size for path in written)


def test_no_network_of_the_research_set_is_mixed_in() -> None:
    analyzer = FaceAnalyzer(weights="free", threads=1)
    assert analyzer.fpnet is None
    engines = [analyzer.detector.engine, analyzer.face_net.engine, analyzer.expression_net.engine]
    loaded = {engine.path for engine in (*engines, *analyzer.region_nets.engines)}
    assert loaded == {path for entry in FREE_ENTRIES for path in entry.paths}


@pytest.mark.parametrize(
    ("option", "value"), [("detector", "cascade"), ("pose_net", "fpnet"), ("depth", "network")]
)
def test_parts_that_the_free_set_lacks(option: str, value: str) -> None:
    with pytest.raises(InputError, match=f"{option}: expected .* the free weights have, got '{value}'"):
        FaceAnalyzer(weights="free", **{option: value})


def test_photos_without_a_face() -> None:
    analyzer = FaceAnalyzer(weights="free", threads=1)
    assert len(analyzer(np.full((200, 300, 3), 90, np.uint8))) == 0
    assert [len(each) for each in analyzer.batch([np.zeros((64, 64, 3), np.uint8), PHOTO])] == [0, 1]


def test_the_command_shows_terms_and_credits() -> None:
    shown = CliRunner().invoke(app, ["weights"])
    assert shown.exit_code == 0
    terms = ("research set. Research only", "free set. Free: may be used")
    for words in (*terms, "face-free", "CC BY 4.0", "fpnet"):
        assert words in shown.output
    lines = shown.output.splitlines()
    names = [line.split()[0] for line in lines if line.startswith("  ") and ".onnx" in line]
    assert sorted(names) == sorted(weights.manifest())  # each once, below its own terms
    pnet = next(number for number, line in enumerate(lines) if line.startswith("  pnet "))
    terms = [line for line in lines[:pnet] if " set. " in line][-1]
    assert weights.manifest()["pnet"].licence in terms and "(0.03 MB)" in lines[pnet]
    free = CliRunner().invoke(app, ["weights", "--set", "free"]).output
    assert "fpnet" not in free
    assert free.count(" x ict-facekit-light: MIT") == 1  # once, though all five have seen it
    assert f"{max(each.count for entry in FREE_ENTRIES for each in entry.sources):6} x ict" in free
    credited = CliRunner().invoke(app, ["weights", "--set", "free", "--credits"]).output
    assert "credit: " in credited and "CC BY 2.0 by " in credited

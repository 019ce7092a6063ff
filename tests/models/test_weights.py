"""The weights that ship, each tested by being in the manifest; smaller variants; damaged files."""

import json
import pickle
import re
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from facegeom import FaceAnalyzer
from facegeom.errors import InputError, WeightsError
from facegeom.geometry.rotation import geodesic_deg
from facegeom.image import reading
from facegeom.models import weights
from facegeom.models.engine import Engine

NAMES = sorted(weights.manifest())
ONNX = [name for name in NAMES if weights.manifest()[name].file.endswith(".onnx")]
VARIANTS = [(name, each) for name, entry in weights.manifest().items() for each in entry.variants]
PHOTO = Path(str(files("facegeom") / "data" / "astronaut.jpg"))
LARGEST_TOTAL_BYTES = 40_000_000


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Use a copy of the folder of weights in place of the real one."""
    folder = shutil.copytree(Path(weights.__file__).parent, tmp_path / "weights")
    monkeypatch.setattr(weights, "files", lambda _: folder)
    weights.manifest.cache_clear()
    yield folder
    weights.manifest.cache_clear()


def verify(name: str, variant: str = weights.FLOAT32) -> None:
    file = weights.path(name, variant)
    weights.check(file, file.read_bytes())


def shape(text: str) -> list[int | None]:
    """Return the shape at the start of a manifest's line; None for sides that depend on the input."""
    inner = re.match(r"(?:pictures )?\(([^)]*)\)", text)
    assert inner is not None, text
    return [int(side) if side.strip().isdigit() else None for side in inner[1].split(",") if side.strip()]


def fits(actual: tuple[int, ...], promised: list[int | None]) -> bool:
    return len(actual) == len(promised) and all(
        wanted in (None, side) for side, wanted in zip(actual, promised, strict=True)
    )


def test_the_networks_that_ship() -> None:
    both = ["expression", "eyes", "face", "mouth", "onepass"]
    research = ["depth1", "depth2", "fpnet", "pnet", "rnet"]
    assert sorted([*both, *(f"{name}-free" for name in both), *research]) == NAMES
    assert ONNX == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_file_is_whole(name: str) -> None:
    verify(name)


@pytest.mark.parametrize("name", ONNX)
def test_manifest_describes_inputs_and_outputs(name: str) -> None:
    entry = weights.manifest()[name]
    session = onnxruntime.InferenceSession(str(entry.path), providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == list(entry.outputs)
    promised = re.findall(r"\w+ \(N,[^)]*\) (?:uint8|float32)", entry.input)
    names = [text.split(" ")[0] for text in promised]
    assert [source.name for source in session.get_inputs()] == names
    batches = {}
    for name_of_input, text in zip(names, promised, strict=True):
        kind = re.search("uint8|float32", text)
        assert kind is not None, text
        sides = shape(text.split(" ", 1)[1])
        batches[name_of_input] = np.zeros([side or 64 for side in [2, *sides[1:]]], kind[0])
    first = batches.pop(names[0])
    for output, promise in zip(Engine(entry.path)(first, **batches), entry.outputs.values(), strict=True):
        assert output.shape[0] == 2 and fits(output.shape, shape(promise)), promise


@pytest.mark.parametrize("name", NAMES)
def test_entry_names_recipe_data_and_licence(name: str) -> None:
    entry = weights.manifest()[name]
    assert entry.recipe.startswith("facegeom lab train ")
    assert all(getattr(entry, field).strip() for field in ("data", "licence", "accuracy"))


def test_total_size() -> None:
    paths = [path for entry in weights.manifest().values() for path in entry.paths]
    assert sum(path.stat().st_size for path in paths) < LARGEST_TOTAL_BYTES


def test_one_changed_byte_is_found(installed: Path) -> None:
    content = bytearray((installed / "rnet.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (installed / "rnet.onnx").write_bytes(content)
    with pytest.raises(WeightsError, match=r"rnet is damaged .* install facegeom again"):
        verify("rnet")
    verify("pnet")


@pytest.mark.parametrize("seed", range(20))
def test_one_flipped_bit_of_a_loaded_network_is_found(installed: Path, seed: int) -> None:
    """Also of one that was copied before and is opened again."""
    analyzer, random = FaceAnalyzer(threads=1), np.random.default_rng(seed)
    path = installed / ("face.int8.onnx", "onepass.int8.onnx")[seed % 2]
    content = bytearray(path.read_bytes())
    content[random.integers(len(content))] ^= 1 << int(random.integers(8))
    path.write_bytes(content)
    for opened in (lambda: FaceAnalyzer(threads=1), lambda: pickle.loads(pickle.dumps(analyzer))):
        with pytest.raises(WeightsError, match=rf"{re.escape(str(path))} of \w+ is damaged .* install"):
            opened()


def test_a_network_of_ones_own_has_no_hash(tmp_path: Path) -> None:
    own = tmp_path / "pnet.onnx"
    own.write_bytes(weights.path("rnet").read_bytes())
    assert Engine(own).outputs == Engine(weights.path("rnet")).outputs


def test_missing_file(installed: Path) -> None:
    (installed / "pnet.onnx").unlink()
    with pytest.raises(WeightsError, match=r"pnet\.onnx is missing; install facegeom again"):
        weights.path("pnet")


def test_unknown_network() -> None:
    with pytest.raises(WeightsError, match=r"expected one of the networks .*, got 'onet'"):
        weights.path("onet")


@pytest.mark.parametrize(
    "text", ["", "{", '{"pnet": {"file": "pnet.onnx"}}', '{"pnet": {"colour": 1}}', "[]", "\xff", "[" * 10**5]
)
def test_damaged_manifest(installed: Path, text: str) -> None:
    (installed / "manifest.json").write_text(text, encoding="latin-1")
    with pytest.raises(WeightsError, match="manifest is damaged"):
        weights.manifest()


def test_unknown_key_in_the_manifest(installed: Path) -> None:
    table = json.loads((installed / "manifest.json").read_text())
    table["face"]["sha265"] = "typo"
    (installed / "manifest.json").write_text(json.dumps(table))
    with pytest.raises(WeightsError, match="sha265"):
        weights.manifest()


def test_the_variants_that_ship() -> None:
    assert sorted(VARIANTS) == [("face", "int8"), ("onepass", "int8")]


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_a_variant_is_whole_and_smaller_and_has_the_same_outputs(name: str, variant: str) -> None:
    verify(name, variant)
    first, other = weights.path(name), weights.path(name, variant)
    assert other.stat().st_size < 0.6 * first.stat().st_size
    crops = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), dtype=np.uint8)
    for wanted, found in zip(Engine(first)(crops), Engine(other)(crops), strict=True):
        assert wanted.shape == found.shape and wanted.dtype == found.dtype


@pytest.mark.parametrize(
    ("name", "variant"), [*VARIANTS, ("face-free", "float32"), ("onepass-free", "float32")]
)
def test_eight_bits_do_not_overflow_without_dot_products_of_bytes(name: str, variant: str) -> None:
    """Processors without VNNI add two products of a byte and a weight in 16 bits, and cut them off there."""
    graph = onnx.load(weights.path(name, variant)).graph
    arrays = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
    given = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    bytewise = [arrays[given[node.input[1]]] for node in layers if node.input[1] in given]
    assert len(bytewise) >= 5 and all(array.dtype == np.int8 for array in bytewise)
    assert max(2 * 255 * int(abs(array.astype(int)).max()) for array in bytewise) <= np.iinfo(np.int16).max


def test_unknown_variants_are_refused() -> None:
    with pytest.raises(WeightsError, match="expected one of the variants float32, int8 of face, got 'int2'"):
        weights.path("face", "int2")
    with pytest.raises(WeightsError, match="variants float32 of pnet"):
        weights.path("pnet", "int8")
    with pytest.raises(InputError, match="weights: expected one of float32, int8, free"):
        FaceAnalyzer(weights="int2")


def test_eight_bits_find_the_same_face() -> None:
    pixels = reading.read(PHOTO)
    wanted, found = (FaceAnalyzer(weights=each)(pixels) for each in ("float32", "int8"))
    assert len(found) == len(wanted) > 0
    eyes = np.linalg.norm(wanted.landmarks_px[0, 36] - wanted.landmarks_px[0, 45])
    apart = np.linalg.norm(wanted.landmarks_px[0] - found.landmarks_px[0], axis=1)
    assert apart.mean() < 0.03 * eyes
    assert geodesic_deg(wanted.rotation[:1], found.rotation[:1])[0] < 3
    assert abs(wanted.score[0] - found.score[0]) < 0.01

"""Assemble the npm package from the page's modules: ``python npm/build.py [FOLDER [SET]]``.

Nothing is copied by hand: modules of the page that the package's own import, directly or not, are taken as
they are; constants, topology and networks come from the runtime. Weights are stored as 16-bit floats, from
which ONNX Runtime makes 32-bit ones when it opens a network.

By default FOLDER is out/npm. SET is int8, or free: the networks that products may use (docs/free-weights.md).
"""

import gzip
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from facegeom import __version__
from facegeom.geometry import schemes, topology
from facegeom.models import weights
from facegeom.serve import pages

ROOT = Path(__file__).parents[1]
SMALL = 1024
"""Arrays with fewer numbers stay as they are."""

_TERMS = re.compile(r"\*\*Weights: research only\*\*;.*", re.DOTALL)
_FREE_TERMS = (
    "Weights: may be used and shipped in products; name those of data/credits-free.txt, see"
    " [free weights](https://github.com/facegeom/facegeom/blob/main/docs/free-weights.md).\n"
)

_IMPORT = re.compile(r"""(?:import|from|import\()\s*["'](\.[^"']+)["']""")


def build(folder: Path, chosen: str) -> None:
    """Write the package with one of the page's sets of networks into an empty or new folder."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "npm" / "src", folder)
    described = json.loads((ROOT / "npm" / "package.json").read_text(encoding="utf-8"))
    (folder / "package.json").write_text(json.dumps({**described, "version": __version__}, indent=2) + "\n")
    for name in ("npm/README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for own in sorted((ROOT / "npm" / "src").glob("*.js")):
        _copy_imported(own, folder)
    runtime = folder / "page" / "vendor" / "onnxruntime-web"
    for name in ("LICENSE", "ThirdPartyNotices.txt"):
        shutil.copy(pages.RUNTIME.parent / name, runtime)
    shutil.copy(
        ROOT / "npm" / "vendor" / "ort-wasm-simd-threaded.mjs", runtime
    )  # Node.js loads it from a file
    _write_data(folder / "data", chosen)
    if chosen == weights.FREE:
        shutil.copy(weights.credits_file(), folder / "data")
        readme = folder / "README.md"
        text, found = _TERMS.subn(_FREE_TERMS, readme.read_text(encoding="utf-8"))
        if found != 1:
            raise ValueError(f"expected the weights' terms in npm/README.md once, found them {found} times")
        readme.write_text(text, encoding="utf-8")


def _copy_imported(module: Path, folder: Path) -> None:
    """Copy the page's modules that a module of the package imports, and what they import in turn."""
    for address in _IMPORT.findall(module.read_text(encoding="utf-8")):
        if module.is_relative_to(pages.STATIC):
            source = (module.parent / address).resolve()
        elif address.startswith("./page/"):
            source = pages.STATIC / address.removeprefix("./page/")
        else:
            continue
        target = folder / "page" / source.relative_to(pages.STATIC)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
            if "vendor" not in target.parts:
                _copy_imported(source, folder)


def _write_data(data: Path, chosen: str) -> None:
    """Write constants, topology, networks and WebAssembly."""
    data.mkdir()
    model = pages.model_data(chosen)
    (data / "model.json").write_text(json.dumps(model, separators=(",", ":")))
    (data / "topology.json").write_text(json.dumps(_topology(), separators=(",", ":")))
    for name, path in pages.networks(chosen).items():
        _write_packed(data / f"{name}.packed", halved(path))
    _write_packed(data / "onnxruntime.wasm.packed", pages.RUNTIME.read_bytes())


def _topology() -> dict[str, object]:
    """Return what drawing needs of the service's /v1/topology."""
    regions = {name: list(map(int, points)) for name, points in schemes.SCHEMES["mesh478"].regions.items()}
    return {"triangles": topology.triangles().tolist(), "mesh478": {"regions": regions}}


def halved(path: Path) -> bytes:
    """Return a network whose large float weights are stored in 16 bits."""
    model = onnx.load(str(path))
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type == TensorProto.FLOAT and values.size >= SMALL:
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}/half"))
            casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    content: bytes = model.SerializeToString()
    return content


def _write_packed(path: Path, content: bytes) -> None:
    # not .gz: some servers say of such files that they are encoded, and browsers unpack them once more
    path.write_bytes(gzip.compress(content, 9, mtime=0))


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "out" / "npm"
    chosen = sys.argv[2] if len(sys.argv) > 2 else pages.SETS[0]
    if chosen not in pages.SETS:
        sys.exit(f"SET: expected one of {', '.join(pages.SETS)}, got {chosen!r}")
    build(target, chosen)
    total = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"wrote {target}, {total / 1e6:.1f} MB")

"""Build hook: put an SBOM of wheel and requirements into ``.dist-info/sboms`` (CycloneDX, PEP 770)."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_VENDORED = ("onnxruntime-web", "three")
_PLACES = "https://github.com/facegeom/facegeom/blob/main/docs/model-cards"


class SbomHook(BuildHookInterface):
    """Write the SBOM outside the checkout, and remove it after the build."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the file and name it to the builder."""
        core = self.metadata.core
        optional = {name: needs for name, needs in core.optional_dependencies.items() if name != "dev"}
        content = sbom(Path(self.root), self.metadata.version, core.dependencies, optional)
        self._folder = Path(mkdtemp())
        file = self._folder / "facegeom.cdx.json"
        file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        build_data["sbom_files"].append(str(file))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the file, which is in the wheel now."""
        shutil.rmtree(self._folder)


def sbom(root: Path, version: str, needs: list[str], optional: dict[str, list[str]]) -> dict[str, Any]:
    """Return the SBOM: weights and JavaScript inside the wheel, and the packages that it asks for.

    Neither a time nor a random number stands in it, so that one checkout gives one file.

    Args:
        root: of the checkout.
        version: of facegeom.
        needs: requirements of every installation.
        optional: requirements of the extras.
    """
    own = f"pkg:pypi/facegeom@{version}"
    held = [*_weights(root), *(_vendored(root, name) for name in _VENDORED)]
    asked = _packages(root, needs, optional)
    about = {"type": "library", "bom-ref": own, "name": "facegeom", "version": version, "purl": own}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"lifecycles": [{"phase": "build"}], "component": about | {"licenses": _licence("MIT")}},
        "components": [*held, *asked],
        "dependencies": [{"ref": own, "dependsOn": [part["bom-ref"] for part in (*held, *asked)]}],
        "compositions": [
            {"aggregate": "incomplete", "dependencies": [own]},  # not what the packages ask for in turn
        ],
    }


def _licence(expression: str) -> list[dict[str, Any]]:
    return [{"expression": expression}] if " " in expression else [{"license": {"id": expression}}]


def _sha256(content: bytes) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}]


def _weights(root: Path) -> list[dict[str, Any]]:
    """Return one component for each weight file of the manifest, with the hash of the file itself."""
    folder = root / "src/facegeom/models/weights"
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return [
        {
            "type": "machine-learning-model",
            "bom-ref": each["file"],
            "name": each["file"],
            "description": f"{entry['data']} Made by `{each['recipe']}`.",
            "hashes": _sha256((folder / each["file"]).read_bytes()),
            "licenses": [{"license": {"name": entry["licence"]}}],
            "externalReferences": [{"type": "model-card", "url": _PLACES}],
        }
        for entry in manifest.values()
        for each in (entry, *entry.get("variants", {}).values())
    ]


def _vendored(root: Path, name: str) -> dict[str, Any]:
    """Return the component of a JavaScript library that the page of the service holds, with its files."""
    folder = root / "src/facegeom/serve/static/vendor" / name
    found = re.search(
        rf"{re.escape(name)}[@ ](\d+\.\d+\.\d+)", (folder / "README.md").read_text(encoding="utf-8")
    )
    if found is None:
        raise ValueError(f"expected the version of {name} in {folder / 'README.md'}, found none")
    purl = f"pkg:npm/{name}@{found[1]}"
    files = [
        {"type": "file", "name": path.name, "hashes": _sha256(path.read_bytes())}
        for path in sorted(folder.iterdir())
        if path.suffix in (".js", ".mjs", ".wasm")
    ]
    about = {"type": "library", "bom-ref": purl, "name": name, "version": found[1], "purl": purl}
    return about | {"licenses": _licence("MIT"), "components": files}


def _packages(root: Path, needs: list[str], optional: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Return the packages that ``pip`` installs beside facegeom, with what THIRD_PARTY.md says of them.

    Raises:
        ValueError: it has no row for a package.
    """
    table = (root / "THIRD_PARTY.md").read_text(encoding="utf-8")
    rows = {name: text for name, text in re.findall(r"^\| (\S+) \| .+? \| (.+?) \|$", table, re.MULTILINE)}
    wanted = [(need, "") for need in needs]
    wanted += [(need, extra) for extra, several in optional.items() for need in several]
    found: dict[str, dict[str, Any]] = {}
    for need, extra in wanted:
        name = re.split(r"[\[><=~ ]", need)[0]
        if name not in rows:
            raise ValueError(f"expected a row for {name} in THIRD_PARTY.md, found none")
        licence, remark = re.fullmatch(r"([\w.+-]+(?: AND [\w.+-]+)*)(.*)", rows[name]).groups()
        about = {"type": "library", "bom-ref": f"pkg:pypi/{name}", "name": name, "purl": f"pkg:pypi/{name}"}
        about |= {"scope": "optional" if extra else "required", "licenses": _licence(licence)}
        about |= {"description": remark.strip(" ;()").replace("**", "")} if remark else {}
        said = found.setdefault(name, about | {"properties": []})
        said["properties"].append({"name": "facegeom:requirement", "value": need})
        said["properties"] += [{"name": "facegeom:extra", "value": extra}] if extra else []
    return list(found.values())

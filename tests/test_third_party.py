"""Licences of others, and the SBOM in the wheel: every package, weight file and script stands there."""

import hashlib
import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it there

ROOT = Path(__file__).parents[1]


def test_every_dependency_has_its_licence() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name: needs for name, needs in project["optional-dependencies"].items() if name != "dev"}
    rows = re.findall(r"^\| (\S+) \| (.+?) \| (.+?) \|$", (ROOT / "THIRD_PARTY.md").read_text(), re.MULTILINE)
    listed = {name: places for name, places, _ in rows if name != "package"}
    wanted = dict.fromkeys(_names(project["dependencies"]), "always")
    for extra, needs in extras.items():
        for name in _names(needs):
            wanted[name] = ", ".join(filter(None, (wanted.get(name), f"`[{extra}]`")))
    assert listed == wanted
    assert "THIRD_PARTY.md" in project["license-files"]


def _names(needs: list[str]) -> list[str]:
    return [re.split(r"[\[><=~ ]", need)[0] for need in needs]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build the wheel as ``pip`` does."""
    folder = tmp_path_factory.mktemp("wheel")
    return zipfile.ZipFile(next(WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])))


def read(wheel: zipfile.ZipFile, ending: str) -> bytes:
    (name,) = (name for name in wheel.namelist() if name.endswith(ending))
    return wheel.read(name)


def test_the_wheel_holds_the_licences(wheel: zipfile.ZipFile) -> None:
    for name in ("LICENSE", "THIRD_PARTY.md"):
        assert read(wheel, f".dist-info/licenses/{name}") == (ROOT / name).read_bytes()


def test_the_sbom_agrees_with_the_wheel(wheel: zipfile.ZipFile) -> None:
    sbom = json.loads(read(wheel, ".dist-info/sboms/facegeom.cdx.json"))
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.6")
    about = sbom["metadata"]["component"]
    assert f"Version: {about['version']}\n" in read(wheel, ".dist-info/METADATA").decode()
    parts = {part["bom-ref"]: part for part in sbom["components"]}
    assert sbom["dependencies"] == [{"ref": about["bom-ref"], "dependsOn": list(parts)}]
    assert len(parts) == len(sbom["components"]) and all(part["licenses"] for part in parts.values())
    files = [
        part for each in parts.values() for part in (each, *each.get("components", ())) if "hashes" in part
    ]
    for file in files:
        digest = hashlib.sha256(read(wheel, f"/{file['name']}")).hexdigest()
        assert file["hashes"] == [{"alg": "SHA-256", "content": digest}]
    held = {
        name for name in wheel.namelist() if name.endswith(".onnx") or ("/vendor/" in name and "js" in name)
    }
    assert {name.rpartition("/")[2] for name in held} <= {file["name"] for file in files}


def test_the_sbom_agrees_with_the_manifest_and_the_requirements(wheel: zipfile.ZipFile) -> None:
    parts = json.loads(read(wheel, ".dist-info/sboms/facegeom.cdx.json"))["components"]
    manifest = json.loads((ROOT / "src/facegeom/models/weights/manifest.json").read_text())
    files = [each for entry in manifest.values() for each in (entry, *entry.get("variants", {}).values())]
    weights = [part for part in parts if part["type"] == "machine-learning-model"]
    assert {part["name"]: part["hashes"][0]["content"] for part in weights} == {
        each["file"]: each["sha256"] for each in files
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {(need, "required") for need in project["dependencies"]}
    for extra, needs in project["optional-dependencies"].items():
        wanted |= {(need, "optional") for need in needs if extra != "dev"}
    packages = [part for part in parts if part["bom-ref"].startswith("pkg:pypi/")]
    assert {(need, part["scope"]) for part in packages for need in values(part, "requirement")} == wanted
    av = next(part for part in packages if part["name"] == "av")
    assert "GPL" in av["description"] and values(av, "extra") == ["live", "video"]


def values(part: dict[str, Any], name: str) -> list[str]:
    return [each["value"] for each in part["properties"] if each["name"] == f"facegeom:{name}"]


def test_the_image_has_what_it_needs_and_no_rights() -> None:
    """The container's file takes what the build reads, and runs as a numbered user that is not root."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = {
        name
        for line in lines
        if line.startswith("COPY ") and "--from" not in line
        for name in line.split()[1:-1]
    }
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    assert copied >= {"pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "THIRD_PARTY.md", "src"}
    assert all((ROOT / name).exists() and f"!{name}" in allowed for name in copied)
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users and all(user.partition(":")[0].isdigit() and not user.startswith("0") for user in users)
    assert lines.index(f"USER {users[-1]}") < next(
        i for i, line in enumerate(lines) if line.startswith("ENTRYPOINT")
    )

"""The list of licences names every package that facegeom asks for, and goes into the wheel."""

import re
import sys
from pathlib import Path

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

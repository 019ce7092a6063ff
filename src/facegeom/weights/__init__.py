"""The networks that ship: one entry of ``manifest.json`` for each file.

An entry says what the file is, what it takes and gives, which data it has seen and under which terms.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from facegeom.errors import WeightsError


@dataclass(frozen=True)
class Entry:
    """One weight file.

    Attributes:
        name: of the network: pnet, rnet, face; keypoints14 of the laboratory.
        file: beside the manifest.
        sha256: of the file.
        input: what the network takes.
        outputs: names in order, with meaning and unit.
        recipe: the command that makes it.
        data: what training saw.
        licence: terms of use of the weights.
        accuracy: measured figures, each with its protocol.
    """

    name: str
    file: str
    sha256: str
    input: str
    outputs: dict[str, str]
    recipe: str
    data: str
    licence: str
    accuracy: str

    @property
    def path(self) -> Path:
        """Where the file is."""
        return Path(str(files("facegeom.weights") / self.file))


@cache
def manifest() -> dict[str, Entry]:
    """All entries by name.

    Raises:
        WeightsError: the manifest is not what this version of facegeom expects.
    """
    text = (files("facegeom.weights") / "manifest.json").read_text(encoding="utf-8")
    try:
        return {name: Entry(name=name, **fields) for name, fields in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise WeightsError(f"the weights' manifest is damaged ({error}); install facegeom again") from error


def path(name: str) -> Path:
    """The file of a network, checked to be there.

    Raises:
        WeightsError: no such network, or its file is missing.
    """
    known = manifest()
    if name not in known:
        raise WeightsError(f"expected one of the networks that ship, {', '.join(known)}, got {name!r}")
    file = known[name].path
    if not file.is_file():
        raise WeightsError(f"the weight file {file} is missing; install facegeom again")
    return file


def verify(name: str) -> None:
    """Compare the file with its SHA-256.

    Raises:
        WeightsError: they differ.
    """
    digest = hashlib.sha256(path(name).read_bytes()).hexdigest()
    if digest != manifest()[name].sha256:
        raise WeightsError(f"the weight file of {name} is damaged (SHA-256 {digest}); install facegeom again")

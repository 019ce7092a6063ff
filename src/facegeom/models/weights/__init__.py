"""The networks that ship: one entry of ``manifest.json`` for each file.

An entry names the file, its inputs and outputs, its training data and the terms of use. There are two sets:
``research``, whose training photos allow research alone, and ``free``, which saw nothing but
:data:`CLEARED` sources and may be used and shipped.
"""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from facegeom.errors import WeightsError

FLOAT32 = "float32"
"""The variant that every network has; of the free set the file that ships, whatever its type."""

RESEARCH, FREE = "research", "free"

CLEARED = {
    "ict-facekit-light": "MIT",
    "free/hdri": "CC0 1.0",
    "free/portraits official": "public domain in the USA",
    "free/portraits generated": "CC0 1.0",
    "free/people189": "CC BY 4.0",
    "free/backgrounds grocery": "MIT",
    "free/backgrounds flowers": "CC BY 2.0",
    "mediapipe 0.10.21": "Apache-2.0",
}
"""Sources that a free network may have seen, as material or as a teacher, and their licences."""


@dataclass(frozen=True)
class Variant:
    """A smaller or faster variant of a network.

    Attributes:
        file: name beside the manifest.
        sha256: hash of the file.
        recipe: command that makes it from the float32 file.
        accuracy: measured figures.
    """

    file: str
    sha256: str
    recipe: str
    accuracy: str


@dataclass(frozen=True)
class DataSource:
    """Something that a network was trained on.

    Attributes:
        name: of the source, for a free network a key of :data:`CLEARED`.
        licence: its terms.
        count: of pictures, models or labels that were used.
        credit: whom the terms ask to name.
    """

    name: str
    licence: str
    count: int
    credit: str


@dataclass(frozen=True)
class Entry:
    """One weight file.

    Attributes:
        name: of the network, such as ``face``.
        file: name beside the manifest.
        sha256: hash of the file.
        input: shape, type and meaning of the input.
        outputs: names in order, with shape, meaning and unit.
        recipe: command that makes it.
        data: training data.
        licence: terms of use of the weights.
        accuracy: measured figures, each with its protocol.
        variants: smaller or faster variants by name.
        family: set of networks, ``research`` or ``free``.
        sources: of the training data, one by one; complete for free networks.
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
    variants: dict[str, Variant] = field(default_factory=dict)
    family: str = RESEARCH
    sources: tuple[DataSource, ...] = ()

    @property
    def path(self) -> Path:
        """Path of the float32 file."""
        return self.of(FLOAT32)[0]

    @property
    def paths(self) -> list[Path]:
        """Paths of the files of all variants."""
        return [self.of(variant)[0] for variant in (FLOAT32, *self.variants)]

    def of(self, variant: str) -> tuple[Path, str]:
        """Return a variant's path and its SHA-256.

        Raises:
            WeightsError: there is no such variant.
        """
        known: dict[str, Entry | Variant] = {FLOAT32: self, **self.variants}
        if variant not in known:
            raise WeightsError(
                f"expected one of the variants {', '.join(known)} of {self.name}, got {variant!r}"
            )
        return Path(str(files("facegeom.models.weights") / known[variant].file)), known[variant].sha256


@cache
def manifest() -> dict[str, Entry]:
    """Return all entries by name.

    Raises:
        WeightsError: the manifest is damaged.
    """
    try:
        text = (files("facegeom.models.weights") / "manifest.json").read_text(encoding="utf-8")
        return {name: _entry(name, **fields) for name, fields in json.loads(text).items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"the weights' manifest is damaged ({error}); install facegeom again") from error


def _entry(
    name: str,
    variants: dict[str, dict[str, str]] | None = None,
    sources: list[dict[str, Any]] | None = None,
    **fields: Any,
) -> Entry:
    made = {key: Variant(**values) for key, values in (variants or {}).items()}
    return Entry(
        name=name, variants=made, sources=tuple(DataSource(**each) for each in sources or ()), **fields
    )


def path(name: str, variant: str = FLOAT32) -> Path:
    """Return the file of a network, checked to exist.

    Args:
        name: of the network.
        variant: ``float32``, or one that the manifest names, such as ``int8``.

    Raises:
        WeightsError: no such network or variant, or its file is missing.
    """
    known = manifest()
    if name not in known:
        raise WeightsError(f"expected one of the networks that ship, {', '.join(known)}, got {name!r}")
    file, _ = known[name].of(variant)
    if not file.is_file():
        raise WeightsError(f"the weight file {file} is missing; install facegeom again")
    return file


def check(file: Path, content: bytes) -> None:
    """Compare the content of a file with its SHA-256, if it is one that ships.

    Raises:
        WeightsError: they differ.
    """
    for entry in manifest().values():
        for variant in (FLOAT32, *entry.variants):
            shipped, digest = entry.of(variant)
            if file == shipped and hashlib.sha256(content).hexdigest() != digest:
                raise WeightsError(
                    f"the weight file {file} of {entry.name} is damaged (its SHA-256 is not that of"
                    " the manifest); install facegeom again"
                )


def credits_file() -> Path:
    """Return the list of all whom the terms of the free set's sources ask to name."""
    return Path(str(files("facegeom.models.weights") / "credits-free.txt"))


def of_set(network: str, chosen: str) -> Path:
    """Return the file of a network for a value of the option ``weights``: a variant, or ``free``.

    Networks without the variant, and all of the free set, have one file each.

    Raises:
        WeightsError: the set has no such network, or its file is missing.
    """
    name = f"{network}-{FREE}" if chosen == FREE else network
    entry = manifest().get(name)
    return path(name, chosen if entry and chosen in entry.variants else FLOAT32)

"""What the adapters share: what a set is, where its files lie, what to say when one is missing or damaged."""

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facegeom.errors import InputError


@dataclass(frozen=True)
class DatasetInfo:
    """A published data set.

    Attributes:
        name: key in ``registry.DATASETS``.
        title: as its authors call it.
        url: where it is obtained.
        terms: what its publishers allow, in short.
        scheme: of its points, a key of ``geometry.schemes.SCHEMES``.
        module: of the adapter.
        splits: as published, what its ``records`` takes; names with a hyphen are parts of the test split.
    """

    name: str
    title: str
    url: str
    terms: str
    scheme: str
    module: str
    splits: tuple[str, ...]


def check_split(split: str | None, info: DatasetInfo) -> None:
    """InputError unless the split is one of the set's, or None for all."""
    if split is not None and split not in info.splits:
        raise InputError(
            f"expected one of {', '.join(info.splits)} as the split of {info.title}, got {split!r}"
        )


def require(path: Path, info: DatasetInfo) -> Path:
    """The path; InputError when nothing is there."""
    return locate(path.parent, (path.name,), info)


def locate(root: Path, places: Sequence[str], info: DatasetInfo) -> Path:
    """The first of several places below the root that exists.

    Raises:
        InputError: none does; the message names the first, and where the set is obtained.
    """
    for place in places:
        if (root / place).exists():
            return root / place
    others = f" (nor {' nor '.join(places[1:])} there)" if len(places) > 1 else ""
    raise InputError(
        f"expected {Path(places[0]).name!r} of {info.title} at {root / places[0]}, found nothing{others}; "
        f"give the folder into which the set was unpacked, as described in docs/data.md; it is obtained "
        f"from {info.url}"
    )


def base(root: Path, name: str) -> Path:
    """The set's own folder: the root, or the folder of that name in it."""
    return root / name if (root / name).is_dir() else root


def damaged(place: Path | str, expected: str, got: str, info: DatasetInfo) -> InputError:
    """The error for a file of the set that is not what it should be; the caller raises it."""
    return InputError(f"{place}: expected {expected}, got {got}; get {info.title} again from {info.url}")


def lines(path: Path, info: DatasetInfo) -> list[str]:
    """The lines of a text file of the set, without empty ones at the end."""
    try:
        return require(path, info).read_text(encoding="utf-8").rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise damaged(path, "a text file", str(error), info) from error


def numbers(fields: Sequence[str], count: int, place: str, info: DatasetInfo) -> np.ndarray:
    """(count,) finite float64 from the fields of a line; the place goes into the error."""
    try:
        values = np.array([float(field) for field in fields])
    except ValueError as error:
        raise damaged(place, f"{count} numbers", str(error), info) from error
    if len(values) != count or not np.isfinite(values).all():
        raise damaged(place, f"{count} numbers", f"{len(values)}: {' '.join(fields)[:60]!r}", info)
    return values


def numbered(photos: Sequence[str]) -> list[str]:
    """Names of faces from those of their photos: ``#0``, ``#1``… follow where a photo has several faces."""
    totals, seen = Counter(photos), Counter[str]()
    names = []
    for photo in photos:
        names.append(f"{photo}#{seen[photo]}" if totals[photo] > 1 else photo)
        seen[photo] += 1
    return names


def fold(photo: str) -> int:
    """0 to 9 by the checksum of a photo's name, the same everywhere: for sets without published parts."""
    return zlib.crc32(photo.encode()) % 10

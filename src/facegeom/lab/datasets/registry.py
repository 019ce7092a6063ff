"""The data sets by name."""

from importlib import import_module
from pathlib import Path

from facegeom.errors import InputError
from facegeom.lab.datasets import (
    aflw,
    aflw19,
    celeba,
    cofw,
    facepoints14,
    ffhq,
    lapa,
    pack_faces,
    w300,
    wflw,
)
from facegeom.lab.datasets.layout import DatasetInfo
from facegeom.lab.datasets.records import FaceRecord

_ADAPTERS = (lapa, w300, wflw, aflw, aflw19, cofw, ffhq, celeba, facepoints14, pack_faces)

DATASETS: dict[str, DatasetInfo] = {adapter.INFO.name: adapter.INFO for adapter in _ADAPTERS}
"""lapa, 300w, wflw, aflw, aflw19, cofw, ffhq, celeba, facepoints14, pack."""


def info(name: str) -> DatasetInfo:
    """The data set of that name; InputError, listing the names, when there is none."""
    if name not in DATASETS:
        raise InputError(f"expected one of {', '.join(DATASETS)} as the data set, got {name!r}")
    return DATASETS[name]


def load(name: str, root: Path, split: str | None = None) -> list[FaceRecord]:
    """The records of a data set.

    Args:
        name: key of ``DATASETS``.
        root: the folder into which the set was unpacked; see ``docs/data.md``.
        split: one of the set's ``splits``, or None for all.

    Raises:
        InputError: the name or the split is unknown; a file is missing or damaged.
    """
    records: list[FaceRecord] = import_module(info(name).module).records(root, split)
    return records

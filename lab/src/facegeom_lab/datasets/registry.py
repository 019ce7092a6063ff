"""The data sets by name."""

from dataclasses import replace
from pathlib import Path

from facegeom.errors import FacegeomError, InputError
from facegeom_lab.datasets.published import (
    aflw,
    aflw19,
    aflw2000,
    biwi,
    celeba,
    cofw,
    eurecom,
    facepoints14,
    ffhq,
    lapa,
    pack,
    superface,
    texas3dfrd,
    w300,
    w300lp,
    wflw,
)
from facegeom_lab.datasets.published.common import VAL_FOLD, fold
from facegeom_lab.datasets.records import DatasetInfo, FaceRecord

_ADAPTERS = {
    adapter.INFO.name: adapter
    for adapter in (
        *(lapa, w300, wflw, aflw, aflw19, cofw, ffhq, celeba, facepoints14, pack),
        *(w300lp, aflw2000, biwi),
        *(texas3dfrd, eurecom, superface),
    )
}

DATASETS: dict[str, DatasetInfo] = {name: adapter.INFO for name, adapter in _ADAPTERS.items()}
"""lapa, 300w, wflw, aflw, aflw19, cofw, ffhq, celeba, facepoints14, pack; 300w-lp, aflw2000, biwi;
texas3dfrd, eurecom, superface."""


def info(name: str) -> DatasetInfo:
    """Return the description of a data set.

    Raises:
        InputError: there is none of that name.
    """
    if name not in DATASETS:
        raise InputError(f"expected one of {', '.join(DATASETS)} as the data set, got {name!r}")
    return DATASETS[name]


def measured_splits(name: str) -> tuple[str, ...]:
    """Return the splits on which a training is measured: val, and test where the set has one."""
    return ("val", "test") if "test" in info(name).splits else ("val",)


def load(name: str, root: Path, split: str | None = None) -> list[FaceRecord]:
    """Read the records of a data set.

    A set that is published without a val split gets a fixed tenth of its training photos as val. The
    adapter's own ``records`` returns the training split as published.

    Args:
        name: key of ``DATASETS``.
        root: the folder into which the set was unpacked; see ``docs/data.md``.
        split: train, val, another of the set's ``splits``, or None for all.

    Raises:
        InputError: the name or the split is unknown; a file is missing or damaged.
    """
    published = info(name).splits
    if "val" in published or split not in ("train", "val", None):
        return _records(name, root, split)
    divided = [_held_out(record) for record in _records(name, root, split and "train")]
    return [record for record in divided if split in (None, record.split)]


def _records(name: str, root: Path, split: str | None) -> list[FaceRecord]:
    """Read the records of an adapter; what it does not foresee in a damaged file is an InputError, too."""
    try:
        records: list[FaceRecord] = _ADAPTERS[name].records(root, split)
    except FacegeomError:
        raise
    except Exception as error:  # parsers of MATLAB, HDF5, SQLite raise errors of any type
        title, url = DATASETS[name].title, DATASETS[name].url
        raise InputError(f"{title} in {root} is damaged ({error!r}); get it again from {url}") from error
    return records


def _held_out(record: FaceRecord) -> FaceRecord:
    """Move the record from train to val if its photo belongs to the fold held out."""
    photo = record.name.split("#")[0]
    return replace(record, split="val") if record.split == "train" and fold(photo) == VAL_FOLD else record

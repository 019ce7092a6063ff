"""The data sets by name."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path

from facegeom.errors import InputError
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
    pack_faces,
    superface,
    texas3dfrd,
    w300,
    w300lp,
    wflw,
)
from facegeom_lab.datasets.published.layout import DatasetInfo, fold
from facegeom_lab.datasets.records import FaceRecord

_ADAPTERS = (
    *(lapa, w300, wflw, aflw, aflw19, cofw, ffhq, celeba, facepoints14, pack_faces),
    *(w300lp, aflw2000, biwi),
    *(texas3dfrd, eurecom, superface),
)

DATASETS: dict[str, DatasetInfo] = {adapter.INFO.name: adapter.INFO for adapter in _ADAPTERS}
"""lapa, 300w, wflw, aflw, aflw19, cofw, ffhq, celeba, facepoints14, pack; 300w-lp, aflw2000, biwi;
texas3dfrd, eurecom, superface."""

VAL_FOLD = 1
"""Training photos of this fold are val in sets published without one; fold 0 is the test of AFLW."""


def info(name: str) -> DatasetInfo:
    """The data set of that name; InputError, listing the names, when there is none."""
    if name not in DATASETS:
        raise InputError(f"expected one of {', '.join(DATASETS)} as the data set, got {name!r}")
    return DATASETS[name]


def load(name: str, root: Path, split: str | None = None) -> list[FaceRecord]:
    """The records of a data set.

    Of a set that is published without a val split a tenth of the training photos becomes val, always the
    same; the adapter's own ``records`` gives the training split as published.

    Args:
        name: key of ``DATASETS``.
        root: the folder into which the set was unpacked; see ``docs/data.md``.
        split: train, val, another of the set's ``splits``, or None for all.

    Raises:
        InputError: the name or the split is unknown; a file is missing or damaged.
    """
    published, module = info(name).splits, import_module(info(name).module)
    if "val" in published or split not in ("train", "val", None):
        records: list[FaceRecord] = module.records(root, split)
        return records
    divided = [_divided(record) for record in module.records(root, split and "train")]
    return [record for record in divided if split in (None, record.split)]


def _divided(record: FaceRecord) -> FaceRecord:
    """The record, moved from train to val if its photo is of the tenth held out."""
    held_out = record.split == "train" and fold(record.name.split("#")[0]) == VAL_FOLD
    return replace(record, split="val") if held_out else record

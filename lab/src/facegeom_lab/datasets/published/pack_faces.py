"""The data pack's centred faces with the 68 points that people marked, and optionally meshes of a teacher."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facegeom.errors import InputError
from facegeom_lab.datasets.published import pack
from facegeom_lab.datasets.published.layout import DatasetInfo, check_split
from facegeom_lab.datasets.records import FaceRecord, photo

INFO = DatasetInfo(
    name="pack",
    title="the data pack",
    url="its sources, see docs/data.md",
    terms="those of its sources, most for research only",
    scheme="ibug68",
    module=__name__,
    splits=("train", "val", "test"),
)

BY_PEOPLE = ("helen", "lfpw", "afw")
"""Sources whose points were set or checked by people, one photo at a time."""


def records(
    root: Path,
    split: str | None = None,
    sources: Sequence[str] = BY_PEOPLE,
    labels: Path | None = None,
) -> list[FaceRecord]:
    """Faces of the pack that have points or a mesh. Around the photo the pictures are black.

    Args:
        root: the data pack.
        split: train, val, test, or None for all.
        sources: those wanted, as in ``faces.csv``.
        labels: file of ``facegeom lab label``; the meshes that its filter keeps become part of the records.

    Raises:
        InputError: another split; an unknown source; a file is missing.
    """
    check_split(split, INFO)
    rows = pack.face_rows(root)
    unknown = sorted(set(sources) - {row.source for row in rows})
    if unknown:
        known = ", ".join(sorted({row.source for row in rows}))
        raise InputError(f"expected sources of the data pack ({known}), got {', '.join(unknown)}")
    points, meshes = pack.face_landmarks(root), _meshes(labels)
    return [
        _record(root, row, points.get(row.file), meshes.get(row.file))
        for row in rows
        if row.source in sources and split in (None, row.split) and (row.file in points or row.file in meshes)
    ]


def _meshes(labels: Path | None) -> dict[str, np.ndarray]:
    """Meshes (478, 3) by picture, those in doubt left out."""
    if labels is None:
        return {}
    table = pack.mesh_labels(labels)
    return {str(table["files"][index]): table["mesh"][index] for index in np.flatnonzero(table["keep"])}


def _record(root: Path, row: pack.FaceRow, points: np.ndarray | None, mesh: np.ndarray | None) -> FaceRecord:
    return FaceRecord(
        name=f"faces/{row.file}",
        read=photo(root / "faces" / row.file),
        split=row.split,
        scheme=INFO.scheme if points is not None else "",
        points=points,
        mesh=mesh,
        source=row.source,
    )

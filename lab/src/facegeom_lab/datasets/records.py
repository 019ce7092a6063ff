"""The records that all data sets are read into: a labelled face, and the description of a published set."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from facegeom.image import reading


@dataclass(frozen=True, eq=False)
class FaceRecord:
    """One labelled face of one photo.

    Coordinates are pixels of the photo: x right, y down, pixel centres at integers.

    Attributes:
        name: unique within its data set: path of the photo below the set's root, and the face's number
            after a ``#`` where a photo has several.
        read: reads the photo, (H, W, 3) uint8 RGB; called when the pixels are needed, picklable.
        split: ``train``, ``val`` or ``test``.
        scheme: name of the point scheme (a key of ``geometry.schemes.SCHEMES``), or empty without points.
        points: (K, 2), NaN where a point was not annotated; None without points.
        visible: (K,) bool, False where a point is occluded; None where the set has no visibility labels.
        box_xyxy: (4,) as the set gives it, else None.
        mesh: (478, 3), z in pixels, else None.
        rotation: (3, 3) from head to camera, else None.
        depth: reads the depth map, (H, W) in millimetres, 0 where unknown; None without one.
        source: the collection within the set (``helen``, ``lfpw``…), or the set's own name.
    """

    name: str
    read: Callable[[], np.ndarray]
    split: str
    scheme: str = ""
    points: np.ndarray | None = None
    visible: np.ndarray | None = None
    box_xyxy: np.ndarray | None = None
    mesh: np.ndarray | None = None
    rotation: np.ndarray | None = None
    depth: Callable[[], np.ndarray] | None = None
    source: str = ""


@dataclass(frozen=True)
class DatasetInfo:
    """Description of a data set.

    Attributes:
        name: key in ``registry.DATASETS``.
        title: name that its authors use.
        url: where to obtain it.
        terms: its licence, in short.
        scheme: of its points, a key of ``geometry.schemes.SCHEMES``.
        splits: that the adapter's ``records`` takes, as published; a hyphen marks a subset of the test split.
    """

    name: str
    title: str
    url: str
    terms: str
    scheme: str
    splits: tuple[str, ...]


def photo_reader(path: Path) -> Callable[[], np.ndarray]:
    """Return a function that reads one image file, for :attr:`FaceRecord.read`."""
    return partial(reading.read, path)

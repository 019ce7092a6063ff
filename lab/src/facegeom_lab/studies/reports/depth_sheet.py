"""A contact sheet of depth on real photos, for looking at it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from facegeom.analyzer import FaceAnalyzer
from facegeom.depth.depth_map import DepthMap
from facegeom.errors import InputError
from facegeom.image import reading
from facegeom.image.rotated_crop import cut_upright
from facegeom_lab.files import save_png
from facegeom_lab.studies.reports.depth_views import map_picture, turned

TILE_PX = 160
TURN_DEG = 40


def sheet(
    photos: Sequence[Path], analyzer: FaceAnalyzer, out: Path, count: int = 20, columns: int = 10
) -> int:
    """Draw the first face of so many photos, evenly chosen: the photo, its depth, its surface lit and turned.

    Args:
        photos: files; those without a face are passed over.
        analyzer: that gives depth.
        out: picture to write (png).
        count: faces.
        columns: faces in a row.

    Returns:
        How many faces are shown.

    Raises:
        InputError: no face was found.
    """
    tiles = []
    for tile in _tiles(photos, analyzer, count):
        tiles.append(tile)
        if len(tiles) == count:
            break
    if not tiles:
        raise InputError(f"expected photos with faces, found none in {len(photos)} photos")
    empty = np.zeros_like(tiles[0])
    padded = tiles + [empty] * (-len(tiles) % columns)
    rows = [np.hstack(padded[start : start + columns]) for start in range(0, len(padded), columns)]
    save_png(out, Image.fromarray(np.vstack(rows)))
    return len(tiles)


def _tiles(photos: Sequence[Path], analyzer: FaceAnalyzer, count: int) -> Iterator[np.ndarray]:
    chosen = np.unique(np.linspace(0, len(photos) - 1, min(len(photos), 2 * count)).astype(int))
    order = [*chosen[::2], *chosen[1::2]]  # the second half stands in for photos without a face
    for index in order:
        picture = reading.read(photos[index])
        for face in analyzer(picture)[:1]:
            if face.depth is not None:
                yield tile(picture, face.depth)


def tile(picture: np.ndarray, depth: DepthMap) -> np.ndarray:
    """(4 x 160, 160, 3) the upright photo, the map, the lit surface and the photo's surface turned."""
    crop = cut_upright(picture, depth.image_from_depth[None], TILE_PX)[0]
    behind = np.where(depth.mask, depth.z_mm - depth.z_mm[depth.mask].min(), np.nan)
    parts = [
        crop,
        map_picture(behind, 0, 120),
        turned(behind, 0, size_px=TILE_PX),
        turned(behind, TURN_DEG, crop / 255, TILE_PX),
    ]
    return np.vstack(parts)

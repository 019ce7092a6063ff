"""A contact sheet of depth on real photos, for inspection."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from facegeom.analyzer import FaceAnalyzer
from facegeom.depth.depth_map import DepthMap
from facegeom.errors import InputError
from facegeom.image import reading
from facegeom.image.rotated_crop import crop_rotated
from facegeom_lab.files import save_image
from facegeom_lab.studies.depth.views import map_image, rotated_surface

TILE_PX = 160
TURN_DEG = 40


def sheet(
    photos: Sequence[Path], analyzer: FaceAnalyzer, out: Path, count: int = 20, columns: int = 10
) -> int:
    """Draw the first face of evenly spaced photos: the photo, its depth, its surface lit and rotated.

    Args:
        photos: files; those without a face are skipped.
        analyzer: with depth.
        out: image to write (png).
        count: number of faces.
        columns: faces in a row.

    Returns:
        The number of faces shown.

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
    save_image(out, Image.fromarray(np.vstack(rows)))
    return len(tiles)


def _tiles(photos: Sequence[Path], analyzer: FaceAnalyzer, count: int) -> Iterator[np.ndarray]:
    chosen = np.unique(np.linspace(0, len(photos) - 1, min(len(photos), 2 * count)).astype(int))
    order = [*chosen[::2], *chosen[1::2]]  # the second half replaces photos without a face
    for index in order:
        image = reading.read(photos[index])
        for face in analyzer(image)[:1]:
            if face.depth is not None:
                yield tile(image, face.depth)


def tile(image: np.ndarray, depth: DepthMap) -> np.ndarray:
    """Draw upright photo, map, lit surface and rotated textured surface: (4 x 160, 160, 3) uint8."""
    crop = crop_rotated(image, depth.image_from_depth[None], TILE_PX)[0]
    behind = np.where(depth.mask, depth.z_mm - depth.z_mm[depth.mask].min(), np.nan)
    parts = [
        crop,
        map_image(behind, 0, 120),
        rotated_surface(behind, 0, size_px=TILE_PX),
        rotated_surface(behind, TURN_DEG, crop / 255, TILE_PX),
    ]
    return np.vstack(parts)

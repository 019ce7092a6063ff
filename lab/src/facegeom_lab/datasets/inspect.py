"""Inspect a data set: counts, and a contact sheet of random faces with their labels drawn."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from facegeom.errors import InputError
from facegeom.geometry import boxes
from facegeom.geometry.schemes import Scheme
from facegeom.geometry.transforms import apply, box_to_square
from facegeom.image.crop import crop_squares
from facegeom_lab.datasets.records import FaceRecord
from facegeom_lab.datasets.registry import load
from facegeom_lab.datasets.schemes import SCHEMES
from facegeom_lab.files import save_image

TILE_PX = 256
_CANVAS_PX = 2 * TILE_PX  # drawn twice as large and shrunk, for smooth lines

Colour: TypeAlias = tuple[int, int, int]

_LINE, _POINT, _HIDDEN, _BOX = (0, 200, 255), (64, 255, 128), (255, 72, 72), (255, 255, 255)
_NUMBER, _SHADE, _MESH = (255, 240, 120), (0, 0, 0), (255, 120, 220)

_CROP_SCALE = 1.4
_NUMBERED = 8
"""Count of a face's points that are drawn with their index."""


def run(name: str, root: Path, out: Path, split: str | None = None, count: int = 24, seed: int = 0) -> str:
    """Write a contact sheet of a data set as PNG and return its counts as text.

    Args:
        name: key of ``registry.DATASETS``.
        root: the folder into which the set was unpacked.
        out: file of the sheet.
        split: one of the set's splits, or None for all.
        count: faces on the sheet.
        seed: of the choice of faces.

    Raises:
        InputError: the name or the split is unknown; a file is missing or damaged.
        ImageError: an image cannot be read.
        OutputError: the sheet cannot be written.
    """
    records = load(name, root, split)
    save_image(out, contact_sheet(records, seed=seed, count=count))
    return table(summary(records))


def summary(records: Sequence[FaceRecord]) -> dict[str, Any]:
    """Count the records; no image is read.

    Returns:
        ``faces``, ``photos``; ``splits``, ``sources``, ``schemes`` count faces by name; ``labels`` counts
        faces that have points, a box and so on; ``annotated`` is the fraction of points that were annotated,
        ``visible`` the fraction that is visible, in [0, 1], None where nothing is known; ``size_px`` the
        minimum, median and maximum of the faces' longer sides, None without faces of known size.
    """
    sizes = [float(np.ptp(corners.reshape(2, 2), axis=0).max()) for corners in map(extent, records)]
    known = [size for size in sizes if np.isfinite(size)]
    points = [np.isfinite(record.points).all(axis=1) for record in records if record.points is not None]
    visible = [record.visible for record in records if record.visible is not None]
    labels = ("points", "visible", "box_xyxy", "mesh", "rotation", "depth")
    return {
        "faces": len(records),
        "photos": len({record.name.split("#")[0] for record in records}),
        "splits": dict(Counter(record.split for record in records)),
        "sources": dict(Counter(record.source for record in records)),
        "schemes": dict(Counter(record.scheme or "none" for record in records)),
        "labels": {name: sum(getattr(record, name) is not None for record in records) for name in labels},
        "annotated": _fraction(points),
        "visible": _fraction(visible),
        "size_px": tuple(float(np.quantile(known, q)) for q in (0, 0.5, 1)) if known else None,
    }


def _fraction(flags: list[np.ndarray]) -> float | None:
    return float(np.concatenate(flags).mean()) if flags else None


def table(counts: dict[str, Any]) -> str:
    """Format a :func:`summary` as text, a line for each entry."""
    return "\n".join(f"{name.replace('_', ' '):<10} {_text(value)}" for name, value in counts.items())


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict):
        return ", ".join(f"{name} {count}" for name, count in value.items())
    if isinstance(value, tuple):
        return " / ".join(f"{part:.0f}" for part in value) + " (smallest / median / largest)"
    return f"{value:.1%}" if isinstance(value, float) else str(value)


def extent(record: FaceRecord) -> np.ndarray:
    """Return the box (4,) around a record's points, mesh and box; NaN when it has none of them."""
    corners = [np.empty((0, 2))]
    if record.points is not None:
        corners.append(record.points[np.isfinite(record.points).all(axis=1)])
    if record.mesh is not None:
        corners.append(record.mesh[:, :2])
    if record.box_xyxy is not None:
        corners.append(record.box_xyxy.reshape(2, 2))
    points = np.concatenate(corners)
    return boxes.from_points(points) if len(points) else np.full(4, np.nan)


def contact_sheet(
    records: Sequence[FaceRecord], columns: int = 6, seed: int = 0, count: int = 24
) -> Image.Image:
    """Draw random faces in a grid, each cropped around its labels, with the labels.

    Points are green, red where occluded, connected by the lines of their scheme, a few with their index;
    boxes are white, meshes pink. The name stands below each face.

    Args:
        records: of one or more data sets.
        columns: faces in a row.
        seed: of the choice of faces.
        count: most faces in all.

    Raises:
        InputError: no records, or not a single row and column.
        ImageError: an image cannot be read.
    """
    if not records or columns < 1 or count < 1:
        raise InputError(
            f"expected records, columns and a count of at least 1, got {len(records)}, {columns}, {count}"
        )
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(records))[:count]).tolist()
    columns = min(columns, len(chosen))
    rows = -(-len(chosen) // columns)
    sheet = Image.new("RGB", (columns * TILE_PX, rows * TILE_PX))
    for k, index in enumerate(chosen):
        corner = (k % columns * TILE_PX, k // columns * TILE_PX)
        sheet.paste(_tile(records[index]), corner)
    return sheet


def _tile(record: FaceRecord) -> Image.Image:
    """Draw one face (TILE_PX, TILE_PX) with its labels and name."""
    photo = Image.fromarray(record.read())
    square = _square(record, photo)
    canvas = Image.fromarray(crop_squares(photo, square[None], _CANVAS_PX)[0])
    pen, to_canvas = ImageDraw.Draw(canvas), box_to_square(square, _CANVAS_PX)
    if record.box_xyxy is not None:
        pen.rectangle(apply(to_canvas, record.box_xyxy.reshape(2, 2)).ravel().tolist(), outline=_BOX, width=2)
    if record.mesh is not None:
        _draw_lines(pen, apply(to_canvas, record.mesh[:, :2]), SCHEMES["mesh478"], _MESH, 1)
    if record.points is not None:
        points = apply(to_canvas, record.points)
        _draw_lines(pen, points, SCHEMES[record.scheme], _LINE, 2)
        _draw_points(pen, points, record.visible)
    _draw_name(pen, f"{record.split} {record.name}")
    return canvas.reduce(2)


def _square(record: FaceRecord, photo: Image.Image) -> np.ndarray:
    """Return the square (4,) around the labels, or around the photo where they have no extent."""
    area = extent(record)
    if np.ptp(area.reshape(2, 2), axis=0).max() >= 1:
        return boxes.square(area, _CROP_SCALE)
    return boxes.square(np.array([-0.5, -0.5, photo.width - 0.5, photo.height - 0.5]))


def _draw_lines(
    pen: ImageDraw.ImageDraw, points: np.ndarray, scheme: Scheme, colour: Colour, width: int
) -> None:
    for ends in points[np.array(scheme.lines)]:
        if np.isfinite(ends).all():
            pen.line(ends.ravel().tolist(), fill=colour, width=width)


def _draw_points(pen: ImageDraw.ImageDraw, points: np.ndarray, visible: np.ndarray | None) -> None:
    """Draw a dot for each point, and the index of a few that are spread over all indices."""
    numbered = np.linspace(0, len(points) - 1, min(_NUMBERED, len(points))).round().astype(int).tolist()
    annotated = np.flatnonzero(np.isfinite(points).all(axis=1)).tolist()
    font = ImageFont.load_default(20)
    for index in annotated:
        x, y = points[index].tolist()
        fill = _POINT if visible is None or visible[index] else _HIDDEN
        pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=fill, outline=_SHADE)
        if index in numbered:
            corner, text = (x + 5, y - 5), str(index)
            pen.text(corner, text, fill=_NUMBER, font=font, anchor="ls", stroke_width=2, stroke_fill=_SHADE)


def _draw_name(pen: ImageDraw.ImageDraw, name: str) -> None:
    """Write as much of a name's end as there is room for, along the lower edge."""
    font, text = ImageFont.load_default(20), name
    while pen.textlength(text, font=font) > _CANVAS_PX - 12:
        text = f"…{text[2:]}"
    pen.rectangle((0, _CANVAS_PX - 30, _CANVAS_PX, _CANVAS_PX), fill=_SHADE)
    pen.text((6, _CANVAS_PX - 15), text, fill=_BOX, font=font, anchor="lm")

"""Groups: many small faces in large photos, found without an option; false faces in large photos."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from facegeom.geometry.boxes import face_box
from facegeom.geometry.transforms import resize_points
from facegeom.image import reading
from facegeom_lab.bench.accuracy.detection import false_boxes, systems
from facegeom_lab.bench.context import Bench
from facegeom_lab.bench.matching import astray, recall
from facegeom_lab.datasets.published import pack
from facegeom_lab.datasets.published.pack import LabelledPhoto, read_face_rgba
from facegeom_lab.measures.tables import Cell, Table, percent

FloatArray = npt.NDArray[np.floating]

LONGER_PX = (1000, 1280, 1600, 2048, 2560, 3264, 4000)
GROUPS_PER_SIZE = 4
"""Of each kind."""

FACES, FEW_FACES = (10, 60), (1, 3)
FACE_PX = (20.0, 80.0)
LEAST_FRACTION = 0.015
"""Faces are at least this fraction of the longer side."""

ENLARGED_PX = 2000

_KINDS = ("mosaic", "pasted", "few, mosaic", "few, pasted")
_FACES_PROTOCOL = (
    "Photos of 1,000 to 4,000 px (JPEG) with 10 to 60 faces of 20 to 80 px, but at least 1.5 % of the "
    "longer side, by defaults. mosaic: scenes of `val` with one face, made smaller, on a held-out photo "
    "without a face. pasted: single faces of `val` on such a photo; side by side or scattered. few: the same "
    "with 1 to 3 faces. Found: IoU of at least 0.3, or the centre of the box inside the labelled one. "
    "Matching nothing: boxes that do neither with any label."
)
_FALSE_PROTOCOL = (
    "Boxes on photos without a face, as they are and enlarged to 2,000 px: the 100 held-out photos of "
    "BSDS500 (on some of which distant people stand) and every tenth of the photos of groceries and flowers. "
    "Defaults."
)


def groups(bench: Bench) -> list[Table]:
    """Measure faces found in groups, and false boxes in large photos, two tables."""
    rows: list[tuple[Cell, ...]] = []
    for kind, photos in group_photos(bench).items():
        for system, predictions in systems(bench, photos):
            _, found, labelled, boxes = recall(predictions, photos)
            stray = sum(map(astray, predictions, photos))
            rows.append((kind, system, found, labelled, boxes, percent(stray, boxes)))
    columns = ("photos", "system", "found, %", "faces", "boxes", "matching nothing, %")
    false_rows = [
        (name, system, *false_boxes(predictions))
        for name, photos in _empty_photos(bench).items()
        for system, predictions in systems(bench, photos)
    ]
    false_columns = ("set", "system", "boxes", "photos with a box", "photos", "boxes per photo")
    return [
        Table("Groups: faces found", _FACES_PROTOCOL, columns, rows),
        Table("Groups: false boxes", _FALSE_PROTOCOL, false_columns, false_rows),
    ]


def group_photos(bench: Bench) -> dict[str, list[LabelledPhoto]]:
    """Return the groups of each kind, made from the data pack into the cache."""
    scenes = [
        photo for photo in pack.scene_photos(bench.data, "val") if photo.labelled == len(photo.box_xyxy) == 1
    ]
    faces = pack.face_photos(bench.data, "val", ("helen", "lfpw", "portraits-color"))
    backgrounds, folder = [*bench.backgrounds(), *_free(bench)], bench.cache / "groups"
    return {
        kind: [
            _group(kind, number, scenes if "mosaic" in kind else faces, backgrounds, folder)
            for number in range(len(LONGER_PX) * GROUPS_PER_SIZE)
        ]
        for kind in _KINDS
    }


def _group(
    kind: str,
    number: int,
    sources: Sequence[LabelledPhoto],
    backgrounds: Sequence[LabelledPhoto],
    folder: Path,
) -> LabelledPhoto:
    """Make one group: cells of a grid show faces of about one size, neighbours or scattered."""
    rng = np.random.default_rng((number, _KINDS.index(kind)))
    longer = LONGER_PX[number % len(LONGER_PX)]
    least = max(FACE_PX[0], LEAST_FRACTION * longer)
    size_px = rng.uniform(least, rng.uniform(least, FACE_PX[1]))  # smaller ones more often
    fewest, most = FEW_FACES if "few" in kind else FACES
    count = int(rng.integers(fewest, most + 1))
    canvas = _background(backgrounds[int(rng.integers(len(backgrounds)))].path, longer, number % 2 == 0)
    place = _paste_scene if "mosaic" in kind else _paste_face
    boxes: list[FloatArray] = []
    cell = round((3.6 if "mosaic" in kind else 1.8) * size_px)
    grid = np.stack(np.meshgrid(range(canvas.width // cell), range(canvas.height // cell)), -1).reshape(-1, 2)
    order = rng.permutation(len(grid))
    if number % 4 < 2:  # side by side
        order = np.argsort(np.abs(grid - grid[order[0]]).max(axis=1), kind="stable")
    for corner in grid[order] * cell:
        if len(boxes) >= count:
            break
        face_px = float(np.clip(size_px * rng.uniform(0.85, 1.15), least, FACE_PX[1]))
        boxes.append(place(canvas, sources[int(rng.integers(len(sources)))], face_px, corner, cell))
    path = folder / f"{kind.replace(', ', '-')}-{number:02d}.jpg"
    folder.mkdir(parents=True, exist_ok=True)
    canvas.save(path, quality=92)
    labels = np.array(boxes, np.float64).reshape(-1, 4)
    nothing = np.full_like(labels, np.nan)
    return LabelledPhoto(path, kind, len(labels), labels, nothing)


def _background(path: Path, longer: int, is_enlarged: bool) -> Image.Image:
    """Return a photo of 3:2 without a face: one enlarged, or one repeated as it is, mirrored."""
    photo = Image.fromarray(reading.read(path))
    size = (longer, longer * 2 // 3) if photo.width > photo.height else (longer * 2 // 3, longer)
    if is_enlarged:
        return photo.resize(size, Image.Resampling.BICUBIC)
    pixels = np.asarray(photo)
    pad = ((0, size[1] - photo.height), (0, size[0] - photo.width), (0, 0))
    return Image.fromarray(np.pad(pixels, pad, mode="symmetric"))


def _paste_scene(
    canvas: Image.Image, scene: LabelledPhoto, face_px: float, corner: FloatArray, cell: int
) -> FloatArray:
    """Paste a scene whose face gets the size, cut to the cell around it; return the face's box."""
    box = scene.box_xyxy[0]
    scale = face_px / (box[2:] - box[:2]).max()
    photo = Image.fromarray(reading.read(scene.path))
    photo = photo.resize([max(1, round(side * scale)) for side in photo.size], Image.Resampling.BOX)
    box = resize_points(box, scale)
    size = np.array(photo.size)
    start = np.clip(np.round((box[:2] + box[2:] - cell) / 2), 0, np.maximum(size - cell, 0)).astype(int)
    canvas.paste(
        photo.crop((*start.tolist(), *np.minimum(start + cell, size).tolist())), tuple(corner.tolist())
    )
    return box + np.tile(corner - start, 2)


def _paste_face(
    canvas: Image.Image, face: LabelledPhoto, face_px: float, corner: FloatArray, cell: int
) -> FloatArray:
    """Paste one face with soft edges into the middle of the cell; return its box."""
    rgba = read_face_rgba(face.path)
    side = min(rgba.shape[:2])
    rgba = rgba[:side, :side]
    box = (
        face_box(face.landmarks_px)[0]
        if len(face.landmarks_px)
        else side * np.array([0.25, 0.25, 0.75, 0.75]) - 0.5
    )
    scale = face_px / (box[2:] - box[:2]).max()
    oval = Image.new("L", (side, side))
    ImageDraw.Draw(oval).ellipse([0.14 * side, 0.08 * side, 0.86 * side, 0.92 * side], fill=255)
    oval = oval.filter(ImageFilter.GaussianBlur(0.03 * side))
    alpha = Image.fromarray(np.minimum(np.asarray(oval), rgba[..., 3]))
    size = (max(1, round(side * scale)),) * 2
    start = np.round(corner + (cell - np.array(size)) / 2).astype(int)
    canvas.paste(
        Image.fromarray(rgba[..., :3]).resize(size, Image.Resampling.BOX),
        tuple(start.tolist()),
        alpha.resize(size, Image.Resampling.BOX),
    )
    return resize_points(box, scale) + np.tile(start, 2)


def _free(bench: Bench) -> list[LabelledPhoto]:
    """Return the held-out photos of groceries and flowers."""
    return [LabelledPhoto(path, "free") for path in pack.free_background_files(bench.data, "val")]


def _empty_photos(bench: Bench) -> dict[str, list[LabelledPhoto]]:
    sets = {"BSDS500": bench.backgrounds(), "groceries and flowers": _free(bench)}
    large = {f"{name}, enlarged": list(_enlarged(photos, bench.cache)) for name, photos in sets.items()}
    return {**sets, **large}


def _enlarged(photos: Sequence[LabelledPhoto], cache: Path) -> Iterator[LabelledPhoto]:
    folder = cache / "groups"
    folder.mkdir(parents=True, exist_ok=True)
    for photo in photos:
        image = Image.fromarray(reading.read(photo.path))
        scale = ENLARGED_PX / max(image.size)
        path = folder / f"empty-{photo.source}-{photo.path.stem}.jpg"
        image.resize([round(side * scale) for side in image.size], Image.Resampling.BICUBIC).save(path)
        yield replace(photo, path=path)

"""Pictures on which faces are hard to find, made from the data pack: always the same ones."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.geometry.boxes import from_points
from facegeom.geometry.placement import average_head
from facegeom.geometry.rotation import angles_from_rotation
from facegeom.image import reading
from facegeom.image.reading import UInt8Array
from facegeom.results import Faces
from facegeom_lab.bench.mesh import nearest, picture_middle
from facegeom_lab.datasets.pack_photos import Picture
from facegeom_lab.datasets.training.faces import without_border
from facegeom_lab.synth.profile import profile

FloatArray = npt.NDArray[np.floating]

SMALL_PX = (12.0, 40.0)
"""Widths of small faces; below, nobody is asked."""

SHRUNK = 3
SCENE_PX = 448
TURNED_DEG = (45.0, 80.0)

_MIDDLE_HALF = np.array([0.25, 0.25, 0.75, 0.75])  # the pack's pictures are twice as wide as the face


def small(pictures: Sequence[Picture], folder: Path) -> list[Picture]:
    """The photos, and once more at a third of their size; of their faces only the narrow ones count."""
    narrow = [_narrow(picture) for picture in pictures]
    return [picture for picture in [*narrow, *_shrunk(pictures, folder)] if len(picture.box_xyxy)]


def _narrow(picture: Picture) -> Picture:
    width = picture.box_xyxy[:, 2] - picture.box_xyxy[:, 0]
    kept = (width >= SMALL_PX[0]) & (width < SMALL_PX[1])
    return replace(
        picture,
        box_xyxy=picture.box_xyxy[kept],
        teacher_box_xyxy=picture.teacher_box_xyxy[kept],
        landmarks_px=picture.landmarks_px[kept],
    )


def _shrunk(pictures: Sequence[Picture], folder: Path) -> Iterator[Picture]:
    for index, picture in enumerate(pictures):
        image = Image.fromarray(reading.read(picture.path)).reduce(SHRUNK)
        path = _saved(image, folder / f"small-{index:04d}.png")
        yield _narrow(
            Picture(
                path,
                picture.source,
                picture.labelled,
                (picture.box_xyxy + 0.5) / SHRUNK - 0.5,
                (picture.teacher_box_xyxy + 0.5) / SHRUNK - 0.5,
                (picture.landmarks_px + 0.5) / SHRUNK - 0.5,
            )
        )


def half_covered(
    pictures: Sequence[Picture], backgrounds: Sequence[Picture], folder: Path
) -> Iterator[Picture]:
    """The photos with one half of every labelled face under a piece of another photo.

    The left, the right, the lower, the upper half in turn; the labels stay.
    """
    for index, picture in enumerate(pictures):
        image = Image.fromarray(reading.read(picture.path))
        cover = Image.fromarray(reading.read(backgrounds[index % len(backgrounds)].path))
        for number, box in enumerate(picture.box_xyxy):
            left, top, right, bottom = _half(box, (index + number) % 4)
            piece = cover.crop((0, 0, min(cover.width, right - left), min(cover.height, bottom - top)))
            image.paste(piece.resize((right - left, bottom - top)), (left, top))
        yield replace(picture, path=_saved(image, folder / f"covered-{index:04d}.png"))


def _half(box_xyxy: FloatArray, side: int) -> tuple[int, int, int, int]:
    left, top, right, bottom = (round(float(value)) for value in box_xyxy)
    across, down = (left + right) // 2, (top + bottom) // 2
    halves = (
        (left, top, across, bottom),
        (across, top, right, bottom),
        (left, down, right, bottom),
        (left, top, right, down),
    )
    return halves[side]


def masked(pictures: Sequence[Picture], folder: Path) -> Iterator[Picture]:
    """Pictures of the pack with a face in the middle, without the black around the photo."""
    for index, picture in enumerate(pictures):
        marked = without_border(picture.path)
        inside = np.argwhere(marked[..., 3] > 0)
        (top, left), (bottom, right) = inside.min(axis=0), inside.max(axis=0) + 1
        image = Image.fromarray(marked[top:bottom, left:right, :3])
        face = _MIDDLE_HALF * len(marked) - (left, top, left, top)
        path = _saved(image, folder / f"masked-{index:04d}.png")
        yield replace(picture, path=path, box_xyxy=_boxed(face), teacher_box_xyxy=_boxed(None))


def profiled(
    pictures: Sequence[Picture], answers: Sequence[Faces], backgrounds: Sequence[Picture], folder: Path
) -> Iterator[Picture]:
    """Faces of the pack turned in 3D to yaws of 45° to 80° and laid over photos without a face.

    Args:
        pictures: with a face in the middle.
        answers: whose meshes the surfaces are made of; pictures without an answer are left out.
        backgrounds: photos without a face.
        folder: of the new pictures.
    """
    for index, (picture, faces) in enumerate(zip(pictures, answers, strict=True)):
        mesh = nearest(faces.mesh_px, picture_middle(picture))
        if mesh is None:
            continue
        rng = np.random.default_rng(index)
        head = average_head(mesh)
        yaw = float(angles_from_rotation(head.rotation)[0])
        if abs(yaw) >= TURNED_DEG[0]:
            continue
        side = np.sign(yaw) or 1.0  # what the turn hides must not be what the photo lacks
        turn = side * rng.uniform(*TURNED_DEG) - yaw
        flat, depth = mesh[:, :2].astype(np.float64), mesh[:, 2].astype(np.float64)
        turned = profile(without_border(picture.path), mesh, flat, depth, turn)
        image, offset = _laid(turned.picture, backgrounds[index % len(backgrounds)], rng)
        yield Picture(
            _saved(image, folder / f"profiled-{index:04d}.png"),
            picture.source,
            1,
            _boxed(from_points(turned.mesh[:, :2] + offset)),
            _boxed(None),
        )


def _laid(
    picture_rgba: UInt8Array, background: Picture, rng: np.random.Generator
) -> tuple[Image.Image, FloatArray]:
    """A picture somewhere on a background of 448 pixels, and where (2,)."""
    ground = Image.fromarray(reading.read(background.path))
    ground = ground.resize(
        (SCENE_PX, max(picture_rgba.shape[0], SCENE_PX * ground.height // ground.width)),
        Image.Resampling.BICUBIC,
    )
    piece = Image.fromarray(picture_rgba)
    place = rng.integers(0, (ground.width - piece.width + 1, ground.height - piece.height + 1))
    ground.paste(piece.convert("RGB"), (int(place[0]), int(place[1])), piece.getchannel("A"))
    return ground, place.astype(np.float64)


def _boxed(box_xyxy: FloatArray | None) -> FloatArray:
    return np.full((1, 4), np.nan) if box_xyxy is None else np.asarray(box_xyxy, np.float64).reshape(1, 4)


def _saved(image: Image.Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, compress_level=1)
    return path

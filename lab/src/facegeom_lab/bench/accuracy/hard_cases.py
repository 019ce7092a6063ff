"""Detection on hard cases: small, turned, masked and half covered faces, made from the data pack."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.geometry.boxes import from_points
from facegeom.geometry.placement import fit_canonical_head
from facegeom.geometry.rotation import angles_from_rotation
from facegeom.geometry.transforms import resize_points
from facegeom.image import reading
from facegeom.image.reading import UInt8Array
from facegeom.results import Faces
from facegeom_lab.bench.accuracy.detection import systems
from facegeom_lab.bench.accuracy.mesh import image_centre, nearest
from facegeom_lab.bench.context import Bench
from facegeom_lab.bench.matching import recall
from facegeom_lab.bench.rotation.rendered import HeadSet, render_heads
from facegeom_lab.datasets.published import pack
from facegeom_lab.datasets.published.pack import LabelledPhoto, read_face_rgba
from facegeom_lab.measures.tables import Table
from facegeom_lab.synth.face_profiling import profile

FloatArray = npt.NDArray[np.floating]

RENDERED = (
    HeadSet(seed=41, count=100, yaw_deg=(45, 80), pitch_deg=(-20, 20), roll_deg=(-20, 20)),
    HeadSet(seed=42, count=100, yaw_deg=(-80, -45), pitch_deg=(-20, 20), roll_deg=(-20, 20)),
)
PROFILED_SOURCES = ("helen", "lfpw", "portraits-color")

SMALL_PX = (12.0, 40.0)
"""Range of the widths of small faces; narrower ones are not counted."""

DOWNSCALE_FACTOR = 3
SCENE_PX = 448
PROFILE_YAW_DEG = (45.0, 80.0)

_FACE_IN_CROP = np.array([0.25, 0.25, 0.75, 0.75])  # images of data/faces are twice as wide as the face

_PROTOCOL = (
    "Fraction of the faces that are found: IoU of at least 0.3, or the centre of the box inside the labelled "
    "one. Defaults throughout. narrow: labelled faces of 12 to 40 px in the scenes of `val` and AFW, as they "
    "are and at a third of their size. rendered: heads not used in training, in whole images, yaw 45° to 80° "
    "to either side. profiled: `val` faces rotated in 3D by facegeom's mesh to 45° to 80°, on held-out "
    "photos without a face. masked: `val` images of people with a mask, cropped to the photo inside their "
    "black border. half covered: the scenes with the left, right, lower or upper half of each labelled face "
    "under a piece of a held-out photo. MTCNN proposed the boxes of the scenes, which favours it."
)


def hard_cases(bench: Bench) -> list[Table]:
    """Measure the recall of each system on each list, one table."""
    rows = [
        (name, system, loose, labelled, boxes)
        for name, photos in lists(bench).items()
        if photos
        for system, predictions in systems(bench, photos)
        for _, loose, labelled, boxes in [recall(predictions, photos)]
    ]
    return [Table("Detection: hard cases", _PROTOCOL, ("list", "system", "found, %", "faces", "boxes"), rows)]


def lists(bench: Bench) -> dict[str, Sequence[LabelledPhoto]]:
    """Return the images of each list, made from the data pack into the cache."""
    folder = bench.cache / "hard"
    scenes = [photo for photos in bench.scene_sets().values() for photo in photos]
    backgrounds = bench.backgrounds()
    faces = pack.face_photos(bench.data, "val", PROFILED_SOURCES)
    return {
        "narrow, below 40 px": small_faces(scenes, folder),
        "rendered, beyond 45°": [
            photo for side in RENDERED for photo in render_heads(bench.data, side, bench.cache).photos
        ],
        "profiled, beyond 45°": list(profiled_faces(faces, bench.predictions(faces), backgrounds, folder)),
        "masked": list(masked_faces(pack.face_photos(bench.data, "val", ("masks",)), folder)),
        "half covered": list(half_covered_faces(scenes, backgrounds, folder)),
    }


def small_faces(photos: Sequence[LabelledPhoto], folder: Path) -> list[LabelledPhoto]:
    """Return the photos, and once more at a third of their size, labelled with only their narrow faces."""
    narrow = [_narrow(photo) for photo in photos]
    return [photo for photo in [*narrow, *_downscaled(photos, folder)] if len(photo.box_xyxy)]


def _narrow(photo: LabelledPhoto) -> LabelledPhoto:
    width = photo.box_xyxy[:, 2] - photo.box_xyxy[:, 0]
    kept = (width >= SMALL_PX[0]) & (width < SMALL_PX[1])
    return replace(
        photo,
        box_xyxy=photo.box_xyxy[kept],
        teacher_box_xyxy=photo.teacher_box_xyxy[kept],
        landmarks_px=photo.landmarks_px[kept],
    )


def _downscaled(photos: Sequence[LabelledPhoto], folder: Path) -> Iterator[LabelledPhoto]:
    for index, photo in enumerate(photos):
        image = Image.fromarray(reading.read(photo.path)).reduce(DOWNSCALE_FACTOR)
        path = _save(image, folder / f"small-{index:04d}.png")
        yield _narrow(
            LabelledPhoto(
                path,
                photo.source,
                photo.labelled,
                resize_points(photo.box_xyxy, 1 / DOWNSCALE_FACTOR),
                resize_points(photo.teacher_box_xyxy, 1 / DOWNSCALE_FACTOR),
                resize_points(photo.landmarks_px, 1 / DOWNSCALE_FACTOR),
            )
        )


def half_covered_faces(
    photos: Sequence[LabelledPhoto], backgrounds: Sequence[LabelledPhoto], folder: Path
) -> Iterator[LabelledPhoto]:
    """Yield the photos with one half of every labelled face covered by a piece of another photo.

    The covered half is left, right, lower and upper in turn; the labels stay.
    """
    for index, photo in enumerate(photos):
        image = Image.fromarray(reading.read(photo.path))
        cover = Image.fromarray(reading.read(backgrounds[index % len(backgrounds)].path))
        for number, box in enumerate(photo.box_xyxy):
            left, top, right, bottom = _half(box, (index + number) % 4)
            piece = cover.crop((0, 0, min(cover.width, right - left), min(cover.height, bottom - top)))
            image.paste(piece.resize((right - left, bottom - top)), (left, top))
        yield replace(photo, path=_save(image, folder / f"covered-{index:04d}.png"))


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


def masked_faces(photos: Sequence[LabelledPhoto], folder: Path) -> Iterator[LabelledPhoto]:
    """Yield images of data/faces with the face in the middle, without their black border."""
    for index, photo in enumerate(photos):
        rgba = read_face_rgba(photo.path)
        inside = np.argwhere(rgba[..., 3] > 0)
        (top, left), (bottom, right) = inside.min(axis=0), inside.max(axis=0) + 1
        image = Image.fromarray(rgba[top:bottom, left:right, :3])
        face = _FACE_IN_CROP * len(rgba) - 0.5 - (left, top, left, top)
        path = _save(image, folder / f"masked-{index:04d}.png")
        yield replace(photo, path=path, box_xyxy=_box_array(face), teacher_box_xyxy=_box_array(None))


def profiled_faces(
    photos: Sequence[LabelledPhoto],
    predictions: Sequence[Faces],
    backgrounds: Sequence[LabelledPhoto],
    folder: Path,
) -> Iterator[LabelledPhoto]:
    """Yield faces of the data pack rotated in 3D to yaws of 45° to 80°, on photos without a face.

    Args:
        photos: with a face in the middle.
        predictions: their meshes give the faces' surfaces; photos without a face are left out.
        backgrounds: photos without a face.
        folder: where the new images are saved.
    """
    for index, (photo, faces) in enumerate(zip(photos, predictions, strict=True)):
        mesh = nearest(faces.mesh_px, image_centre(photo))
        if mesh is None:
            continue
        rng = np.random.default_rng(index)
        head = fit_canonical_head(mesh)
        yaw = float(angles_from_rotation(head.rotation)[0])
        if abs(yaw) >= PROFILE_YAW_DEG[0]:
            continue
        side = np.sign(yaw) or 1.0  # further the same way: the side that the photo lacks stays hidden
        turn_deg = side * rng.uniform(*PROFILE_YAW_DEG) - yaw
        flat, depth = mesh[:, :2].astype(np.float64), mesh[:, 2].astype(np.float64)
        turned = profile(read_face_rgba(photo.path), mesh, flat, depth, turn_deg)
        image, offset = _pasted(turned.image, backgrounds[index % len(backgrounds)], rng)
        yield LabelledPhoto(
            _save(image, folder / f"profiled-{index:04d}.png"),
            photo.source,
            1,
            _box_array(from_points(turned.mesh[:, :2] + offset)),
            _box_array(None),
        )


def _pasted(
    face_rgba: UInt8Array, background: LabelledPhoto, rng: np.random.Generator
) -> tuple[Image.Image, FloatArray]:
    """Paste a face at a random position on a background of 448 px; return the image and the position (2,)."""
    canvas = Image.fromarray(reading.read(background.path))
    canvas = canvas.resize(
        (SCENE_PX, max(face_rgba.shape[0], SCENE_PX * canvas.height // canvas.width)),
        Image.Resampling.BICUBIC,
    )
    face = Image.fromarray(face_rgba)
    position = rng.integers(0, (canvas.width - face.width + 1, canvas.height - face.height + 1))
    canvas.paste(face.convert("RGB"), (int(position[0]), int(position[1])), face.getchannel("A"))
    return canvas, position.astype(np.float64)


def _box_array(box_xyxy: FloatArray | None) -> FloatArray:
    return np.full((1, 4), np.nan) if box_xyxy is None else np.asarray(box_xyxy, np.float64).reshape(1, 4)


def _save(image: Image.Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, compress_level=1)
    return path

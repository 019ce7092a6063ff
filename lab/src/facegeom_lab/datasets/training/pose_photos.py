"""Photos for the distillation of head pose: five points of each face, and its rotation where known."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from facegeom.errors import InputError
from facegeom.geometry.boxes import face_box, square
from facegeom.geometry.schemes import five_from_68
from facegeom.image import reading
from facegeom.image.crop import OUTSIDE
from facegeom_lab.datasets.published import celeba, pack
from facegeom_lab.datasets.training.face_labels import (
    FaceLabels,
    landmark_map,
    profiled_faces,
    rendered_faces,
)
from facegeom_lab.fitting.pose_fit import rotation_under_points

SIDE_OF_FIVE = 2.72
"""Side of a face's square by the larger of two distances: between the eyes, from eyes to mouth.

Its centre lies 4 % of the side above the middle between eyes and mouth. Means over 300W's HELEN and LFPW,
with a standard deviation of 8 %."""


@dataclass(frozen=True, eq=False)
class PosePhoto:
    """A photo with F faces of which five points are known.

    Attributes:
        name: unique within a set.
        read: reads the photo, (H, W, 3) uint8 RGB.
        five: (F, 5, 2) centres of the eyes, nose tip, corners of the mouth, pixels.
        squares_xyxy: (F, 4) around the faces.
        others_xyxy: (G, 4) faces without points, which give neither positive nor negative samples.
        rotation: (F, 3, 3) as a crop shows the head, NaN where unknown.
    """

    name: str
    read: Callable[[], np.ndarray]
    five: np.ndarray
    squares_xyxy: np.ndarray
    others_xyxy: np.ndarray
    rotation: np.ndarray


def _photo(
    name: str,
    read: Callable[[], np.ndarray],
    landmarks68: np.ndarray | None = None,
    others_xyxy: np.ndarray | None = None,
    rotation: np.ndarray | None = None,
) -> PosePhoto:
    points = np.zeros((0, 68, 2)) if landmarks68 is None else landmarks68
    return PosePhoto(
        name,
        read,
        five_from_68(points),
        square(face_box(points)),
        np.zeros((0, 4)) if others_xyxy is None else others_xyxy,
        np.full((len(points), 3, 3), np.nan) if rotation is None else rotation,
    )


def pack_photos(data: Path, labels: Path, split: str, rendered: Path | None = None) -> list[PosePhoto]:
    """Read a split of the data pack: centred faces, scenes, backgrounds; with rendered and profiled faces.

    Args:
        data: the data pack.
        labels: mesh labels; the canonical head fitted to them gives the rotations.
        split: ``train`` or ``val``.
        rendered: folder of ``facegeom lab synth``, whose rotations are exact, and ``facegeom lab profile``.

    Raises:
        InputError: a file is missing.
    """
    return [
        *_scenes(data, split),
        *_faces(data, labels, split),
        *(
            _photo(f"backgrounds/{file.name}", partial(reading.read, file))
            for file in pack.background_files(data, split)
        ),
        *(rendered_photos(rendered) if rendered else ()),
        *(_profiled_photos(rendered) if rendered else ()),
    ]


def rendered_photos(folder: Path) -> list[PosePhoto]:
    """Read the rendered heads of ``facegeom lab synth`` alone.

    Raises:
        InputError: the folder has none.
    """
    shards = sorted(folder.glob("synth_*.npz"))
    if not shards:
        raise InputError(f"expected the shards of `facegeom lab synth` in {folder}, found none")
    return [photo for shard in shards for photo in _shard_photos("rendered", shard)]


def _profiled_photos(folder: Path) -> Iterator[PosePhoto]:
    for shard in sorted(folder.glob("profile_*.npz")):
        yield from _shard_photos("profiled", shard)


def _scenes(data: Path, split: str) -> Iterator[PosePhoto]:
    for entry in pack.scene_entries(data, split):
        known = [face["landmarks68"] for face in entry["faces"] if "landmarks68" in face]
        others = [face["box"] for face in entry["faces"] if "landmarks68" not in face]
        yield _photo(
            f"scenes/{entry['file']}",
            partial(reading.read, data / "scenes" / entry["file"]),
            np.reshape(known, (-1, 68, 2)).astype(np.float64),
            np.reshape(others, (-1, 4)).astype(np.float64),
        )


def _faces(data: Path, labels: Path, split: str) -> Iterator[PosePhoto]:
    table, linear_map = pack.mesh_labels(labels), landmark_map(labels)
    for index, row in enumerate(pack.face_rows(data)):
        if row.split == split and table["keep"][index]:
            points = linear_map.apply(table["mesh"][index : index + 1, :, :2].astype(np.float64))
            yield _photo(
                f"faces/{row.file}",
                partial(_read_face, data / "faces" / row.file),
                points,
                rotation=rotation_under_points(points),
            )


def _read_face(file: Path) -> np.ndarray:
    """Read a centred face; the black around its photo becomes the runtime's grey padding."""
    return _on_grey(pack.read_face_rgba(file))


def _on_grey(image: np.ndarray) -> np.ndarray:
    """Return RGB, grey where the alpha of an image (H, W, 4) is 0; an image (H, W, 3) as it is."""
    if image.shape[2] == 3:
        return image
    return np.where(image[..., 3:] > 0, image[..., :3], np.uint8(OUTSIDE))


def _shard_photos(kind: str, shard: Path) -> Iterator[PosePhoto]:
    """Iterate over the photos of one shard of rendered or profiled faces."""
    images, labels = _read_shard(shard)
    for index in range(len(images)):
        one = slice(index, index + 1)
        yield _photo(
            f"{kind}/{shard.stem}#{index}",
            partial(_read_shard_image, shard, index),
            labels.landmarks[one].astype(np.float64),
            rotation=labels.rotation[one],
        )


def _read_shard_image(shard: Path, index: int) -> np.ndarray:
    return _on_grey(_read_shard(shard)[0][index])


@lru_cache(maxsize=1)
def _read_shard(shard: Path) -> tuple[list[np.ndarray], FaceLabels]:
    """Read images and labels of one shard; the last shard is cached, since photos come shard by shard."""
    read = profiled_faces if shard.name.startswith("profile_") else rendered_faces
    return read([shard])


def celeba_photos(root: Path, split: str) -> list[PosePhoto]:
    """Read a split of CelebA; its five points give the face's square.

    Raises:
        InputError: a file is missing or damaged.
    """
    return [
        five_point_photo(record.name, record.read, np.asarray(record.points))
        for record in celeba.records(root, split)
    ]


def five_point_photo(name: str, read: Callable[[], np.ndarray], five: np.ndarray) -> PosePhoto:
    """Return a photo of one face with five points (5, 2) alone."""
    eyes, mouth = five[:2].mean(axis=0), five[3:].mean(axis=0)
    length = max(np.linalg.norm(five[1] - five[0]), np.linalg.norm(mouth - eyes))
    half = SIDE_OF_FIVE * length / 2
    centre = (eyes + mouth) / 2 - (0, 0.08 * half)
    box = np.concatenate([centre - half, centre + half])
    return PosePhoto(name, read, five[None], box[None], np.zeros((0, 4)), np.full((1, 3, 3), np.nan))

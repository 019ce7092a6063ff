"""The 478-point mesh against MediaPipe's on the same pictures."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.geometry.boxes import from_points
from facegeom.geometry.schemes import MESH478_EYE_CORNERS
from facegeom_lab.bench.context import Bench
from facegeom_lab.datasets import pack_photos
from facegeom_lab.datasets.pack_photos import Picture
from facegeom_lab.measures.metrics import best_iou, depth_errors, point_errors
from facegeom_lab.measures.tables import Cell, Table

FloatArray = npt.NDArray[np.floating]
Mesh = FloatArray | None

OPTIONS = {"static_image_mode": True, "refine_landmarks": True, "max_num_faces": 3}
WILD = ("helen", "lfpw")
SAME_FACE_IOU = 0.5

_PROTOCOL = (
    "`val` pictures of data/faces, each system with its own detection on the whole picture; of each "
    "system's faces the one nearest to the middle. 2D: mean distance over the 478 points divided by the "
    "distance of points 33 and 263 of MediaPipe's mesh; z: mean |z - z of MediaPipe| in the same unit. "
    "Over the pictures where both found the same face (IoU of the meshes' extents of at least 0.5). "
    "MediaPipe's mesh is the reference as it comes, its own mistakes included."
)


def mesh(bench: Bench) -> list[Table]:
    """One table: a row per source of pictures."""
    if "mediapipe" not in bench.peers:
        return []
    pictures = pack_photos.faces(bench.data, "val")
    middles = [picture_middle(picture) for picture in pictures]
    ours = [nearest(f.mesh_px, m) for f, m in zip(bench.ours(pictures), middles, strict=True)]
    answers = bench.peer("mediapipe", "mesh", OPTIONS, pictures)
    theirs = [nearest(f.mesh_px, m) for f, m in zip(answers, middles, strict=True)]
    sources = sorted({picture.source for picture in pictures})
    groups = {"helen and lfpw": WILD, **{source: (source,) for source in sources}, "all": tuple(sources)}
    rows = [(name, *_row(ours, theirs, pictures, group)) for name, group in groups.items()]
    columns = ("source", "2D, %", "median, %", "z, %", "same face", "found by MediaPipe", "pictures")
    return [Table("Mesh against MediaPipe's", _PROTOCOL, columns, rows)]


def picture_middle(picture: Picture) -> FloatArray:
    """(2,) the middle in pixels, pixel centres at integers."""
    with Image.open(picture.path) as image:
        return (np.array(image.size) - 1) / 2


def nearest(meshes_px: FloatArray, middle_px: FloatArray) -> Mesh:
    """The mesh (478, 3) of (N, 478, 3) whose centre is nearest to a point (2,); None of none."""
    if not len(meshes_px):
        return None
    distance = np.linalg.norm(meshes_px[..., :2].mean(axis=1) - middle_px, axis=1)
    return np.asarray(meshes_px[distance.argmin()])


def _row(
    ours: Sequence[Mesh], theirs: Sequence[Mesh], pictures: Sequence[Picture], sources: Sequence[str]
) -> tuple[Cell, ...]:
    chosen = [i for i, picture in enumerate(pictures) if picture.source in sources]
    pairs = [(ours[i], theirs[i]) for i in chosen]
    same = [
        (our, their) for our, their in pairs if our is not None and their is not None and _same(our, their)
    ]
    counts = (len(same), sum(their is not None for _, their in pairs), len(chosen))
    if not same:
        return None, None, None, *counts
    mine, reference = np.stack([our for our, _ in same]), np.stack([their for _, their in same])
    flat = 100 * point_errors(mine, reference, MESH478_EYE_CORNERS).mean(axis=1)
    depth = 100 * depth_errors(mine, reference, MESH478_EYE_CORNERS).mean()
    return float(flat.mean()), float(np.median(flat)), float(depth), *counts


def _same(first: FloatArray, second: FloatArray) -> bool:
    return bool(best_iou(from_points(first)[None], from_points(second)[None])[0, 0] >= SAME_FACE_IOU)

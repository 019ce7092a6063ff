"""Differences of the 478-point mesh from MediaPipe's on the same images."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.geometry.boxes import from_points
from facegeom.geometry.schemes import MESH478_EYE_CORNERS
from facegeom_lab.bench.context import MESH_OPTIONS, Bench
from facegeom_lab.datasets.published import pack
from facegeom_lab.datasets.published.pack import LabelledPhoto
from facegeom_lab.measures.metrics import best_iou, depth_errors, point_errors
from facegeom_lab.measures.tables import Cell, Table

FloatArray = npt.NDArray[np.floating]
OptionalMesh = FloatArray | None

FACE_MESH_OPTIONS = {**MESH_OPTIONS, "max_num_faces": 3}
IN_THE_WILD = ("helen", "lfpw")
SAME_FACE_IOU = 0.5

_PROTOCOL = (
    "`val` images of data/faces, each system with its own detection on the whole image; of each "
    "system's faces the one nearest to the centre. 2D: mean distance over the 478 points divided by the "
    "distance of points 33 and 263 of MediaPipe's mesh; z: mean |z - z of MediaPipe| in the same unit. "
    "Over the images where both found the same face (IoU of the meshes' extents of at least 0.5). "
    "MediaPipe's mesh is the reference as it is, its own errors included."
)


def mesh(bench: Bench) -> list[Table]:
    """Measure the differences, one table with a row per source of images."""
    if "mediapipe" not in bench.peers:
        return []
    photos = pack.face_photos(bench.data, "val")
    ours, theirs = central_meshes(bench, photos)
    sources = sorted({photo.source for photo in photos})
    groups = {
        "helen and lfpw": IN_THE_WILD,
        **{source: (source,) for source in sources},
        "all": tuple(sources),
    }
    rows = [(name, *_row(ours, theirs, photos, group)) for name, group in groups.items()]
    columns = ("source", "2D, %", "median, %", "z, %", "same face", "found by MediaPipe", "pictures")
    return [Table("Mesh against MediaPipe's", _PROTOCOL, columns, rows)]


def central_meshes(
    bench: Bench, photos: Sequence[LabelledPhoto]
) -> tuple[list[OptionalMesh], list[OptionalMesh]]:
    """Return facegeom's and MediaPipe's mesh nearest to the centre of each image."""
    centres = [image_centre(photo) for photo in photos]
    peer_faces = bench.peer_predictions("mediapipe", "mesh", FACE_MESH_OPTIONS, photos)
    ours = [nearest(f.mesh_px, c) for f, c in zip(bench.predictions(photos), centres, strict=True)]
    theirs = [nearest(f.mesh_px, c) for f, c in zip(peer_faces, centres, strict=True)]
    return ours, theirs


def image_centre(photo: LabelledPhoto) -> FloatArray:
    """Return the centre (2,) of an image in pixels, pixel centres at integers."""
    with Image.open(photo.path) as image:
        return (np.array(image.size) - 1) / 2


def nearest(meshes_px: FloatArray, point_px: FloatArray) -> OptionalMesh:
    """Return the mesh (478, 3) of (N, 478, 3) whose centre is nearest to a point (2,); None if N is 0."""
    if not len(meshes_px):
        return None
    distance = np.linalg.norm(meshes_px[..., :2].mean(axis=1) - point_px, axis=1)
    return np.asarray(meshes_px[distance.argmin()])


def _row(
    ours: Sequence[OptionalMesh],
    theirs: Sequence[OptionalMesh],
    photos: Sequence[LabelledPhoto],
    sources: Sequence[str],
) -> tuple[Cell, ...]:
    chosen = [i for i, photo in enumerate(photos) if photo.source in sources]
    same = same_faces([ours[i] for i in chosen], [theirs[i] for i in chosen])
    counts = (len(same), sum(theirs[i] is not None for i in chosen), len(chosen))
    if not same:
        return None, None, None, *counts
    mine, reference = np.stack([our for our, _ in same]), np.stack([their for _, their in same])
    flat = 100 * point_errors(mine, reference, MESH478_EYE_CORNERS).mean(axis=1)
    depth = 100 * depth_errors(mine, reference, MESH478_EYE_CORNERS).mean()
    return float(flat.mean()), float(np.median(flat)), float(depth), *counts


def same_faces(
    ours: Sequence[OptionalMesh], theirs: Sequence[OptionalMesh]
) -> list[tuple[FloatArray, FloatArray]]:
    """Return the pairs of meshes whose extents have an IoU of at least 0.5."""
    return [
        (our, their)
        for our, their in zip(ours, theirs, strict=True)
        if our is not None and their is not None and _overlap(our, their) >= SAME_FACE_IOU
    ]


def _overlap(first: FloatArray, second: FloatArray) -> float:
    return float(best_iou(from_points(first)[None], from_points(second)[None])[0, 0])

"""Heads at the side and in the corner of wide photos, beside the same heads in the middle.

A virtual camera with a wide lens is turned about the camera of an ordinary photo until the head stands where
it is wanted. Its photo is a homography of the ordinary one, so its perspective is true, and the head's
rotation and distance in it are known.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import atan, degrees
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from facegeom.analyzer import FaceAnalyzer
from facegeom.geometry.camera import Camera
from facegeom.geometry.placement import fit_canonical_head
from facegeom.geometry.rotation import geodesic_deg, rotation_to_line_of_sight
from facegeom.geometry.topology import canonical68_mm
from facegeom.image import reading
from facegeom.results import Faces
from facegeom_lab.bench.progress import track
from facegeom_lab.bench.rotation.rendered import PlacedHeads, render_heads
from facegeom_lab.datasets.published.pack import scene_photos
from facegeom_lab.fitting.pose_fit import rotation_under_points
from facegeom_lab.measures.tables import Cell, Table, percent

FloatArray = npt.NDArray[np.floating]
UInt8Array = npt.NDArray[np.uint8]

FOVS_DEG = (75.0, 90.0, 110.0)
PLACES = {"middle": (0.0, 0.0), "side": (0.8, 0.0), "corner": (0.7, 0.65)}
SIZE_WH = (1280, 960)
DISTANCE_MM = 700.0
MIN_FACE_PX = 80.0
SUPERSAMPLING = 3
EYES = slice(36, 48)

_PROTOCOL = (
    "Photos of a virtual camera of 1280 x 960, turned so that a face stands in the middle, at a side (80 % "
    "of the half width) or in a corner (70 % of the half width, 65 % of the half height), made from ordinary "
    "photos by an antialiased homography. Photos: scenes of `val` with one labelled face of at least 80 px, "
    "the focal length such that an average head stands 70 cm away; truth: the canonical head fitted to the "
    "human points. Rendered heads: people, lights and backgrounds not used in training, yaw within ±30°, "
    "pitch and roll within ±15°, about as far away; the truth is exact. The face network with default "
    "settings, own detection, the angle of view given. Error: mean angle between the predicted and the true "
    "rotation in the camera frame; how much more than for the same heads in the middle; mean angle to the "
    "rotation predicted in the middle after the camera's known turn. Mean distance relative to that in the "
    "middle, and its mean absolute deviation from that; mean size of the mesh in millimetres relative to an "
    "average head. Goals: at most 2° more than in the middle, distance and size within 3 %."
)
COLUMNS = (
    *("heads", "angle of view °", "place", "error °", "more than in the middle °"),
    *("from the middle's °", "distance ratio", "distance off, mean absolute %", "mesh size", "found, %"),
    "pictures",
)


@dataclass(frozen=True, eq=False)
class KnownHead:
    """A head in an ordinary photo.

    Attributes:
        path: the photo.
        camera: of the photo.
        centre: (3,) direction of the middle of its 68 points in the camera frame.
        rotation: (3, 3) head frame to camera frame.
    """

    path: Path
    camera: Camera
    centre: FloatArray
    rotation: FloatArray


@dataclass(frozen=True, eq=False)
class Seen:
    """Figures of N heads at one place; NaN where a head was not found.

    Attributes:
        rotation: (N, 3, 3) predicted head frame to the frame of the ordinary photo's camera.
        error_deg: (N,) angle to the true rotation.
        distance_mm: (N,) from the camera to the head.
        size: (N,) of the mesh in millimetres, relative to the average head.
    """

    rotation: FloatArray
    error_deg: FloatArray
    distance_mm: FloatArray
    size: FloatArray


def wide_table(data: Path, cache: Path, analyzer: FaceAnalyzer, count: int) -> Table:
    """Measure heads away from the axis of wide lenses.

    Args:
        data: the data pack.
        cache: folder of rendered images.
        analyzer: with default settings.
        count: heads of each kind, nine images each.
    """
    kinds = {"photos": labelled_heads(data, count), "rendered heads": rendered_heads(data, cache, count)}
    rows: list[tuple[Cell, ...]] = []
    for name, heads in kinds.items():
        for fov in FOVS_DEG:
            camera = Camera(*SIZE_WH, fov)
            seen = {
                place: see(analyzer, track(heads, f"{name}, {fov:g}°, {place}"), camera, target)
                for place, target in PLACES.items()
            }
            rows += [
                (name, f"{fov:g}", place, *place_summary(each, seen["middle"]))
                for place, each in seen.items()
            ]
    return Table("Heads away from the axis of a wide lens", _PROTOCOL, COLUMNS, rows)


def labelled_heads(data: Path, count: int) -> list[KnownHead]:
    """Return heads of the scenes of ``val`` that show one large face, with the pose under its points."""
    heads = []
    for photo in scene_photos(data, "val"):
        if photo.labelled != 1 or len(photo.landmarks_px) != 1:
            continue
        (points,) = photo.landmarks_px
        size_px, size_mm = _extent(points), _extent(canonical68_mm())
        if size_px < MIN_FACE_PX:
            continue
        height, width = reading.read(photo.path).shape[:2]
        focal = size_px / size_mm * DISTANCE_MM
        camera = Camera(width, height, 2 * degrees(atan(max(width, height) / 2 / focal)))
        origin = _direction(camera, points[EYES].mean(axis=0))
        rotation = rotation_to_line_of_sight(origin) @ rotation_under_points(points[None])[0]
        heads.append(KnownHead(photo.path, camera, _middle(camera, points), rotation))
    return [
        heads[index] for index in np.linspace(0, len(heads) - 1, min(count, len(heads))).round().astype(int)
    ]


def _extent(points: FloatArray) -> float:
    return float(np.ptp(points[:, :2], axis=0).max())


def _direction(camera: Camera, pixel: FloatArray) -> FloatArray:
    return camera.back_project(pixel, np.ones(()))


def _middle(camera: Camera, points: FloatArray) -> FloatArray:
    """Return the direction (3,) of the middle of the box of points (68, 2)."""
    return _direction(camera, (points.min(axis=0) + points.max(axis=0)).astype(np.float64) / 2)


def rendered_heads(data: Path, cache: Path, count: int) -> list[KnownHead]:
    """Return rendered heads in the middle of photos of 50°."""
    angles = {"yaw_deg": (-30.0, 30.0), "pitch_deg": (-15.0, 15.0), "roll_deg": (-15.0, 15.0)}
    wanted = PlacedHeads(22, count, (960, 720), (50.0,), ((0.0, 0.0),), (150.0, 200.0), **angles)
    heads = render_heads(data, wanted, cache)
    (camera,) = wanted.cameras()
    return [
        KnownHead(photo.path, camera, _middle(camera, photo.landmarks_px[0]), rotation)
        for photo, rotation in zip(heads.photos, heads.camera_rotation, strict=True)
    ]


def see(
    analyzer: FaceAnalyzer,
    heads: Iterable[KnownHead],
    camera: Camera,
    place: tuple[float, float],
) -> Seen:
    """Take a photo of each head at a place with a virtual camera, and analyse it.

    Args:
        analyzer: with default settings.
        heads: N heads.
        camera: the virtual camera.
        place: middle of the face in half widths and half heights; its signs change from head to head.
    """
    rows = []
    for index, head in enumerate(heads):
        signs = (-1) ** index, (-1) ** (index // 2)
        target = camera.centre_px + np.array(place) * signs * (camera.width, camera.height) / 2
        turn = rotation_to_line_of_sight(_direction(camera, target))
        turn = turn @ rotation_to_line_of_sight(head.centre).T
        pixels = view(reading.read(head.path), head.camera, camera, turn)
        rows.append(_figures(analyzer(pixels, fov_deg=camera.fov_deg), target, turn, head.rotation))
    return Seen(*(np.array(column) for column in zip(*rows, strict=True)))


def _figures(
    faces: Faces, target_px: FloatArray, turn: FloatArray, truth: FloatArray
) -> tuple[FloatArray, float, float, float]:
    """Return the figures of :class:`Seen` for the face whose box is around the target."""
    low, high = faces.box_xyxy[:, :2], faces.box_xyxy[:, 2:]
    around = np.flatnonzero(((low <= target_px) & (target_px <= high)).all(axis=1))
    if not len(around):
        return np.full((3, 3), np.nan), np.nan, np.nan, np.nan
    face = faces[int(around[0])]
    rotation = turn.T @ face.camera_rotation.astype(np.float64)
    size = float(fit_canonical_head(face.mesh_mm).scale)
    return rotation, float(geodesic_deg(rotation, truth)), float(np.linalg.norm(face.translation_mm)), size


def view(pixels: UInt8Array, source: Camera, camera: Camera, turn: FloatArray) -> UInt8Array:
    """Return what a turned virtual camera sees, (H, W, 3), of a photo; its mean colour beyond it.

    Args:
        pixels: (h, w, 3) the photo.
        source: its camera.
        camera: the virtual camera.
        turn: (3, 3) from the frame of the source to that of the virtual camera.
    """
    fill = pixels.reshape(-1, 3).mean(axis=0)
    fine = np.diag([SUPERSAMPLING, SUPERSAMPLING, 1.0])
    fine[:2, 2] = (SUPERSAMPLING - 1) / 2
    fine_from_source = fine @ _matrix(camera) @ turn @ np.linalg.inv(_matrix(source))
    size = (camera.width * SUPERSAMPLING, camera.height * SUPERSAMPLING)
    border = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": fill.tolist()}
    drawn = cv2.warpPerspective(pixels, fine_from_source, size, flags=cv2.INTER_LINEAR, **border)
    seen = cv2.resize(drawn, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[: camera.height, : camera.width]
    rays = camera.back_project(np.stack([x, y], axis=-1), np.ones((camera.height, camera.width)))
    seen[rays @ turn[:, 2] < 0.1] = fill  # behind the source, where the homography shows it once more
    return np.asarray(seen)


def _matrix(camera: Camera) -> FloatArray:
    x, y = camera.centre_px
    return np.array([[camera.focal_px, 0, x], [0, camera.focal_px, y], [0, 0, 1]])


def place_summary(seen: Seen, middle: Seen) -> tuple[Cell, ...]:
    """Summarize the figures at one place beside those in the middle.

    Returns:
        The cells of :data:`COLUMNS` after the first three; differences are over heads found at both places.
    """
    found = np.isfinite(seen.error_deg)
    both = found & np.isfinite(middle.error_deg)
    counts = (percent(int(found.sum()), len(found)), len(found))
    if not both.any():
        return (*[None] * 6, *counts)
    ratio = (seen.distance_mm / middle.distance_mm)[both]
    return (
        float(seen.error_deg[found].mean()),
        float((seen.error_deg - middle.error_deg)[both].mean()),
        float(geodesic_deg(seen.rotation[both], middle.rotation[both]).mean()),
        float(ratio.mean()),
        float(100 * np.abs(ratio - 1).mean()),
        float(seen.size[found].mean()),
        *counts,
    )

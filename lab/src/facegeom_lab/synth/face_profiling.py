"""Face profiling: labelled faces of photos rotated in 3D to large yaws, with points, mesh and rotation.

After Zhu et al., "Face alignment across large poses: a 3D solution", CVPR 2016, who made 300W-LP so. The mesh
is a surface in depth; rings behind its outline stand for the sides of the head, and a last ring that does not
move joins it to the background. The surface rotates about an axis through the neck, with its texture.
"""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from facegeom.errors import InputError
from facegeom.geometry import topology
from facegeom.geometry.placement import fit_canonical_head
from facegeom.geometry.rotation import Similarity, angles_from_rotation, rotation_from_angles
from facegeom_lab.datasets.published import pack
from facegeom_lab.datasets.published.pack import read_face_rgba
from facegeom_lab.datasets.training.face_labels import landmark_map
from facegeom_lab.files import save_image, save_npz
from facegeom_lab.synth.rasterise import rasterise

AXIS_MM = (0.0, 30.0, 75.0)
"""A point of the axis of rotation, in the head frame: in the neck."""

RINGS = (
    (1.12, 1.2, 1.1, 16.0),
    (1.3, 1.38, 1.24, 50.0),
    (1.5, 1.46, 1.4, 90.0),
    (2.6, 2.6, 2.6, 115.0),
)
"""Rings behind the outline: their size relative to it to the sides, upwards (the skull) and downwards (the
neck), and their distance behind it, millimetres. The last one does not move."""

FAR = 1e4
"""Added to depths: nothing is behind the camera, and the projection is practically parallel."""

HIDDEN_FRACTION = 0.06
"""A point is hidden when a surface is nearer than it by this fraction of the mesh's extent."""


@dataclass(frozen=True, eq=False)
class Profiled:
    """A face after the rotation.

    Attributes:
        image: (H, W, C) like the input.
        mesh: (478, 3) pixels.
        landmarks: (68, 2) pixels.
        visible: (68,) bool, False where the face covers the point.
        rotation: (3, 3) of the head in the image.
    """

    image: np.ndarray
    mesh: np.ndarray
    landmarks: np.ndarray
    visible: np.ndarray
    rotation: np.ndarray


def profile(
    image: np.ndarray, mesh: np.ndarray, landmarks: np.ndarray, landmarks_depth: np.ndarray, turn_deg: float
) -> Profiled:
    """Rotate a face so that its yaw grows by ``turn_deg``; pitch and roll stay.

    Args:
        image: (H, W, 3 or 4) uint8.
        mesh: (478, 3) pixels, z on the same scale.
        landmarks: (68, 2) pixels.
        landmarks_depth: (68,) z of the landmarks, on the mesh's scale.
        turn_deg: degrees; should have the sign of the face's yaw, since the photo lacks what the face hides.

    Raises:
        InputError: the yaw would leave ±90°.
    """
    head = fit_canonical_head(mesh)
    yaw_deg, pitch_deg, roll_deg = angles_from_rotation(head.rotation)
    if not -90 <= yaw_deg + turn_deg <= 90:
        raise InputError(f"expected a turn to a yaw within ±90°, got {turn_deg:g}° from {yaw_deg:.1f}°")
    rotation = rotation_from_angles(yaw_deg + turn_deg, pitch_deg, roll_deg)
    turn = rotation @ head.rotation.T
    centre = head.apply(np.array([AXIS_MM]))[0]
    before, moves, triangles = _surface(mesh.astype(np.float64), head)
    after = np.where(moves[:, None], (before - centre) @ turn.T + centre, before)
    points = np.concatenate([landmarks, landmarks_depth[:, None]], axis=1)
    turned = (points - centre) @ turn.T + centre
    drawn, depth = _draw(image, before, after, triangles)
    return Profiled(
        image=drawn,
        mesh=after[: len(mesh)],
        landmarks=turned[:, :2],
        visible=_visible(turned, depth, float(np.ptp(mesh[:, 1]))),
        rotation=rotation,
    )


def _surface(mesh: np.ndarray, head: Similarity) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vertices (V, 3) in the photo, whether each moves (V,), triangles (T, 3)."""
    outline, holes = _loops()
    middles = [mesh[list(hole)].mean(axis=0) for hole in holes]
    own_mm = (mesh[list(outline)] - head.translation) @ head.rotation / head.scale
    middle = own_mm.mean(axis=0)
    around = (own_mm - middle) * (1, 1, 0)
    rings = []
    for side, up, down, back_mm in RINGS:
        size = np.where(around[:, 1] < 0, up, down)
        ring = middle + around * np.stack([np.full(len(own_mm), side), size, size], axis=1) + (0, 0, back_mm)
        rings.append(head.apply(ring))
    vertices = np.concatenate([mesh, np.stack(middles), *rings])
    moves = np.ones(len(vertices), bool)
    moves[-len(outline) :] = False
    return vertices, moves, _triangles()


@cache
def _loops() -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """Return the mesh's outline and its holes (eyes, mouth): vertices in order around them."""
    faces = topology.triangles()
    pairs = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    edges, counts = np.unique(pairs, axis=0, return_counts=True)
    beside: dict[int, list[int]] = {}
    for first, second in edges[counts == 1].tolist():
        beside.setdefault(first, []).append(second)
        beside.setdefault(second, []).append(first)
    loops = []
    while beside:
        loop = [next(iter(beside))]
        while following := [vertex for vertex in beside.pop(loop[-1]) if vertex in beside]:
            loop.append(following[0])
        loops.append(tuple(loop))
    loops.sort(key=len, reverse=True)
    return loops[0], tuple(loops[1:])


@cache
def _triangles() -> np.ndarray:
    """Return triangles (T, 3): the mesh's, fans over its holes, strips between the rings."""
    outline, holes = _loops()
    parts = [topology.triangles().astype(np.int64)]
    for number, hole in enumerate(holes):
        fan = [(first, second, 478 + number) for first, second in zip(hole, hole[1:] + hole[:1], strict=True)]
        parts.append(np.array(fan))
    start, count = 478 + len(holes), len(outline)
    rings = [np.array(outline)] + [start + ring * count + np.arange(count) for ring in range(len(RINGS))]
    for inner, outer in pairwise(rings):
        parts.append(np.stack([inner, np.roll(inner, -1), outer], axis=1))
        parts.append(np.stack([np.roll(inner, -1), np.roll(outer, -1), outer], axis=1))
    return np.concatenate(parts)


def _draw(
    image: np.ndarray, before: np.ndarray, after: np.ndarray, triangles: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Render the moved surface with the image as texture; return also its depth (H, W), infinite outside."""
    height, width = image.shape[:2]
    source, depth = rasterise(after[:, :2], after[:, 2] + FAR, triangles, before[:, :2], (width, height))
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    outside = ~np.isfinite(depth)
    source[outside] = np.stack([x, y], axis=-1)[outside]
    drawn = cv2.remap(image, source, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return drawn, depth - FAR


def _visible(points: np.ndarray, depth: np.ndarray, extent_px: float) -> np.ndarray:
    """Return (K,) whether no surface is far in front of each point (K, 3); False outside the image."""
    column, row = np.rint(points[:, :2]).astype(int).T
    inside = (column >= 0) & (row >= 0) & (column < depth.shape[1]) & (row < depth.shape[0])
    surface = depth[np.clip(row, 0, depth.shape[0] - 1), np.clip(column, 0, depth.shape[1] - 1)]
    return inside & (points[:, 2] < surface + HIDDEN_FRACTION * extent_px)


SHARD = 500
SIZE_PX = 192
SOURCES = ("helen", "lfpw", "portraits-color", "ytf")
"""Sources whose faces wear no mask and have enough of the head around them."""

YAW_DEG = (35.0, 85.0)
LEAST_TURN_DEG = 10.0


def run(
    data: Path, labels: Path, count: int, out: Path, seed: int = 0, preview: Path | None = None
) -> list[Path]:
    """Write ``profile_0000.npz``…, 500 images each; finished shards are kept: `facegeom lab profile`.

    Arrays: images (n, 192, 192, 4) uint8 RGBA, alpha 0 where there is no photo; landmarks_px (n, 68, 2), mesh
    (n, 478, 3), visible (n, 68), rotation (n, 3, 3), files (n,) the images' names, seed.

    Args:
        data: the data pack; faces of its train split are used.
        labels: the file of ``facegeom lab label``.
        count: total number of images.
        out: folder of the shards.
        seed: of faces and rotations; image i of a seed is always the same.
        preview: file of a contact sheet, if wanted.

    Raises:
        InputError: a file is missing; the folder holds a set of another seed or length.
        OutputError: a shard cannot be written.
    """
    if count < 1 or seed < 0:
        raise InputError(f"expected at least 1 image and a seed of at least 0, got {count} and {seed}")
    maker = _ProfiledFaces(data, labels, seed)
    shards = []
    with tqdm(total=count, desc="profiled faces") as bar:
        for number, start in enumerate(range(0, count, SHARD)):
            file = out / f"profile_{number:04d}.npz"
            indices = range(start, min(start + SHARD, count))
            if not _finished(file, len(indices), seed):
                save_npz(file, **maker.shard(indices, bar), seed=np.array(seed))
            bar.n = indices.stop
            shards.append(file)
    if preview:
        save_image(preview, contact_sheet(shards[0]))
    return shards


def _finished(file: Path, count: int, seed: int) -> bool:
    if not file.exists():
        return False
    with np.load(file) as arrays:
        if int(arrays["seed"]) == seed and len(arrays["files"]) == count:
            return True
    raise InputError(f"{file} belongs to a set of another seed or length; give another folder with -o")


class _ProfiledFaces:
    def __init__(self, data: Path, labels: Path, seed: int) -> None:
        table = pack.mesh_labels(labels)
        rows = pack.face_rows(data)
        chosen = [
            index
            for index, row in enumerate(rows)
            if row.split == "train" and table["keep"][index] and row.source in SOURCES
        ]
        if not chosen:
            raise InputError(f"expected labelled train faces of {', '.join(SOURCES)} in {data}, found none")
        self.folder, self.seed = data / "faces", seed
        self.files = [rows[index].file for index in chosen]
        self.mesh = table["mesh"][chosen].astype(np.float64)
        self.map68 = landmark_map(labels)
        head = fit_canonical_head(self.mesh)
        self.yaw_deg = angles_from_rotation(head.rotation)[:, 0]

    def shard(self, indices: range, bar: "tqdm[None]") -> dict[str, np.ndarray]:
        made = []
        for index in indices:
            made.append(self.one(index))
            bar.update()
        faces = [face for _, face in made]
        return {
            "images": np.stack([face.image for face in faces]),
            "landmarks_px": np.stack([face.landmarks for face in faces]).astype(np.float32),
            "mesh": np.stack([face.mesh for face in faces]).astype(np.float32),
            "visible": np.stack([face.visible for face in faces]),
            "rotation": np.stack([face.rotation for face in faces]),
            "files": np.array([file for file, _ in made]),
        }

    def one(self, index: int) -> tuple[str, Profiled]:
        """Make image ``index`` of the set: the name of its photo and the rotated face."""
        rng = np.random.default_rng((self.seed, index))
        least = YAW_DEG[1] - LEAST_TURN_DEG
        number = int(rng.choice(np.flatnonzero(np.abs(self.yaw_deg) < least)))
        yaw = float(self.yaw_deg[number])
        side = np.sign(yaw) if abs(yaw) > LEAST_TURN_DEG else rng.choice((-1.0, 1.0))
        goal = side * rng.uniform(max(YAW_DEG[0], side * yaw + LEAST_TURN_DEG), YAW_DEG[1])
        image, mesh = _resized(read_face_rgba(self.folder / self.files[number]), self.mesh[number])
        points = self.map68.apply(mesh)
        return self.files[number], profile(image, mesh, points[:, :2], points[:, 2], goal - yaw)


def _resized(image: np.ndarray, mesh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Resize image and mesh to the set's size; pixel centres lie at integers."""
    scale = SIZE_PX / image.shape[0]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    moved = np.concatenate([(mesh[:, :2] + 0.5) * scale - 0.5, mesh[:, 2:] * scale], axis=1)
    return cv2.resize(image, (SIZE_PX, SIZE_PX), interpolation=method), moved


def contact_sheet(shard: Path, columns: int = 8, count: int = 40) -> Image.Image:
    """Draw images of a shard side by side with their points, green where visible, red where hidden."""
    with np.load(shard) as arrays:
        images, points, visible = (arrays[name][:count] for name in ("images", "landmarks_px", "visible"))
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * SIZE_PX, rows * SIZE_PX))
    for number, (image, positions, seen) in enumerate(zip(images, points, visible, strict=True)):
        tile = Image.fromarray(image[..., :3])
        pen = ImageDraw.Draw(tile)
        for (x, y), shown in zip(positions, seen, strict=True):
            pen.ellipse((x - 1, y - 1, x + 1, y + 1), fill=(60, 255, 60) if shown else (255, 40, 40))
        sheet.paste(tile, (number % columns * SIZE_PX, number // columns * SIZE_PX))
    return sheet

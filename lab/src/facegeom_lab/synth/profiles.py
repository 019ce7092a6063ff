"""Sets of profiled faces: labelled faces of the data pack turned to large yaws, as shards that resume."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from facegeom.errors import InputError
from facegeom.geometry.placement import average_head
from facegeom.geometry.rotation import angles_from_rotation
from facegeom_lab.datasets.published import pack
from facegeom_lab.datasets.training.faces import labelled_map, without_border
from facegeom_lab.files import save_npz, save_png
from facegeom_lab.synth.profile import Profiled, profile

SHARD = 500
SIZE_PX = 192
SOURCES = ("helen", "lfpw", "portraits-color", "ytf")
"""Faces without a mask, with enough of the head around them."""

YAW_DEG = (35.0, 85.0)
LEAST_TURN_DEG = 10.0


def run(
    data: Path, labels: Path, count: int, out: Path, seed: int = 0, preview: Path | None = None
) -> list[Path]:
    """Write ``profile_0000.npz``…, 500 pictures each; finished shards are kept.

    Arrays: images (n, 192, 192, 4) uint8 RGBA, alpha 0 where there is no photo; landmarks_px (n, 68, 2), mesh
    (n, 478, 3), visible (n, 68), rotation (n, 3, 3), files (n,) the pictures' names, seed.

    Args:
        data: the data pack, of whose train split faces are taken.
        labels: the file of ``facegeom lab label``.
        count: pictures wanted in all.
        out: folder of the shards.
        seed: of faces and turns; picture i of a seed is always the same.
        preview: where to save a contact sheet, if anywhere.

    Raises:
        InputError: a file is missing; the folder holds a set of another seed or length.
        OutputError: a shard cannot be written.
    """
    if count < 1 or seed < 0:
        raise InputError(f"expected at least 1 picture and a seed of at least 0, got {count} and {seed}")
    maker = _Maker(data, labels, seed)
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
        save_png(preview, contact_sheet(shards[0]))
    return shards


def _finished(file: Path, count: int, seed: int) -> bool:
    if not file.exists():
        return False
    with np.load(file) as arrays:
        if int(arrays["seed"]) == seed and len(arrays["files"]) == count:
            return True
    raise InputError(f"{file} belongs to a set of another seed or length; give another folder with -o")


class _Maker:
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
        self.map68 = labelled_map(labels)
        head = average_head(self.mesh)
        self.yaw_deg = angles_from_rotation(head.rotation)[:, 0]

    def shard(self, indices: range, bar: "tqdm[None]") -> dict[str, np.ndarray]:
        made = []
        for index in indices:
            made.append(self.one(index))
            bar.update()
        faces = [face for _, face in made]
        return {
            "images": np.stack([face.picture for face in faces]),
            "landmarks_px": np.stack([face.landmarks for face in faces]).astype(np.float32),
            "mesh": np.stack([face.mesh for face in faces]).astype(np.float32),
            "visible": np.stack([face.visible for face in faces]),
            "rotation": np.stack([face.rotation for face in faces]),
            "files": np.array([file for file, _ in made]),
        }

    def one(self, index: int) -> tuple[str, Profiled]:
        """Picture ``index`` of the set: the name of its photo and the turned face."""
        rng = np.random.default_rng((self.seed, index))
        least = YAW_DEG[1] - LEAST_TURN_DEG
        number = int(rng.choice(np.flatnonzero(np.abs(self.yaw_deg) < least)))
        yaw = float(self.yaw_deg[number])
        side = np.sign(yaw) if abs(yaw) > LEAST_TURN_DEG else rng.choice((-1.0, 1.0))
        goal = side * rng.uniform(max(YAW_DEG[0], side * yaw + LEAST_TURN_DEG), YAW_DEG[1])
        picture, mesh = _resized(without_border(self.folder / self.files[number]), self.mesh[number])
        points = self.map68.apply(mesh)
        return self.files[number], profile(picture, mesh, points[:, :2], points[:, 2], goal - yaw)


def _resized(picture: np.ndarray, mesh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Picture and mesh at the set's size; pixel centres lie at integers."""
    scale = SIZE_PX / picture.shape[0]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    moved = np.concatenate([(mesh[:, :2] + 0.5) * scale - 0.5, mesh[:, 2:] * scale], axis=1)
    return cv2.resize(picture, (SIZE_PX, SIZE_PX), interpolation=method), moved


def contact_sheet(shard: Path, columns: int = 8, count: int = 40) -> Image.Image:
    """Pictures of a shard side by side with their points, green where seen, red where hidden."""
    with np.load(shard) as arrays:
        images, points, visible = (arrays[name][:count] for name in ("images", "landmarks_px", "visible"))
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * SIZE_PX, rows * SIZE_PX))
    for number, (image, places, seen) in enumerate(zip(images, points, visible, strict=True)):
        tile = Image.fromarray(image[..., :3])
        pen = ImageDraw.Draw(tile)
        for (x, y), shown in zip(places, seen, strict=True):
            pen.ellipse((x - 1, y - 1, x + 1, y + 1), fill=(60, 255, 60) if shown else (255, 40, 40))
        sheet.paste(tile, (number % columns * SIZE_PX, number // columns * SIZE_PX))
    return sheet

"""Training windows of FPNet: proposals of the cascade with the teachers' predictions of the head's rotation.

The rules are those of the method that FPNet comes from: a positive is a window of R-Net that contains all
five landmarks, one for each face; a negative is one without a face. Photos give candidates; two outside of
faces for each one inside are chosen over the whole set where it is read (``pose_windows.balanced``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from facegeom.errors import InputError
from facegeom.geometry.boxes import covered, iou, square
from facegeom.image.crop import crop_squares
from facegeom.image.pyramid import Pyramid
from facegeom.models import weights
from facegeom.models.cascade import CascadeDetector, Thresholds
from facegeom.models.engine import Engine
from facegeom_lab.datasets.training.pose_photos import PosePhoto
from facegeom_lab.files import save_npz
from facegeom_lab.teachers.pose import PoseTeacher

STORED_PX = 64
STORED_SCALE = 64 / 48
"""Windows are stored with a margin, so that training can move them."""

LENIENT = Thresholds(propose=0.06, propose_most=64, refine=0.02, refine_overlap=0.7)
"""Windows that the shipped cascade would drop are examples here."""

MIN_FACE = 0.1
"""Smallest face to find, as a fraction of the photo's longer side."""

MAX_OUTSIDE_COVER, MIN_INSIDE_COVER, MAX_INSIDE_IOU = 0.1, 0.75, 0.4
"""Largest fraction of an outside window in any face; smallest fraction of an inside window in a face, and
its largest IoU with it."""

FACE, OUTSIDE, INSIDE = 1, 0, 2
"""Kinds of windows: a face, outside of all faces, inside a face without being it."""

SHARD = 250
"""Photos of a shard."""


@dataclass(frozen=True, eq=False)
class ChosenWindows:
    """Examples among the proposed windows of one photo.

    Attributes:
        window: (K,) index of the window.
        kind: (K,) ``FACE``, ``OUTSIDE`` or ``INSIDE``.
        face: (K,) index of a positive's face, else -1.
    """

    window: np.ndarray
    kind: np.ndarray
    face: np.ndarray


def choose(squares_xyxy: np.ndarray, photo: PosePhoto, rng: np.random.Generator) -> ChosenWindows:
    """Choose among the proposed windows (K, 4): one for each face, at most four outside and two inside."""
    positives = _positives(squares_xyxy, photo)
    inside, outside = _negatives(squares_xyxy, photo)
    inside, outside = rng.permutation(inside)[:2], rng.permutation(outside)[:4]
    window = np.concatenate([np.array([w for w, _ in positives], np.intp), outside, inside])
    counts = (len(positives), len(outside), len(inside))
    face = np.full(len(window), -1)
    face[: len(positives)] = [f for _, f in positives]
    return ChosenWindows(window, np.repeat((FACE, OUTSIDE, INSIDE), counts), face)


def _positives(squares: np.ndarray, photo: PosePhoto) -> list[tuple[int, int]]:
    """Return pairs of window and face: for each face the best window with all five points."""
    if not len(squares) or not len(photo.five):
        return []
    low, high = squares[:, None, None, :2], squares[:, None, None, 2:]
    contains = ((photo.five > low) & (photo.five < high)).all(axis=(2, 3))
    fit = np.where(contains, iou(squares, photo.squares_xyxy), -1)
    return [(int(fit[:, f].argmax()), f) for f in range(fit.shape[1]) if fit[:, f].max() > MAX_INSIDE_IOU]


def _negatives(squares: np.ndarray, photo: PosePhoto) -> tuple[np.ndarray, np.ndarray]:
    """Return windows inside a face without being it, and windows outside of all faces."""
    known, every = photo.squares_xyxy, np.concatenate([photo.squares_xyxy, square(photo.others_xyxy)])
    cover = covered(squares, every).max(axis=1, initial=0)
    overlap = iou(squares, every).max(axis=1, initial=0)
    inside = (covered(squares, known) > MIN_INSIDE_COVER).any(axis=1) & (overlap < MAX_INSIDE_IOU)
    return np.flatnonzero(inside), np.flatnonzero(cover < MAX_OUTSIDE_COVER)


def build(
    photos: Sequence[PosePhoto], out: Path, teachers: Mapping[str, PoseTeacher], seed: int = 0
) -> dict[str, int]:
    """Write the windows as shards of 250 photos each; finished shards are kept.

    Args:
        photos: of one split.
        out: folder of the shards.
        teachers: by the names under which their predictions are stored.
        seed: of the choice among negatives.

    Returns:
        Number of windows of each kind.

    Raises:
        InputError: the folder holds a set of other photos or teachers.
        OutputError: a shard cannot be written.
    """
    pnet, rnet = (Engine(weights.path(name), threads=1) for name in ("pnet", "rnet"))
    cascade = CascadeDetector(pnet, rnet, LENIENT)
    counts = {"faces": 0, "outside": 0, "inside": 0}
    for start in tqdm(range(0, len(photos), SHARD), desc="shards", unit="shard"):
        part = photos[start : start + SHARD]
        file = out / f"poses_{start // SHARD:05d}.npz"
        names = np.array([photo.name for photo in part])
        if file.exists():
            _check_same(file, names, teachers)
        else:
            rng = np.random.default_rng((seed, start))
            save_npz(file, photos=names, **_shard(part, cascade, teachers, rng))
        with np.load(file) as arrays:
            for name, kind in (("faces", FACE), ("outside", OUTSIDE), ("inside", INSIDE)):
                counts[name] += int((arrays["kind"] == kind).sum())
    return counts


def _check_same(file: Path, photos: np.ndarray, teachers: Mapping[str, PoseTeacher]) -> None:
    with np.load(file) as arrays:
        same = np.array_equal(arrays["photos"], photos)
        same &= {name for name in arrays.files if name.startswith("raw_")} == {
            f"raw_{name}" for name in teachers
        }
    if not same:
        raise InputError(f"{file} belongs to a set of other photos or teachers; give another folder with -o")


def _shard(
    photos: Sequence[PosePhoto],
    cascade: CascadeDetector,
    teachers: Mapping[str, PoseTeacher],
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    parts = [_windows(photo, cascade, teachers, rng) for photo in photos]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _windows(
    photo: PosePhoto, cascade: CascadeDetector, teachers: Mapping[str, PoseTeacher], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return the chosen windows of one photo: pixels, kinds, offsets of the face, rotations, predictions."""
    pixels = photo.read()
    found = cascade([Pyramid(pixels)], [MIN_FACE * max(pixels.shape[:2])])[0][0]
    chosen = choose(found, photo, rng)
    squares, faces = found[chosen.window], chosen.face[chosen.kind == FACE]
    offsets = np.full((len(squares), 4), np.nan, np.float32)
    rotation = np.full((len(squares), 3, 3), np.nan, np.float32)
    raw = {f"raw_{name}": np.full((len(squares), 6), np.nan, np.float32) for name in teachers}
    if len(faces):
        own = squares[: len(faces)]
        offsets[: len(faces)] = (photo.squares_xyxy[faces] - own) / (own[:, 2:3] - own[:, 0:1])
        rotation[: len(faces)] = photo.rotation[faces]
        for name, teacher in teachers.items():
            raw[f"raw_{name}"][: len(faces)] = teacher(pixels, own, photo.rotation[faces])
    return {
        "windows": crop_squares(pixels, square(squares, STORED_SCALE), STORED_PX),
        "kind": chosen.kind.astype(np.uint8),
        "offsets": offsets,
        "rotation": rotation,
        "name": np.array([photo.name] * len(squares), dtype="U96"),
        **raw,
    }


def sheet(folder: Path, columns: int = 12, rows: int = 9, seed: int = 0) -> Image.Image:
    """Draw windows of a set side by side: a third faces, a third outside, a third inside of faces.

    Raises:
        InputError: no set in the folder.
    """
    files = sorted(folder.glob("poses_*.npz"))
    if not files:
        raise InputError(f"expected the shards of `facegeom lab build-pose-set` in {folder}, found none")
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (columns * STORED_PX, rows * STORED_PX))
    shards = [np.load(file) for file in rng.permutation(np.array(files, object))[:8]]
    for third, kind in enumerate((FACE, OUTSIDE, INSIDE)):
        windows = np.concatenate([arrays["windows"][arrays["kind"] == kind] for arrays in shards])
        for position, window in enumerate(rng.permutation(windows)[: columns * (rows // 3)]):
            row, column = divmod(position, columns)
            corner = (column * STORED_PX, (row + third * (rows // 3)) * STORED_PX)
            image.paste(Image.fromarray(window), corner)
    return image

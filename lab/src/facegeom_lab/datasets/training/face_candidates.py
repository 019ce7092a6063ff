"""Crops of what the one-pass detector takes for faces, rightly or not: what the face network must judge."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import IterableDataset, get_worker_info
from tqdm import tqdm

from facegeom import FaceAnalyzer
from facegeom.geometry.boxes import iou, overlap, square
from facegeom.geometry.transforms import resize_points
from facegeom.image.photo import open_photo
from facegeom.models import weights
from facegeom.models.detector import Detector, Limits, OnePassDetector
from facegeom.models.engine import Engine
from facegeom.models.face import CROP_SCALE
from facegeom.options import SearchOptions
from facegeom_lab.datasets.published.pack import background_files, free_background_files, read_images
from facegeom_lab.datasets.training.detection_photos import PhotoPyramid, load_crowds, load_scenes
from facegeom_lab.datasets.training.face_samples import runtime_crops

LOOSE = Limits(score=0.08, clear_score=0.1)
"""Lower than in use, so that there are enough of the doubtful ones."""

FACE_IOU, NO_FACE_IOU, NESTED = 0.4, 0.15, 0.5
"""A candidate is a face from the first, none below the second if no face is nested in it, else left out."""

MOST_EMPTY = 8
"""Candidates without a face that are kept of one photo, half of them the best."""

SCALES = {"crowds": (0.7, 1.0, 1.6), "scenes": (1.0,), "empty": (1.0,)}
"""Sizes at which photos are searched, each as it is and mirrored."""


class FaceCandidates(IterableDataset):
    """Candidates of the train split's crowds, scenes and photos without a face.

    Samples: ``crop`` (3, 128, 128) uint8, as the runtime cuts it; ``face``, 1 or 0.

    Args:
        data: the data pack.
        kinds: of the photos, of :data:`SCALES`.
    """

    def __init__(self, data: Path, kinds: Sequence[str] = tuple(SCALES)) -> None:
        self.data, self.kinds = data, kinds

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        detector = OnePassDetector(Engine(weights.path("onepass", "int8"), threads=1), LOOSE)
        worker = get_worker_info()
        mine = slice(worker.id, None, worker.num_workers) if worker else slice(None)
        for kind in self.kinds:
            for photo in tqdm(_photos(self.data, kind)[mine], desc=f"candidates of {kind}"):
                for image, boxes in _views(photo, SCALES[kind]):
                    squares, is_face = judged(detector, image, boxes, photo.sure)
                    crops = runtime_crops(image, square(squares, CROP_SCALE))
                    for crop, face in zip(crops, is_face, strict=True):
                        pixels = torch.from_numpy(crop).permute(2, 0, 1)
                        yield {"crop": pixels, "face": torch.tensor(face, dtype=torch.float32)}


def _photos(data: Path, kind: str) -> list[PhotoPyramid]:
    if kind == "crowds":
        return load_crowds(data, "train", FaceAnalyzer(threads=1))
    if kind == "scenes":
        return load_scenes(data, "train", FaceAnalyzer(threads=1))
    files = background_files(data, "train") + free_background_files(data, "train")
    return [PhotoPyramid.build(image, np.zeros((0, 4))) for image in read_images(files)]


def _views(photo: PhotoPyramid, scales: tuple[float, ...]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield a photo with its boxes at some sizes, and mirrored."""
    full = Image.fromarray(photo.levels[0][..., :3])
    for scale in scales:
        size = [max(1, round(side * scale)) for side in full.size]
        image = np.asarray(full.resize(size, Image.Resampling.BICUBIC))
        boxes = resize_points(photo.boxes_xyxy, np.tile(np.divide(size, full.size), 2))
        yield image, boxes
        left, top, right, bottom = boxes.T
        mirrored = np.stack([size[0] - 1 - right, top, size[0] - 1 - left, bottom], axis=1)
        yield np.ascontiguousarray(image[:, ::-1]), mirrored


def judged(
    detector: Detector, image: np.ndarray, boxes_xyxy: np.ndarray, sure: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the detector's squares (K, 4) that are surely a face or surely none, and which are (K,).

    Args:
        detector: proposes what the runtime would look for by default.
        image: (H, W, 3) RGB.
        boxes_xyxy: (F, 4) faces.
        sure: (F,) False for boxes that are neither face nor background.
    """
    photo, size_wh, default = open_photo(image), image.shape[1::-1], SearchOptions()
    least = [[px.in_photo(*size_wh)] for px in (default.face_size, default.closest_size)]
    found = detector([photo.pyramid], *least)[0].box_xyxy
    faces = square(boxes_xyxy)
    common = iou(found, faces)
    known, other = (common[:, chosen].max(axis=1, initial=0) for chosen in (sure, ~sure))
    nested = overlap(found, faces, over_smaller=True).max(axis=1, initial=0)
    is_face = (known >= FACE_IOU) & (known >= other)
    empty = np.flatnonzero((np.maximum(known, other) < NO_FACE_IOU) & (nested < NESTED))
    half = MOST_EMPTY // 2
    later = empty[half:]
    empty = np.concatenate([empty[:half], later[:: max(1, len(later) // half)][:half]])
    chosen = np.concatenate([np.flatnonzero(is_face), empty])
    return found[chosen], is_face[chosen]

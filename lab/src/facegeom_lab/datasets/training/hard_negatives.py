"""What the cascade wrongly takes for a face, as negatives for the face network."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from facegeom.geometry.boxes import iou, square
from facegeom.image.crop import cut
from facegeom.models.cascade import Cascade, Thresholds
from facegeom.models.engine import Engine
from facegeom.models.face import CROP_PX, CROP_SCALE
from facegeom_lab.datasets.published.pack import backgrounds, scenes
from facegeom_lab.files import save_npz

LOOSE = Thresholds(propose=0.3, propose_most=96, refine=0.1, refine_overlap=0.5)
MIN_FACE_PX = 24.0
FAR_IOU = 0.1


def mine(data: Path, pnet: Path, rnet: Path, out: Path) -> int:
    """Run a loose cascade over the train split and keep the crops that are far from every labelled face.

    Args:
        data: the data pack.
        pnet: ONNX file.
        rnet: ONNX file.
        out: npz with ``crops`` (N, 128, 128, 3).

    Returns:
        How many were found.
    """
    photos: list[tuple[Path, np.ndarray]] = [(file, np.zeros((0, 4))) for file in backgrounds(data, "train")]
    for entry in scenes(data, "train"):
        boxes = np.array([face["box"] for face in entry["faces"]], np.float64)
        photos.append((data / "scenes" / entry["file"], square(boxes)))
    cascade = Cascade(Engine(pnet), Engine(rnet), LOOSE)
    crops = [_false_faces(cascade, file, faces) for file, faces in tqdm(photos, desc="mining", unit="photo")]
    found = np.concatenate(crops)
    save_npz(out, crops=found)
    return len(found)


def _false_faces(cascade: Cascade, file: Path, faces: np.ndarray) -> np.ndarray:
    picture = Image.fromarray(cv2.cvtColor(cv2.imread(str(file), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))
    squares, _ = cascade([picture], [MIN_FACE_PX])[0]
    if len(faces) and len(squares):
        squares = squares[iou(squares, faces).max(axis=1) < FAR_IOU]
    return cut(picture, square(squares, CROP_SCALE), CROP_PX)

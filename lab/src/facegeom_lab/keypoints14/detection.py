"""``detect``: the 14 points of every picture in a folder."""

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from facegeom.errors import InputError
from facegeom.image import reading
from facegeom_lab.keypoints14.network import KeypointNet
from facegeom_lab.keypoints14.pictures import Squares
from facegeom_lab.keypoints14.views import MIRROR
from facegeom_lab.keypoints14.weights import load_network

BATCH = 64


def detect(model_filename: str | Path, test_img_dir: str | Path) -> dict[str, np.ndarray]:
    """The points of every picture of a folder, each one face, tightly cropped.

    Args:
        model_filename: a file of ``train_detector``; ``SHIPPED`` is the one that comes with the package.
        test_img_dir: folder of the pictures of any sizes; folders in it are not searched.

    Returns:
        28 numbers x1, y1, …, x14, y14, float64, in pixels of the picture, by file name.

    Raises:
        InputError: the network cannot be loaded; the folder is missing or holds no picture.
        ImageError: a picture cannot be read.
    """
    net, folder = load_network(Path(model_filename)), Path(test_img_dir)
    names = picture_names(folder)
    squares = Squares([folder / name for name in names], int(net.input_px))
    answers = {}
    for start in tqdm(range(0, len(names), BATCH), desc="detect", unit="batch"):
        rows = range(start, min(start + BATCH, len(names)))
        read, sizes_wh = zip(*(squares[row] for row in rows), strict=True)
        shares = points_of(net, np.stack(read))
        pixels = (shares + 0.5) * np.array(sizes_wh)[:, None] - 0.5
        answers.update({names[row]: points.reshape(-1) for row, points in zip(rows, pixels, strict=True)})
    return answers


@torch.inference_mode()
def points_of(net: KeypointNet, squares: np.ndarray) -> np.ndarray:
    """Points (N, 14, 2) of squares (N, S, S, 3) uint8: 0 in the middle, ±0.5 at the edges.

    Means of the answers to the picture and to its mirror image, and the shift of the labels.
    """
    pictures = torch.from_numpy(squares).permute(0, 3, 1, 2).float()
    there, back = (net(each).double().numpy() for each in (pictures, pictures.flip(3)))
    return (there + back[:, MIRROR] * (-1, 1)) / 2 + net.shift.double().numpy()


def label_shift(net: KeypointNet, views: Dataset) -> np.ndarray:
    """How far (2,) the labels of plain views lie beside the network's points on average.

    Labels may count pixels from 1, or from the edge of the first instead of its centre. A network that has
    learned from mirror images cannot know that: there the labels are off to the other side.
    """
    errors = []
    for batch in DataLoader(views, BATCH):
        answer = points_of(net, batch["picture"].permute(0, 2, 3, 1).numpy())
        errors.append(batch["points"].numpy() - answer)
    return np.nanmean(np.concatenate(errors), axis=(0, 1))


def picture_names(folder: Path) -> list[str]:
    """Names of the pictures in a folder, sorted; folders in it are not searched.

    Raises:
        InputError: the folder is missing or holds no picture.
    """
    if not folder.is_dir():
        raise InputError(f"expected a folder of pictures at {str(folder)!r}, found none; check the path")
    names = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in reading.ENDINGS and p.is_file())
    if not names:
        raise InputError(f"expected pictures in {str(folder)!r}, found no file with an ending of a picture")
    return names

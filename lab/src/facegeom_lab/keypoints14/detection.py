"""``detect``: find the 14 points in every image of a folder."""

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from facegeom.errors import InputError
from facegeom.geometry.boxes import from_points
from facegeom.geometry.transforms import apply, box_to_square, invert
from facegeom.image import reading
from facegeom_lab.datasets.training.landmark_crops import warp
from facegeom_lab.keypoints14.network import KeypointNet, load_network
from facegeom_lab.keypoints14.views import MIRROR, SquareImages, frame_xyxy

BATCH = 64
ROUNDS = 1
"""Further looks at an image: a second crop around the points of the first."""

NEAR = 0.06
"""Largest deviation of an image's edges from those of a crop like the training's, in extents of the points,
at which the points found in it stay."""


def detect(model_filename: str | Path, test_img_dir: str | Path) -> dict[str, np.ndarray]:
    """Find the points in every image of a folder, each one tightly cropped face.

    Args:
        model_filename: a file of ``train_detector``; ``SHIPPED`` is the one in the package.
        test_img_dir: folder of images of any sizes; subfolders are not searched.

    Returns:
        28 numbers x1, y1, …, x14, y14, float64, in pixels of the image, by file name.

    Raises:
        InputError: the network cannot be loaded; the folder is missing or holds no image.
        ImageError: an image cannot be read.
    """
    net, folder = load_network(Path(model_filename)), Path(test_img_dir)
    names = image_names(folder)
    images = SquareImages([folder / name for name in names], int(net.input_px))
    found = {}
    for start in tqdm(range(0, len(names), BATCH), desc="detect", unit="batch"):
        rows = range(start, min(start + BATCH, len(names)))
        squares, sizes_wh = zip(*(images[row] for row in rows), strict=True)
        units = predict_points(net, np.stack(squares))
        pixels = (units + 0.5) * np.array(sizes_wh)[:, None] - 0.5
        if net.margins is not None:
            paths = [images.paths[row] for row in rows]
            pixels = np.stack([_closer(net, *each) for each in zip(paths, sizes_wh, pixels, strict=True)])
        found.update({names[row]: points.reshape(-1) for row, points in zip(rows, pixels, strict=True)})
    return found


def _closer(net: KeypointNet, path: Path, size_wh: tuple[int, int], pixels: np.ndarray) -> np.ndarray:
    """Predict again from a crop like those of the training, where the image is a looser or shifted one.

    Args:
        net: with margins.
        path: of the image.
        size_wh: its size.
        pixels: (14, 2) points found in the whole image.
    """
    image, wanted, square = None, np.array(net.margins), frame_xyxy(size_wh)
    for _ in range(ROUNDS):
        extent = from_points(pixels)
        size4 = np.tile(np.maximum(extent[2:] - extent[:2], 1.0), 2)
        crop = extent + wanted * (-1, -1, 1, 1) * size4
        if np.abs((crop - square) / size4).max() < NEAR:
            break
        image = reading.read(path) if image is None else image
        onto, square = box_to_square(crop, int(net.input_px)), crop
        units = predict_points(net, warp(image, onto, int(net.input_px))[None])[0]
        pixels = apply(invert(onto), (units + 0.5) * int(net.input_px) - 0.5)
    return pixels


@torch.inference_mode()
def predict_points(net: KeypointNet, squares: np.ndarray) -> np.ndarray:
    """Predict points (N, 14, 2), 0 in the centre and ±0.5 at the edges, of squares (N, S, S, 3) uint8.

    Averages the predictions for the image and for its mirror image, and adds the label shift.
    """
    images = torch.from_numpy(np.array(squares)).permute(0, 3, 1, 2).float()
    plain, mirrored = (net(each).double().numpy() for each in (images, images.flip(3)))
    return (plain + mirrored[:, MIRROR] * (-1, 1)) / 2 + net.shift.double().numpy()


def label_shift(net: KeypointNet, views: Dataset) -> np.ndarray:
    """Measure the mean offset (2,) of the labels of plain views from the network's points.

    Labels may count pixels from 1, or from the edge of the first pixel instead of its centre. Training with
    mirror images hides that, since their labels are off to the other side.
    """
    errors = []
    for batch in DataLoader(views, BATCH):
        predicted = predict_points(net, batch["image"].permute(0, 2, 3, 1).numpy())
        errors.append(batch["points"].numpy() - predicted)
    return np.nanmean(np.concatenate(errors), axis=(0, 1))


def image_names(folder: Path) -> list[str]:
    """List the images in a folder, sorted by name; subfolders are not searched.

    Raises:
        InputError: the folder is missing or holds no image.
    """
    if not folder.is_dir():
        raise InputError(f"expected a folder of images at {str(folder)!r}, found none; check the path")
    names = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in reading.ENDINGS and p.is_file())
    if not names:
        raise InputError(f"expected images in {str(folder)!r}, found no file with an ending of an image")
    return names

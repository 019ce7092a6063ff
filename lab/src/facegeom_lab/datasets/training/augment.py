"""Augmentation that keeps the geometry: light, colour, blur, resolution, cuts, covers, compression, noise."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch

ImageArray = np.ndarray  # (H, W, 3) uint8 RGB

MOST_CUT = 0.45
"""Fraction of a box that :func:`cut` hides at most."""


def own_generator(seed: int) -> np.random.Generator:
    """Return a generator of the data loader's worker, or process of a training, in which this is called."""
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    rank = torch.distributed.get_rank() if distributed else 0
    return np.random.default_rng((seed, torch.initial_seed() % 2**32, rank))


def random_patch(rng: np.random.Generator, backgrounds: Sequence[ImageArray], size: int) -> ImageArray:
    """Cut a square of a background at a random place and scale, or fill it with one colour."""
    if rng.random() < 0.15 or not len(backgrounds):
        return np.full((size, size, 3), rng.integers(0, 256, 3), np.uint8)
    photo = backgrounds[int(rng.integers(len(backgrounds)))]
    side = int(rng.uniform(0.2, 1.0) * min(photo.shape[:2]))
    top = rng.integers(0, photo.shape[0] - side + 1)
    left = rng.integers(0, photo.shape[1] - side + 1)
    return cv2.resize(
        photo[top : top + side, left : left + side], (size, size), interpolation=cv2.INTER_LINEAR
    )


def degrade(rng: np.random.Generator, image: ImageArray, backgrounds: Sequence[ImageArray]) -> ImageArray:
    """Apply a random selection of all augmentations; the shape stays the same."""
    if rng.random() < 0.3:
        image = occlude(rng, image, backgrounds)
    if rng.random() < 0.35:
        image = lower_resolution(rng, image)
    if rng.random() < 0.15:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6))
    if rng.random() < 0.85:
        image = recolour(rng, image)
    if rng.random() < 0.15:
        image = compress(rng, image)
    if rng.random() < 0.25:
        noise = rng.normal(0, rng.uniform(2, 12), (*image.shape[:2], 1)).astype(np.float32)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return image


def dim(rng: np.random.Generator, image: ImageArray, least: float = 0.015) -> ImageArray:
    """Show an image in ``least`` to half of its light: darker, half of them veiled, with noise."""
    light = np.exp(rng.uniform(np.log(least), np.log(0.5)))
    veil = rng.uniform(0, 25) if rng.random() < 0.5 else 0.0
    values = 255 * (light * np.linspace(0, 1, 256) ** 2.2) ** (1 / 2.2) + veil
    noise = rng.normal(0, rng.uniform(0.3, 5), image.shape).astype(np.float32)
    return np.clip(values.astype(np.float32)[image] + noise, 0, 255).astype(np.uint8)


def tint(rng: np.random.Generator, image: ImageArray) -> ImageArray:
    """Show an image in coloured light: two of the channels get 3 % to all of their light."""
    light = np.exp(rng.uniform(np.log(0.03), 0, 3))
    light[rng.integers(3)] = 1.0
    tables = 255 * (light * np.linspace(0, 1, 256)[:, None] ** 2.2) ** (1 / 2.2)
    return cv2.LUT(image, tables.astype(np.uint8)[None])


def smear(rng: np.random.Generator, image: ImageArray, most_px: float) -> ImageArray:
    """Put an image out of focus, or move it while it is taken, by up to ``most_px`` to either side."""
    reach = rng.uniform(0.3, max(0.4, most_px))
    if rng.random() < 0.5:
        return cv2.GaussianBlur(image, (0, 0), reach / 1.5)
    half = int(np.ceil(reach))
    line = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    along = reach * np.array([np.cos(angle := rng.uniform(0, np.pi)), np.sin(angle)])
    for part in np.linspace(-1, 1, 4 * half + 1):
        line[tuple(np.round(half + part * along).astype(int))] += 1
    return cv2.filter2D(image, -1, line / line.sum(), borderType=cv2.BORDER_REPLICATE)


def spoil(rng: np.random.Generator, image: ImageArray, most_px: float) -> ImageArray:
    """Show an image in little light, in coloured light, blurred by up to ``most_px``, or noisy."""
    kind = rng.random()
    if kind < 0.4:
        return dim(rng, image)
    if kind < 0.55:
        return tint(rng, image)
    if kind < 0.8:
        return smear(rng, image, most_px)
    noise = rng.normal(0, rng.uniform(3, 30), (*image.shape[:2], rng.choice((1, 3))))
    return np.clip(image + noise.astype(np.float32), 0, 255).astype(np.uint8)


def recolour(rng: np.random.Generator, image: ImageArray) -> ImageArray:
    """Change brightness, contrast, gamma, tint and saturation; a fifth of the images becomes grey."""
    ramp = np.linspace(0, 1, 256) ** rng.uniform(0.65, 1.55)
    ramp = (ramp - 0.5) * rng.uniform(0.6, 1.35) + 0.5 + rng.uniform(-0.2, 0.2)
    tables = np.clip(255 * ramp[:, None] * rng.uniform(0.85, 1.15, 3), 0, 255).astype(np.uint8)
    image = cv2.LUT(image, tables[None])
    kind = rng.random()
    if kind < 0.5:
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        amount = 1.0 if kind < 0.2 else rng.uniform(-0.4, 0.7)
        image = cv2.addWeighted(grey, amount, image, 1 - amount, 0)
    return image


def jitter_colour(
    image: ImageArray, brightness: float, contrast: float, saturation: float, hue: float
) -> ImageArray:
    """Change an image's colours by factors of brightness, contrast and saturation, and shift its hue.

    Args:
        image: (H, W, 3) uint8 RGB.
        brightness: factor of all values.
        contrast: factor of the distance from the mean grey.
        saturation: factor of the distance from the pixel's own grey.
        hue: shift of the hue, as a fraction of the colour circle.
    """
    middle = brightness * cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).mean()
    table = np.clip((np.arange(256) * brightness - middle) * contrast + middle, 0, 255).astype(np.uint8)
    image = cv2.LUT(image, table)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    image = cv2.addWeighted(image, saturation, grey, 1 - saturation, 0)
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    hsv[..., 0] += np.uint8(round(hue * 256) % 256)  # bytes wrap round as the circle does
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)


def lower_resolution(rng: np.random.Generator, image: ImageArray) -> ImageArray:
    """Downscale to between 20 pixels and 0.8 of the size and upscale again, as if the face were small."""
    size = int(20 * (image.shape[0] * 0.8 / 20) ** rng.random())
    small = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    interpolation = cv2.INTER_LINEAR if rng.random() < 0.7 else cv2.INTER_CUBIC
    return cv2.resize(small, (image.shape[1], image.shape[0]), interpolation=interpolation)


def compress(rng: np.random.Generator, image: ImageArray) -> ImageArray:
    """Compress as JPEG at quality 15 to 70."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 71))]
    encoded = cv2.imencode(".jpg", image[..., ::-1], quality)[1]  # OpenCV's order of channels is BGR
    return np.ascontiguousarray(np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))[..., ::-1])


def occlude(rng: np.random.Generator, image: ImageArray, backgrounds: Sequence[ImageArray]) -> ImageArray:
    """Paste one or two rectangles or ellipses of another photo, of up to 40 % of the side."""
    image = image.copy()
    size = image.shape[0]
    for _ in range(rng.integers(1, 3)):
        width, height = (rng.uniform(0.08, 0.4, 2) * size).astype(int) + 1
        left, top = rng.integers(0, size - width), rng.integers(0, size - height)
        paste_occluder(rng, image[top : top + height, left : left + width], backgrounds, 0.5)
    return image


def paste_occluder(
    rng: np.random.Generator, region: ImageArray, backgrounds: Sequence[ImageArray], elliptic: float
) -> None:
    """Cover a region of an image, in place, by another photo or a colour; ``elliptic``: rate of ellipses."""
    height, width = region.shape[:2]
    patch = random_patch(rng, backgrounds, max(width, height))[:height, :width]
    mask = np.ones((height, width), np.uint8)
    if rng.random() < elliptic:
        axes = (width // 2, height // 2)
        mask = cv2.ellipse(np.zeros_like(mask), axes, axes, 0, 0, 360, 1, -1)
    cv2.copyTo(patch, mask, region)


def cut(
    rng: np.random.Generator, image: ImageArray, backgrounds: Sequence[ImageArray], box_xyxy: np.ndarray
) -> ImageArray:
    """End an image inside a box (4,), as if the photo ended there or something flat stood before the rest.

    One of the four sides, all alike, loses what lies beyond the line and up to ``MOST_CUT`` of the box. It
    becomes one colour (see :func:`plain_colour`), the last visible line repeated, noise, or another photo.
    """
    image = image.copy()
    axis, far = divmod(int(rng.integers(4)), 2)
    lines = image if axis else image.swapaxes(0, 1)  # a view: the first axis is the one that is cut
    low, high = box_xyxy[axis], box_xyxy[axis + 2]
    if not far:
        lines = lines[::-1]
        low, high = len(lines) - 1 - high, len(lines) - 1 - low
    start = int(np.clip(high + 0.5 - rng.uniform(0, MOST_CUT) * (high - low), 1, len(lines)))
    kind, beyond = rng.random(), lines[start:]
    if kind < 0.7:
        beyond[:] = plain_colour(rng, lines[:start] if kind < 0.5 else lines[start - 1 : start])
    elif kind < 0.8:
        beyond[:] = lines[start - 1]
    elif kind < 0.9:
        beyond[:] = rng.integers(0, 256, (*beyond.shape[:2], rng.choice((1, 3))), np.uint8)
    else:
        beyond[:] = random_patch(rng, backgrounds, max(lines.shape[:2]))[start : len(lines), : lines.shape[1]]
    return image


def cover(rng: np.random.Generator, image: ImageArray, box_xyxy: np.ndarray) -> ImageArray:
    """Lay a rectangle of one colour over a part of a box (4,), 0.2 to 0.6 of it in width and height."""
    image = image.copy()
    size_wh = box_xyxy[2:] - box_xyxy[:2]
    half = rng.uniform(0.1, 0.3, 2) * size_wh
    centre = box_xyxy[:2] + rng.uniform(0, 1, 2) * size_wh
    left, top = np.maximum(centre - half, 0).astype(int)
    right, bottom = np.maximum(centre + half, 0).astype(int)
    image[top:bottom, left:right] = plain_colour(rng, image)
    return image


def plain_colour(rng: np.random.Generator, image: ImageArray) -> np.ndarray:
    """Return black, white, a grey, any colour, or the mean colour of an image, (3,) uint8."""
    kind = rng.random()
    if kind < 0.5:
        return np.full(3, 0 if kind < 0.3 else 255, np.uint8)
    if kind < 0.75:
        return np.full(3, rng.integers(256), np.uint8)
    mean = image.mean(axis=(0, 1)).astype(np.uint8)
    return rng.integers(0, 256, 3, np.uint8) if kind < 0.85 else mean

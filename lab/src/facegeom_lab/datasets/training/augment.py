"""Changes of a training picture that keep its geometry: light, colour, blur, resolution, cover, noise."""

from collections.abc import Sequence

import cv2
import numpy as np

Picture = np.ndarray  # (H, W, 3) uint8 RGB


def random_patch(rng: np.random.Generator, backgrounds: Sequence[Picture], size: int) -> Picture:
    """A square piece of a background at a random place and scale, or one plain colour."""
    if rng.random() < 0.15:
        return np.full((size, size, 3), rng.integers(0, 256, 3), np.uint8)
    photo = backgrounds[int(rng.integers(len(backgrounds)))]
    side = int(rng.uniform(0.2, 1.0) * min(photo.shape[:2]))
    top = rng.integers(0, photo.shape[0] - side + 1)
    left = rng.integers(0, photo.shape[1] - side + 1)
    return cv2.resize(
        photo[top : top + side, left : left + side], (size, size), interpolation=cv2.INTER_LINEAR
    )


def degrade(rng: np.random.Generator, picture: Picture, backgrounds: Sequence[Picture]) -> Picture:
    """Apply a random selection of all changes; the same shape comes back."""
    if rng.random() < 0.3:
        picture = cover(rng, picture, backgrounds)
    if rng.random() < 0.35:
        picture = lower_resolution(rng, picture)
    if rng.random() < 0.15:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.6))
    if rng.random() < 0.85:
        picture = recolour(rng, picture)
    if rng.random() < 0.15:
        picture = compress(rng, picture)
    if rng.random() < 0.25:
        noise = rng.normal(0, rng.uniform(2, 12), (*picture.shape[:2], 1)).astype(np.float32)
        picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    return picture


def recolour(rng: np.random.Generator, picture: Picture) -> Picture:
    """Brightness, contrast, gamma, saturation and a tint by one table per channel; grey in a fifth."""
    ramp = np.linspace(0, 1, 256) ** rng.uniform(0.65, 1.55)
    ramp = (ramp - 0.5) * rng.uniform(0.6, 1.35) + 0.5 + rng.uniform(-0.2, 0.2)
    tables = np.clip(255 * ramp[:, None] * rng.uniform(0.85, 1.15, 3), 0, 255).astype(np.uint8)
    picture = cv2.LUT(picture, tables[None])
    kind = rng.random()
    if kind < 0.5:
        grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        share = 1.0 if kind < 0.2 else rng.uniform(-0.4, 0.7)
        picture = cv2.addWeighted(grey, share, picture, 1 - share, 0)
    return picture


def jitter_colour(
    picture: Picture, brightness: float, contrast: float, saturation: float, hue: float
) -> Picture:
    """Change a picture's colours by factors of brightness, contrast and saturation, and turn its hue.

    Args:
        picture: (H, W, 3) uint8 RGB.
        brightness: factor of all values.
        contrast: factor of the distance from the mean grey.
        saturation: factor of the distance from the pixel's own grey.
        hue: turn of the hue, in turns; 0 changes nothing.
    """
    middle = brightness * cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).mean()
    table = np.clip((np.arange(256) * brightness - middle) * contrast + middle, 0, 255).astype(np.uint8)
    picture = cv2.LUT(picture, table)
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    picture = cv2.addWeighted(picture, saturation, grey, 1 - saturation, 0)
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV_FULL)
    hsv[..., 0] += np.uint8(round(hue * 256) % 256)  # bytes wrap round as the circle does
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)


def lower_resolution(rng: np.random.Generator, picture: Picture) -> Picture:
    """As if the face had been small: down to 20 to 100 pixels and up again."""
    size = int(20 * (picture.shape[0] * 0.8 / 20) ** rng.random())
    small = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    how = cv2.INTER_LINEAR if rng.random() < 0.7 else cv2.INTER_CUBIC
    return cv2.resize(small, (picture.shape[1], picture.shape[0]), interpolation=how)


def compress(rng: np.random.Generator, picture: Picture) -> Picture:
    """JPEG at quality 15 to 70."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 71))]
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR))


def cover(rng: np.random.Generator, picture: Picture, backgrounds: Sequence[Picture]) -> Picture:
    """Paste one or two rectangles or ellipses of another photo, up to 40 % of the side."""
    picture = picture.copy()
    size = picture.shape[0]
    for _ in range(rng.integers(1, 3)):
        width, height = (rng.uniform(0.08, 0.4, 2) * size).astype(int) + 1
        left, top = rng.integers(0, size - width), rng.integers(0, size - height)
        lay_over(rng, picture[top : top + height, left : left + width], backgrounds, 0.5)
    return picture


def lay_over(
    rng: np.random.Generator, part: Picture, backgrounds: Sequence[Picture], elliptic: float
) -> None:
    """Hide a part of a picture, in place, under another photo or a colour; an ellipse in a share of cases."""
    height, width = part.shape[:2]
    patch = random_patch(rng, backgrounds, max(width, height))[:height, :width]
    mask = np.ones((height, width), np.uint8)
    if rng.random() < elliptic:
        axes = (width // 2, height // 2)
        mask = cv2.ellipse(np.zeros_like(mask), axes, axes, 0, 0, 360, 1, -1)
    cv2.copyTo(patch, mask, part)

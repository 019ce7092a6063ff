"""Augmentation: same shape, same geometry, the input unchanged."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from facegeom_lab.datasets.training import augment

PHOTOS = [
    np.random.default_rng(1).integers(0, 256, (60, 90, 3), dtype=np.uint8),
    np.zeros((40, 40, 3), np.uint8),
]

BOX = np.array([30.0, 20.0, 90.0, 100.0])

CHANGES = {
    "recolour": augment.recolour,
    "dim": augment.dim,
    "tint": augment.tint,
    "smear": lambda rng, image: augment.smear(rng, image, 8.0),
    "spoil": lambda rng, image: augment.spoil(rng, image, 8.0),
    "lower_resolution": augment.lower_resolution,
    "compress": augment.compress,
    "occlude": lambda rng, image: augment.occlude(rng, image, PHOTOS),
    "cut": lambda rng, image: augment.cut(rng, image, PHOTOS, BOX),
    "cover": lambda rng, image: augment.cover(rng, image, BOX),
    "degrade": lambda rng, image: augment.degrade(rng, image, PHOTOS),
}
Change = Callable[[np.random.Generator, np.ndarray], np.ndarray]


def blob(centre: tuple[float, float] = (70, 41)) -> np.ndarray:
    """Draw a light spot on grey, (128, 128, 3)."""
    y, x = np.mgrid[:128, :128]
    spot = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * 9**2))
    return np.repeat((60 + 120 * spot)[..., None], 3, axis=2).astype(np.uint8)


def place(image: np.ndarray) -> np.ndarray:
    """Return the centre (2,) of what is much lighter than the median, pixels."""
    grey = image.astype(float).mean(axis=2)
    mass = np.clip(grey - np.median(grey) - 0.3 * np.ptp(grey), 0, None)
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]]
    return np.array([(mass * x).sum(), (mass * y).sum()]) / mass.sum()


@pytest.mark.parametrize("name", CHANGES)
def test_shape_and_input(name: str) -> None:
    for seed in range(30):
        image = blob()
        changed = CHANGES[name](np.random.default_rng(seed), image)
        assert changed.shape == image.shape and changed.dtype == np.uint8
        np.testing.assert_array_equal(image, blob())


@pytest.mark.parametrize("name", CHANGES)
def test_same_seed_same_picture(name: str) -> None:
    first, second, other = (CHANGES[name](np.random.default_rng(seed), blob()) for seed in (5, 5, 8))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", ["recolour", "tint", "smear", "lower_resolution", "compress"])
def test_nothing_moves(name: str) -> None:
    for seed in range(30):
        changed = CHANGES[name](np.random.default_rng(seed), blob())
        np.testing.assert_allclose(place(changed), place(blob()), atol=0.6)


def test_recolour_makes_a_fifth_grey() -> None:
    colourful = np.zeros((8, 8, 3), np.uint8) + np.array([200, 120, 60], np.uint8)
    rng = np.random.default_rng(0)
    changed = [augment.recolour(rng, colourful) for _ in range(600)]
    grey = np.mean([np.ptp(image[0, 0].astype(int)) == 0 for image in changed])
    assert 0.13 < grey < 0.27
    assert np.std([image.mean() for image in changed]) > 15


def test_dim_leaves_less_light_and_noise() -> None:
    grey = np.full((64, 64, 3), 180, np.uint8)
    levels = []
    for seed in range(200):
        changed = augment.dim(np.random.default_rng(seed), grey, least=0.05)
        assert 0.2 < changed.std() < 5.5
        levels.append(changed.mean())
    assert 45 < min(levels) < 60 and 130 < max(levels) < 160  # 180 * 0.05 ** (1 / 2.2), with 25 of veil
    assert np.mean(np.array(levels) < 90) > 0.3


def test_tint_takes_light_from_two_channels_at_most() -> None:
    """Of a grey of 200, 3 % of the light leave 200 * 0.03 ** (1 / 2.2), which is 40."""
    grey = np.full((4, 4, 3), 200, np.uint8)
    pixels = np.array([augment.tint(np.random.default_rng(seed), grey)[0, 0] for seed in range(300)])
    assert (pixels.max(axis=1) >= 199).all() and 40 <= pixels.min() < 50
    assert (pixels.argmax(axis=1) == np.arange(3)[:, None]).mean(axis=1) == pytest.approx(
        [1 / 3] * 3, abs=0.1
    )


def test_smear_reaches_as_far_as_it_may() -> None:
    """A dot becomes round or a line; a line's ends lie opposite each other, 6 pixels away at most."""
    dot = np.zeros((31, 31, 3), np.uint8)
    dot[15, 15] = 255
    lines = 0
    for seed in range(200):
        lit = np.argwhere(augment.smear(np.random.default_rng(seed), dot, 6.0)[..., 0] > 0) - 15
        if not len(lit) or np.ptp(lit[:, 0]) == np.ptp(lit[:, 1]) > 1:
            continue  # round
        lines += 1
        assert np.abs(lit).max() <= 6
        np.testing.assert_array_equal(lit, -lit[::-1])
    assert lines > 60


def test_spoil_draws_all_kinds() -> None:
    """Of a grey picture with a dot: darker, coloured, without its dot, or noisy."""
    image = np.full((64, 64, 3), 150, np.uint8)
    image[32, 32] = 255
    spoiled = [augment.spoil(np.random.default_rng(seed), image, 5.0).astype(float) for seed in range(400)]
    level = np.array([np.median(each) for each in spoiled])
    coloured = np.array([np.ptp(np.median(each, axis=(0, 1))) > 8 for each in spoiled])
    noisy = np.array([each.std(axis=(0, 1)).max() > 2.9 for each in spoiled])
    assert 0.3 < (level < 140).mean() < 0.6 and 0.1 < coloured.mean() < 0.2
    assert 0.15 < (noisy & (level > 140)).mean() < 0.35


def test_compress_keeps_the_order_of_colours() -> None:
    red = np.zeros((32, 32, 3), np.uint8) + np.array([220, 30, 60], np.uint8)
    changed = augment.compress(np.random.default_rng(0), red)
    np.testing.assert_allclose(changed.mean(axis=(0, 1)), (220, 30, 60), atol=8)


def test_compress_keeps_green_best() -> None:
    """JPEG's luma is mostly green: stripes of green keep more contrast than those of red and blue."""
    stripes = np.repeat(np.arange(64)[None] // 2 % 2, 64, axis=0).astype(np.float64)
    kept = []
    for channel in range(3):
        image = np.full((64, 64, 3), 100, np.uint8)
        image[..., channel] += (60 * stripes).astype(np.uint8)
        changed = augment.compress(np.random.default_rng(1), image)[..., channel].astype(float)
        kept.append(changed[stripes == 1].mean() - changed[stripes == 0].mean())
    red, green, blue = kept
    assert green > red + 5 > blue + 10


def test_lower_resolution_loses_detail() -> None:
    fine = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    for seed in range(10):
        assert augment.lower_resolution(np.random.default_rng(seed), fine).std() < fine.std()


def test_cover_hides_a_part() -> None:
    red = [np.zeros((50, 50, 3), np.uint8) + np.array([255, 0, 0], np.uint8)]
    shares = []
    for seed in range(60):
        grey = np.full((100, 100, 3), 90, np.uint8)
        shares.append((augment.occlude(np.random.default_rng(seed), grey, red) != 90).any(axis=2).mean())
    assert min(shares) > 0 and max(shares) <= 2 * 0.41**2


@pytest.mark.parametrize("size", [1, 16, 200])
def test_patches(size: int) -> None:
    patches = [augment.random_patch(np.random.default_rng(seed), PHOTOS[:1], size) for seed in range(80)]
    assert all(patch.shape == (size, size, 3) and patch.dtype == np.uint8 for patch in patches)
    plain = np.mean([np.ptp(patch, axis=(0, 1)).max() == 0 for patch in patches])
    assert size == 1 or 0.05 < plain < 0.3


def test_patch_of_a_photo_is_cut_not_squeezed() -> None:
    wide = [cv2.resize(blob(), (512, 128))]
    wide[0][:] = np.arange(512, dtype=np.uint16)[None, :, None] // 2
    for seed in range(20):
        patch = augment.random_patch(np.random.default_rng(seed), wide, 32).astype(int)
        assert np.ptp(patch[0, :, 0]) <= 64  # at most 128 of the 512 columns


def hidden_parts(count: int) -> list[tuple[str, float, np.ndarray]]:
    """Cut a ramp by each seed; return sides, the fractions of ``BOX`` that are gone, and what is there."""
    y, x = np.mgrid[:128, :128]
    image = np.stack([x, y, 255 - x], axis=2).astype(np.uint8)
    found = []
    for seed in range(count):
        changed = augment.cut(np.random.default_rng(seed), image, PHOTOS, BOX)
        gone = (changed != image).any(axis=2)
        columns, rows = np.flatnonzero(gone.mean(axis=0) > 0.6), np.flatnonzero(gone.mean(axis=1) > 0.6)
        across = len(columns) > 0
        lines = columns if across else rows
        far = bool(lines[-1] == 127)
        assert far or lines[0] == 0
        part = changed[:, lines].swapaxes(0, 1) if across else changed[lines]
        low, high = BOX[0 if across else 1], BOX[2 if across else 3]
        depth = (high + 0.5 - lines[0]) if far else (lines[-1] + 0.5 - low)
        side = ("left", "right")[far] if across else ("top", "bottom")[far]
        found.append((side, depth / (high - low), part))
    return found


def test_cuts_take_all_sides_alike_and_at_most_so_much_of_the_box() -> None:
    parts = hidden_parts(800)
    for side in ("left", "right", "top", "bottom"):
        depths = [depth for each, depth, _ in parts if each == side]
        assert 150 < len(depths) < 250
        assert -0.02 < min(depths) < 0.05 and 0.4 < max(depths) < augment.MOST_CUT + 0.02
        assert np.mean(depths) == pytest.approx(augment.MOST_CUT / 2, abs=0.03)


def test_cuts_are_filled_in_several_ways() -> None:
    parts = [part for _, _, part in hidden_parts(800)]
    colours = [tuple(part[0, 0]) for part in parts if np.ptp(part, axis=(0, 1)).max() == 0]
    shares = [
        len(colours) / len(parts),
        colours.count((0, 0, 0)) / len(parts),
        colours.count((255, 255, 255)) / len(parts),
        sum(len(set(colour)) == 1 for colour in colours) / len(parts),
        sum(np.ptp(part, axis=0).max() == 0 and np.ptp(part, axis=1).max() > 0 for part in parts)
        / len(parts),
    ]
    expected = (0.7, 0.21, 0.14, 0.52, 0.1)  # flat, black, white, of them all greys; the last line repeated
    np.testing.assert_allclose(shares, expected, atol=0.06)


def test_covers_are_flat_and_lie_on_the_box() -> None:
    image = np.random.default_rng(0).integers(1, 255, (128, 128, 3), dtype=np.uint8)
    centres = []
    for seed in range(200):
        changed = augment.cover(np.random.default_rng(seed), image, BOX)
        rows, columns = np.nonzero((changed != image).any(axis=2))
        box = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
        assert len(np.unique(changed[box].reshape(-1, 3), axis=0)) == 1
        assert np.ptp(columns) < 0.6 * 60 + 2 and np.ptp(rows) < 0.6 * 80 + 2
        centres.append((np.mean(columns), np.mean(rows)))
    np.testing.assert_allclose(np.mean(centres, axis=0), (60, 60), atol=4)

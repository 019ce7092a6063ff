"""Light of real places: radiance panoramas (EXR light probes) as harmonics, lamps and blurred backdrops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from facegeom.errors import InputError
from facegeom.geometry.rotation import rotation_from_angles
from facegeom_lab.synth.mesh import Floats
from facegeom_lab.synth.shade import Light, harmonic_basis

LAMPS, LAMP_DEG = 2, 20.0
"""Most lamps taken out of a panorama, and the radius around its brightest place that one covers."""

BRIGHT = 4.0
"""Only what is brighter than the panorama's mean by this factor becomes a lamp."""

_COSINE = np.array([np.pi] + [2 * np.pi / 3] * 3 + [np.pi / 4] * 5)
"""Clamped-cosine kernel by band (Ramamoorthi and Hanrahan, SIGGRAPH 2001)."""


@dataclass(frozen=True, eq=False)
class Probe:
    """Light of one place; directions in the camera frame (y down) at azimuth 0, mean irradiance 1.

    Attributes:
        panorama: (H, W, 3) linear radiance, zenith first, azimuth growing with the column.
        harmonics: (9, 3) irradiance, without the lamps, in real spherical harmonics.
        directions: (L, 3) unit vectors to the lamps.
        colours: (L, 3) linear, irradiance of a surface that faces the lamp.
    """

    panorama: Floats
    harmonics: Floats
    directions: Floats
    colours: Floats


def read_probes(folder: Path) -> list[Probe]:
    """Read all panoramas ``*.exr`` of a folder, in the order of their names.

    Raises:
        InputError: there is none, or the package OpenEXR is missing.
    """
    files = sorted(Path(folder).glob("*.exr"))
    if not files:
        raise InputError(f"expected light probes (*.exr) in {folder}, found none")
    try:
        import OpenEXR
    except ImportError as error:
        raise InputError("light probes need the package OpenEXR; run `pip install OpenEXR`") from error
    return [make_probe(OpenEXR.File(str(file)).channels()["RGB"].pixels) for file in files]


def make_probe(panorama: Floats) -> Probe:
    """Split a panorama (H, W, 3), an equirectangular map of linear radiance, into harmonics and lamps."""
    panorama = cv2.resize(np.asarray(panorama, np.float32), (256, 128), interpolation=cv2.INTER_AREA)
    towards, solid = _directions(*panorama.shape[:2])
    radiance = np.maximum(panorama, 0).reshape(-1, 3).copy()
    radiance /= (radiance.mean(axis=1) * solid).sum() / 4  # mean irradiance of a sphere: pi x mean radiance
    shown, directions, colours = radiance.reshape(panorama.shape).copy(), [], []
    for _ in range(LAMPS):
        level = radiance.mean(axis=1)
        near = towards @ towards[level.argmax()] > np.cos(np.deg2rad(LAMP_DEG))
        lamp = near & (level > BRIGHT / np.pi)
        if not lamp.any():
            break
        around = radiance[near & ~lamp]
        rest = around.mean(axis=0) if len(around) else np.zeros(3)
        excess = np.where(lamp[:, None], radiance - rest, 0).clip(0)
        direction = (excess.mean(axis=1) * solid) @ towards
        directions.append(direction / np.linalg.norm(direction))
        colours.append(solid @ excess)
        radiance -= excess
    harmonics = (harmonic_basis(towards) * solid[:, None]).T @ radiance * _COSINE[:, None]
    return Probe(
        panorama=shown,
        harmonics=harmonics.astype(np.float32),
        directions=np.array(directions, np.float32).reshape(-1, 3),
        colours=np.array(colours, np.float32).reshape(-1, 3),
    )


def probe_light(rng: np.random.Generator, probe: Probe) -> tuple[Light, float]:
    """Return a probe's light from a random azimuth, a little tilted, and that azimuth in degrees."""
    azimuth_deg = float(rng.uniform(-180, 180))
    turn = rotation_from_angles(azimuth_deg, float(rng.normal(0, 8)), float(rng.normal(0, 8)))
    mean = probe.harmonics[0] * np.float32(0.282095) + probe.colours.sum(axis=0) / 4
    balance = (mean.mean() / mean) ** rng.uniform(0.6, 1)  # cameras take most of a light's colour away
    tint = (balance * np.exp(rng.normal(0, 0.04, 3))).astype(np.float32)
    light = Light(
        sky=np.zeros(3, np.float32),
        ground=np.zeros(3, np.float32),
        directions=(probe.directions @ turn.T).astype(np.float32),
        colours=probe.colours * tint * np.float32(rng.uniform(0.5, 1.3)),
        sharpness=float(rng.uniform(8, 50)),
        harmonics=_rotated(probe.harmonics, turn) * tint,
    )
    return light, azimuth_deg


def _rotated(harmonics: Floats, turn: Floats) -> Floats:
    """Rotate the coefficients (9, 3): fit those of the rotated function at fixed directions."""
    directions, inverse = _fit_basis()
    return (inverse @ (harmonic_basis(directions @ turn) @ harmonics)).astype(np.float32)


@lru_cache(maxsize=1)
def _fit_basis() -> tuple[Floats, Floats]:
    directions = np.random.default_rng(0).standard_normal((64, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return directions, np.linalg.pinv(harmonic_basis(directions))


def probe_backdrop(
    rng: np.random.Generator, probe: Probe, azimuth_deg: float, size_wh: tuple[int, int]
) -> Floats:
    """Return what lies behind a head under the probe's light (H, W, 3), linear, as through a lens.

    Args:
        rng: of the image.
        probe: of the place.
        azimuth_deg: as :func:`probe_light` drew it.
        size_wh: of the backdrop, pixels.
    """
    height, width = probe.panorama.shape[:2]
    span = rng.uniform(35, 80) / 360 * width
    middle = -azimuth_deg / 360 * width + rng.normal(0, 0.02) * width  # straight ahead: z, column 0
    step = span / max(size_wh)
    x = middle + (np.arange(size_wh[0]) - size_wh[0] / 2) * step
    y = height * rng.normal(0.52, 0.05) + (np.arange(size_wh[1]) - size_wh[1] / 2) * step
    across, down = np.meshgrid((x % width).astype(np.float32), y.clip(0, height - 1).astype(np.float32))
    wide = np.concatenate(
        [probe.panorama, probe.panorama[:, :1]], axis=1
    )  # joins the last column to the first
    mean = probe.panorama.mean(axis=(0, 1))
    wide = wide * ((mean.mean() / mean) ** rng.uniform(0.5, 1))
    view = cv2.remap(wide, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    level = view.mean() + 1e-6
    return np.clip(view * (rng.uniform(0.12, 0.5) / level), 0, 1.2).astype(np.float32)


def choose(rng: np.random.Generator, probes: Sequence[Probe]) -> Probe:
    """Draw one of the probes."""
    return probes[int(rng.integers(len(probes)))]


def _directions(height: int, width: int) -> tuple[Floats, Floats]:
    """Return unit vectors (H W, 3) of an equirectangular map's pixels, y down, and their solid angles."""
    polar = (np.arange(height) + 0.5) * (np.pi / height)
    around = (np.arange(width) + 0.5) * (2 * np.pi / width)
    polar, around = np.meshgrid(polar, around, indexing="ij")
    vectors = np.stack([np.sin(polar) * np.sin(around), -np.cos(polar), np.sin(polar) * np.cos(around)], -1)
    solid = np.sin(polar) * (np.pi / height) * (2 * np.pi / width)
    return vectors.reshape(-1, 3), solid.ravel()

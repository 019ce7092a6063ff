"""Smaller forms of the networks that ship: whole, named, and close to the first form."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from facegeom import FaceAnalyzer
from facegeom.errors import InputError, WeightsError
from facegeom.geometry.rotation import geodesic_deg
from facegeom.image import reading
from facegeom.models import weights
from facegeom.models.engine import Engine

VARIANTS = [(name, each) for name, entry in weights.manifest().items() for each in entry.variants]
PHOTO = Path(str(files("facegeom") / "data" / "astronaut.jpg"))


def test_the_variants_that_ship() -> None:
    assert sorted(VARIANTS) == [("face", "int8"), ("onepass", "int8")]


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_a_variant_is_whole_and_smaller_and_has_the_same_outputs(name: str, variant: str) -> None:
    weights.verify(name, variant)
    first, other = weights.path(name), weights.path(name, variant)
    assert other.stat().st_size < 0.3 * first.stat().st_size
    crops = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), dtype=np.uint8)
    for wanted, found in zip(Engine(first)(crops), Engine(other)(crops), strict=True):
        assert wanted.shape == found.shape and wanted.dtype == found.dtype


def test_unknown_variants_are_refused() -> None:
    with pytest.raises(WeightsError, match="expected one of the variants float32, int8 of face, got 'int2'"):
        weights.path("face", "int2")
    with pytest.raises(WeightsError, match="variants float32 of pnet"):
        weights.path("pnet", "int8")
    with pytest.raises(InputError, match="weights: expected one of float32, int8"):
        FaceAnalyzer(weights="int2")


def test_eight_bits_see_the_same_face() -> None:
    pixels = reading.read(PHOTO)
    wanted, found = (FaceAnalyzer(weights=each)(pixels) for each in ("float32", "int8"))
    assert len(found) == len(wanted) > 0
    eyes = np.linalg.norm(wanted.landmarks_px[0, 36] - wanted.landmarks_px[0, 45])
    apart = np.linalg.norm(wanted.landmarks_px[0] - found.landmarks_px[0], axis=1)
    assert apart.mean() < 0.03 * eyes
    assert geodesic_deg(wanted.rotation[:1], found.rotation[:1])[0] < 3
    assert abs(wanted.score[0] - found.score[0]) < 0.01

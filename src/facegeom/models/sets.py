"""The sets of networks: which variants there are, which parts the free set lacks, and the networks loaded."""

from typing import NamedTuple

from facegeom.errors import InputError
from facegeom.models import weights
from facegeom.models.cascade import CascadeDetector
from facegeom.models.detector import Detector, OnePassDetector
from facegeom.models.engine import Engine
from facegeom.models.expression import ExpressionNet
from facegeom.models.face import FaceNet
from facegeom.models.regions import REGIONS, RegionNets
from facegeom.models.score_fusion import ScoreFusion

VARIANTS = ("float32", "int8")
"""Variants of the networks."""

FREE_FUSION = ScoreFusion(weight=1.0, offset=-2.0)
"""Of the free set, chosen on rendered heads and photos without a face (docs/free-weights.md)."""


def check_free(pose_net: str, detector: str, depth: bool | str) -> None:
    """Raise an InputError if a part is wanted that the free set lacks."""
    for option, value, there in (("pose_net", pose_net, "face"), ("detector", detector, "onepass")):
        if value != there:
            raise InputError(f"{option}: expected {there!r}, all that the free weights have, got {value!r}")
    if isinstance(depth, str) and depth != "mesh":
        raise InputError(f"depth: expected True or 'mesh', all that the free weights have, got {depth!r}")


def fusion(chosen: str) -> ScoreFusion:
    """Return the score fusion of "onepass" for a value of the option ``weights``."""
    return FREE_FUSION if chosen == weights.FREE else OnePassDetector.fusion


def load_detector(name: str, device: str, threads: int | None, chosen: str) -> Detector:
    """Load "onepass" or "cascade" for a value of the option ``weights``; the cascade has one variant."""
    if name == "onepass":
        engine = Engine(weights.of_set("onepass", chosen), device, threads)
        return OnePassDetector(engine, fusion=fusion(chosen))
    pnet, rnet = (Engine(weights.path(stage), device, threads) for stage in ("pnet", "rnet"))
    return CascadeDetector(pnet, rnet)


class Networks(NamedTuple):
    """Networks of one photo's analysis."""

    detector: Detector
    face: FaceNet
    regions: RegionNets
    expression: ExpressionNet


def load_networks(detector: str, device: str, threads: int | None, chosen: str) -> Networks:
    """Load the networks for values of the options ``detector`` and ``weights``."""
    face = FaceNet(Engine(weights.of_set("face", chosen), device, threads))
    found = load_detector(detector, device, threads, chosen)
    regions = RegionNets([Engine(weights.of_set(region.name, chosen), device, threads) for region in REGIONS])
    expression = ExpressionNet(Engine(weights.of_set("expression", chosen), "cpu", 1))
    return Networks(found, face, regions, expression)

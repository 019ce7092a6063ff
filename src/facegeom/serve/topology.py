"""What is the same for every face: how the points of an answer hang together."""

from functools import cache
from typing import Any

from pydantic import BaseModel, Field

from facegeom.geometry import topology
from facegeom.geometry.schemes import SCHEMES


class Markup(BaseModel):
    """An order of points."""

    lines: list[tuple[int, int]] = Field(description="Indices to join in a drawing.")
    regions: dict[str, list[int]] = Field(description="Indices by part of the face; outlines in order.")
    mirror: list[int] = Field(description="Index of each point's mirror image.")
    eye_corners: tuple[int, int] = Field(description="Outer corners of the person's right and left eye.")


class Topology(BaseModel):
    """How the points of an answer hang together."""

    triangles: list[tuple[int, int, int]] = Field(
        description="Of the mesh, counter-clockwise in a frontal face."
    )
    canonical_mm: list[tuple[float, float, float]] = Field(
        description="The mesh of the mean head: head frame, millimetres, origin midway between the eyes."
    )
    ibug68: Markup
    mesh478: Markup


@cache
def shared() -> Topology:
    """The topology of every answer."""
    return Topology(
        triangles=topology.triangles().tolist(),
        canonical_mm=topology.canonical_mm().astype(float).round(4).tolist(),
        ibug68=_markup("ibug68"),
        mesh478=_markup("mesh478"),
    )


def _markup(scheme_name: str) -> Markup:
    scheme: Any = SCHEMES[scheme_name]
    return Markup(
        lines=list(scheme.lines),
        regions={name: list(indices) for name, indices in scheme.regions.items()},
        mirror=scheme.mirror.tolist(),
        eye_corners=scheme.eye_corners,
    )

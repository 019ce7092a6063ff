"""The canonical head unrolled, for painting: OBJ with texture coordinates, and its picture."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from facegeom.geometry import schemes, topology
from facegeom.geometry.camera import to_viewer_frame

_HEADER = (
    "# facegeom canonical head: 478 points, millimetres, x right, y up, z to the viewer, v up from below"
)
_PAPER, _LINE = (236, 226, 216), (150, 140, 132)
_PARTS = {
    **{"oval": (90, 90, 90), "brow": (120, 84, 50), "eye": (40, 90, 170)},
    **{"iris": (30, 130, 120), "lips": (180, 50, 60)},
}
"""Colours of the outlines, by the beginning of the region's name."""


def encode_obj(material_file: str) -> bytes:
    """Encode the canonical head with texture coordinates; its material stands in another file."""
    vertices = [f"v {x:.4f} {y:.4f} {z:.4f}" for x, y, z in to_viewer_frame(topology.canonical_mm()).tolist()]
    places = [f"vt {u:.6f} {1 - v:.6f}" for u, v in topology.uv().tolist()]
    corners = ["f " + " ".join(f"{i}/{i}" for i in each) for each in (topology.triangles() + 1).tolist()]
    lines = [_HEADER, f"mtllib {material_file}", *vertices, *places, "usemtl face", *corners, ""]
    return "\n".join(lines).encode("utf-8")


def encode_material(picture_file: str) -> bytes:
    """Encode the material of the head, whose texture is a picture."""
    return f"newmtl face\nKd 1 1 1\nmap_Kd {picture_file}\n".encode()


def draw(size_px: int) -> Image.Image:
    """Draw the edges of the mesh and the outlines of its parts in a square RGB picture."""
    points = topology.uv() * size_px - 0.5
    picture = Image.new("RGB", (size_px, size_px), _PAPER)
    pen, width = ImageDraw.Draw(picture), max(1, round(size_px / 1024))
    for edge in topology.edges():
        pen.line(_path(points, edge), _LINE, width)
    for name, indices in schemes.SCHEMES["mesh478"].regions.items():
        for part, colour in _PARTS.items():
            if name.startswith(part):
                ring = indices[1:] if part == "iris" else indices
                pen.line(_path(points, schemes.closed(ring)), colour, 3 * width)
    return picture


def _path(points: npt.NDArray[np.float64], indices: Iterable[int]) -> list[tuple[float, float]]:
    return [(x, y) for x, y in points[list(indices)].tolist()]

"""The mesh with confidences, or coloured points of depth, as binary PLY: millimetres, y up."""

from typing import TYPE_CHECKING

import numpy as np

from facegeom.depth.surface import Surface
from facegeom.geometry import topology
from facegeom.geometry.camera import to_viewer_frame
from facegeom.results import Face

if TYPE_CHECKING:
    from facegeom.image.reading import UInt8Array

_HEADER = """ply
format binary_little_endian 1.0
comment facegeom mesh: millimetres, x right, y up, z towards the camera at the origin
element vertex {vertices}
property float x
property float y
property float z
property float confidence
element face {triangles}
property list uchar int vertex_indices
end_header
"""


def encode(face: Face) -> bytes:
    """All 478 vertices in their order, then the triangles, counted from 0."""
    vertices = np.column_stack([to_viewer_frame(face.mesh_mm), face.mesh_confidence]).astype("<f4")
    triangles = topology.triangles()
    rows = np.empty(len(triangles), np.dtype([("count", "u1"), ("indices", "<i4", 3)]))
    rows["count"], rows["indices"] = 3, triangles
    header = _HEADER.format(vertices=len(vertices), triangles=len(triangles))
    return header.encode("ascii") + vertices.tobytes() + rows.tobytes()


_CLOUD_HEADER = """ply
format binary_little_endian 1.0
comment facegeom depth: millimetres, x right, y up, z towards the camera at the origin
element vertex {vertices}
property float x
property float y
property float z
property uchar red
property uchar green
property uchar blue
end_header
"""
_GREY = 160


def encode_cloud(surface: Surface, image: "UInt8Array | None" = None) -> bytes:
    """The surface's points, each with the colour of the photo's pixel; grey without a photo and beyond it."""
    rows = np.empty(len(surface.points_mm), np.dtype([("place", "<f4", 3), ("colour", "u1", 3)]))
    rows["place"], rows["colour"] = to_viewer_frame(surface.points_mm), _GREY
    if image is not None:
        column, row = np.rint(surface.pixels_xy).astype(int).T
        inside = (column >= 0) & (row >= 0) & (column < image.shape[1]) & (row < image.shape[0])
        rows["colour"][inside] = image[row[inside], column[inside]]
    return _CLOUD_HEADER.format(vertices=len(rows)).encode("ascii") + rows.tobytes()

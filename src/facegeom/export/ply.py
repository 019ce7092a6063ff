"""The mesh with confidences, or coloured points of depth, as binary PLY: millimetres, y up."""

import numpy as np
import numpy.typing as npt

from facegeom.depth.surface import Surface
from facegeom.geometry import topology
from facegeom.geometry.camera import to_viewer_frame

FloatArray = npt.NDArray[np.floating]
UInt8Array = npt.NDArray[np.uint8]
_HEADER = """ply
format binary_little_endian 1.0
comment facegeom {what}: millimetres, x right, y up, z towards the camera at the origin
element vertex {vertices}
property float x
property float y
property float z
"""
_MESH = """property float confidence
element face {triangles}
property list uchar int vertex_indices
end_header
"""
_CLOUD = """property uchar red
property uchar green
property uchar blue
end_header
"""
_GREY = 160


def encode(mesh_mm: FloatArray, confidence: FloatArray) -> bytes:
    """Encode a mesh (478, 3), camera frame, with confidences (478,); triangles count from 0."""
    vertices = np.column_stack([to_viewer_frame(mesh_mm), confidence]).astype("<f4")
    triangles = topology.triangles()
    rows = np.empty(len(triangles), np.dtype([("count", "u1"), ("indices", "<i4", 3)]))
    rows["count"], rows["indices"] = 3, triangles
    header = (_HEADER + _MESH).format(what="mesh", vertices=len(vertices), triangles=len(triangles))
    return header.encode("ascii") + vertices.tobytes() + rows.tobytes()


def encode_cloud(surface: Surface, image: UInt8Array | None = None) -> bytes:
    """Encode a surface's points, each with the colour of the photo's pixel; grey where there is none."""
    rows = np.empty(len(surface.points_mm), np.dtype([("place", "<f4", 3), ("colour", "u1", 3)]))
    rows["place"], rows["colour"] = to_viewer_frame(surface.points_mm), _GREY
    if image is not None:
        column, row = np.rint(surface.pixels_xy).astype(int).T
        inside = (column >= 0) & (row >= 0) & (column < image.shape[1]) & (row < image.shape[0])
        rows["colour"][inside] = image[row[inside], column[inside]]
    header = (_HEADER + _CLOUD).format(what="depth", vertices=len(rows))
    return header.encode("ascii") + rows.tobytes()

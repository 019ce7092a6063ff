"""The mesh as binary PLY: millimetres, y up, z towards the camera, with the confidence of each vertex."""

import numpy as np

from facegeom.export.frame import vertices_y_up_mm
from facegeom.geometry import topology
from facegeom.results import Face

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
    vertices = np.column_stack([vertices_y_up_mm(face), face.mesh_confidence]).astype("<f4")
    triangles = topology.triangles()
    rows = np.empty(len(triangles), np.dtype([("count", "u1"), ("indices", "<i4", 3)]))
    rows["count"], rows["indices"] = 3, triangles
    header = _HEADER.format(vertices=len(vertices), triangles=len(triangles))
    return header.encode("ascii") + vertices.tobytes() + rows.tobytes()

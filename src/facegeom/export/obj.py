"""The mesh as Wavefront OBJ: text, millimetres, y up, z towards the camera."""

import numpy as np
import numpy.typing as npt

from facegeom.geometry import topology
from facegeom.geometry.camera import to_viewer_frame

_HEADER = "# facegeom mesh: 478 points, millimetres, x right, y up, z towards the camera at the origin"


def encode(mesh_mm: npt.NDArray[np.floating]) -> bytes:
    """Encode a mesh (478, 3) in the camera frame: all vertices in their order, triangles counted from 1."""
    vertices = [f"v {x:.4f} {y:.4f} {z:.4f}" for x, y, z in to_viewer_frame(mesh_mm).tolist()]
    triangles = [f"f {a} {b} {c}" for a, b, c in (topology.triangles() + 1).tolist()]
    return "\n".join([_HEADER, *vertices, *triangles, ""]).encode("ascii")

"""The mesh as Wavefront OBJ: text, millimetres, y up, z towards the camera."""

from facegeom.geometry import topology
from facegeom.geometry.camera import to_viewer_frame
from facegeom.results import Face

_HEADER = "# facegeom mesh: 478 points, millimetres, x right, y up, z towards the camera at the origin"


def encode(face: Face) -> bytes:
    """All 478 vertices in their order, then the triangles, counted from 1."""
    vertices = [f"v {x:.4f} {y:.4f} {z:.4f}" for x, y, z in to_viewer_frame(face.mesh_mm).tolist()]
    triangles = [f"f {a} {b} {c}" for a, b, c in (topology.triangles() + 1).tolist()]
    return "\n".join([_HEADER, *vertices, *triangles, ""]).encode("ascii")

"""The frame of mesh files, as viewers expect it: x right, y up, z towards the camera at the origin."""

import numpy as np
import numpy.typing as npt

from facegeom.results import Face

_Y_UP = np.array([1, -1, -1], np.float32)  # half a turn about x, so triangles keep their winding


def vertices_y_up_mm(face: Face) -> npt.NDArray[np.float32]:
    """The mesh (478, 3) in millimetres, y up, z towards the camera."""
    return y_up_mm(face.mesh_mm)


def y_up_mm(points_mm: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Points (..., 3) of the camera frame with y up and z towards the camera."""
    return np.asarray(points_mm * _Y_UP, np.float32)

"""Results of photos: frozen arrays with one row for each face, and how they are saved."""

from facegeom.results.base import FACE_SHAPES, MOTION_SHAPES
from facegeom.results.faces import Face, Faces
from facegeom.results.poses import Pose, Poses

__all__ = ["FACE_SHAPES", "MOTION_SHAPES", "Face", "Faces", "Pose", "Poses"]

"""Results of photos: frozen arrays with one row for each face, and how they are saved."""

from facegeom.results.faces import SHAPES, Face, Faces
from facegeom.results.poses import Pose, Poses

__all__ = ["SHAPES", "Face", "Faces", "Pose", "Poses"]

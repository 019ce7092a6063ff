"""Results to files: JSON, overlay picture, and the mesh as OBJ, PLY or GLB."""

from facegeom.results.saving import FORMATS, save

__all__ = ["FORMATS", "save"]

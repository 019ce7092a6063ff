"""Depth of faces in millimetres: from the mesh, or by the two networks; as a picture, a cloud, a surface."""

DEFAULT = "mesh"
"""Where depth comes from unless one says: "mesh" or "network"."""

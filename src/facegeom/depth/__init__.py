"""Depth of faces in millimetres: from the mesh, or by two networks; depth maps, surfaces, point clouds."""

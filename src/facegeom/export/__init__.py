"""Files: JSON, OBJ, PLY, GLB, depth PNG, images. Arrays in, bytes out."""

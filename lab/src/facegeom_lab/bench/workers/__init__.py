"""Scripts that run in a peer's own interpreter; they import nothing of facegeom."""

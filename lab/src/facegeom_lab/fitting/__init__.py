"""Fits: head model and depth to labelled meshes, head pose to points, the canonical head."""

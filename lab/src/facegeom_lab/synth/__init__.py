"""Rendered heads with known rotation, points and depth, and faces of photos turned to large yaws."""

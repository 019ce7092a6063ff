"""Rendered heads with known rotation and points."""

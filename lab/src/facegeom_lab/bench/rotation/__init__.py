"""Accuracy and time of head rotations, on rendered heads and on labelled photos."""

"""Accuracy of detection, landmarks, mesh, confidence and rotation, with default settings."""

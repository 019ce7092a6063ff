"""Trainings, one module each."""

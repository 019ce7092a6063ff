"""Trainings: recipes, losses, one task for each network."""

"""Samples for the training of each network."""

"""Geometry in plain numpy, used by the runtime and by the laboratory alike."""

"""Benchmarks of accuracy, speed and robustness beside other packages, run by ``facegeom bench``."""

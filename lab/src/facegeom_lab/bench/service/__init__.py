"""Throughput, latency and memory of ``facegeom serve``."""

"""Throughput of ``facegeom batch``, and its output after killed processes."""

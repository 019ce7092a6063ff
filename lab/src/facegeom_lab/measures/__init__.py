"""Metrics, times and tables shared by benchmarks, evaluations and studies."""

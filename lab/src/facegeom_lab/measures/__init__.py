"""Measures, times and tables that benchmarks, evaluations and studies share."""

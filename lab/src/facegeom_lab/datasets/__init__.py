"""Data sets: records, adapters of published sets, training samples."""

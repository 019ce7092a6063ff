"""Data sets: records, adapters of published sets, samples for training."""

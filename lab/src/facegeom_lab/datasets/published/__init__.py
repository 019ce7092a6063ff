"""Adapters: one module for each published data set, and for the data pack."""

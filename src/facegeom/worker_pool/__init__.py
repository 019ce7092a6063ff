"""Processes that work for this one: ``process`` is its end of them, ``child`` is theirs."""

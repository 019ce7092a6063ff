"""Packages that need an interpreter of their own: environments, worker processes, and their protocol."""

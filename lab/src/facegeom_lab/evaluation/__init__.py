"""Measures of predicted points, cost of networks, and the files of a finished run."""

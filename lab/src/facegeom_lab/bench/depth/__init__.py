"""Accuracy and time of depth maps, against rendered and fitted ground truth."""

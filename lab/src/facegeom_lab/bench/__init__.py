"""Accuracy and speed of facegeom beside its peers: what ``facegeom bench`` runs. Needs the data pack."""

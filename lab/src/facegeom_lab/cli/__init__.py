"""Commands of the laboratory, added to ``facegeom`` by entry points."""

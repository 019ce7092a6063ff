"""Commands of the laboratory, which join ``facegeom`` through entry points."""

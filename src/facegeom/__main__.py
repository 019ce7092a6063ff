"""``python -m facegeom`` is the command ``facegeom``."""

from facegeom.cli import main

main()

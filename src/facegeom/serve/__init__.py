"""``facegeom serve``: the analyzer behind HTTP, and a page for people. Needs the extra [serve]."""

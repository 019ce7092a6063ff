"""Scripts that run under an interpreter of their own, one a package; they import nothing of facegeom.

Each defines ``MODELS``, a builder by model name that takes the model's options and returns two functions:
``run(image)``, the call that is timed, and ``read(output, width, height)``, which turns what it returned
into a reply. ``VERSIONS`` holds package versions; ``ABOUT``, which is optional, more facts about the package.
"""

"""Errors of facegeom; each message says what was expected, what came, and what to do."""


class FacegeomError(Exception):
    """Base of every error that facegeom raises."""


class ImageError(FacegeomError):
    """An image cannot be read or used."""


class InputError(FacegeomError, ValueError):
    """An argument is wrong."""


class WeightsError(FacegeomError):
    """A weight file is missing, damaged or unknown."""


class OutputError(FacegeomError):
    """A result cannot be written."""

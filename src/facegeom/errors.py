"""Errors of facegeom. Each message says what was expected, what came, and what to do about it."""


class FacegeomError(Exception):
    """Base of every error that facegeom raises on purpose."""


class ImageError(FacegeomError):
    """A picture cannot be read or used."""


class InputError(FacegeomError, ValueError):
    """An argument is wrong."""


class WeightsError(FacegeomError):
    """A weight file is missing, damaged or unknown."""


class OutputError(FacegeomError):
    """A result cannot be written."""

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


def shown(value: object, most: int = 120) -> str:
    """Return any argument for a message: its ``repr``, cut after so many characters."""
    try:
        text = repr(value)
    except Exception:  # of a whole number of thousands of digits, of a foreign class
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= most else f"{text[: most - 2]} …"

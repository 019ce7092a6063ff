"""The command ``facegeom``. Heavy imports live inside the commands, so that ``--help`` is quick."""

import os
import sys
from contextlib import suppress


def main() -> None:
    """Entry point of the console script."""
    _open_standard_streams()
    try:
        from facegeom.cli.root import app

        app()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _open_standard_streams() -> None:
    """Open those that are closed, whose numbers pipes would get, and print any name of a file."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            stream = open(os.devnull, "w" if number else "r")  # noqa: SIM115 - it gets the lowest number
            os.set_inheritable(number, True)
            setattr(sys, name, stream)
    with suppress(AttributeError):  # replaced by something else
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]

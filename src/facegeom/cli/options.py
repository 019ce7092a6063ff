"""Options that several commands share, and stand-ins for commands that are not installed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer

from facegeom.errors import InputError

CONTEXT_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"]}
"""Settings of every Typer application: ``-h`` beside ``--help``."""

Out: TypeAlias = Annotated[
    Path, typer.Option("--out", "-o", metavar="OUT", help="Folder for the results; made if needed.")
]
MinFace: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=1, metavar="PX", help="Smallest face height in pixels; by default a fraction of the image size."
    ),
]
MaxFaces: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="Keep at most this many faces, the best ones.")
]
MinScore: TypeAlias = Annotated[
    float | None, typer.Option(min=0, max=1, help="Lowest score of a face, from 0 to 1.")
]
Device: TypeAlias = Annotated[
    Literal["cpu", "cuda"], typer.Option(help="Where the networks run; cuda needs onnxruntime-gpu.")
]
Threads: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="Threads of the networks; by default all cores.")
]
Fov: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=1,
        max=179,
        metavar="DEG",
        help="Angle of view across the longer side, for distances; by default the photo's EXIF, else 50.",
    ),
]


def without_none(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given: those that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def add_stand_in(app: typer.Typer, name: str, purpose: str, needs: str) -> None:
    """Add a command that only says what to install, both in its help and when it is run.

    Args:
        app: application that gets the command.
        name: name of the command.
        purpose: one sentence that says what the command would do.
        needs: what is missing and how to install it.
    """
    advice = f"needs {needs}"

    @app.command(
        name,
        help=f"{purpose} This {advice}".replace("[", r"\["),  # rich reads plain brackets as a style
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def refuse() -> None:
        raise InputError(f"facegeom {name} {advice}")

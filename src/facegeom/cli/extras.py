"""Stand-ins for commands whose packages are not installed."""

import typer

from facegeom.errors import InputError


def add_stand_in(app: typer.Typer, name: str, purpose: str, needs: str) -> None:
    """Add a command that answers ``--help`` and any arguments by saying what to install.

    Args:
        app: the application that gets the command.
        name: of the command.
        purpose: what the command would do, a sentence.
        needs: what is missing and how to install it.
    """
    advice = f"needs {needs}"

    @app.command(
        name,
        help=f"{purpose} This {advice}".replace("[", r"\["),  # else rich takes the brackets for a style
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def refuse() -> None:
        raise InputError(f"facegeom {name} {advice}")

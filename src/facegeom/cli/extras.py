"""Stand-ins for groups of commands whose packages are not installed."""

import typer

from facegeom.errors import InputError


def add_stand_in(app: typer.Typer, extra: str, purpose: str, missing: list[str]) -> None:
    """Add a command that answers ``--help`` and any arguments by saying how to install an extra.

    Args:
        app: gets the command.
        extra: name of the extra and of the command.
        purpose: what the command would do, a sentence.
        missing: packages that were not found.
    """
    advice = f"needs the extra [{extra}]: pip install 'facegeom[{extra}]' (not found: {', '.join(missing)})"

    @app.command(
        extra,
        help=f"{purpose} This {advice}".replace("[", r"\["),  # else rich takes the brackets for a style
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def refuse() -> None:
        raise InputError(f"facegeom {extra} {advice}")

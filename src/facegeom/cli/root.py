"""The root command ``facegeom``: its options, its commands, and how errors end a run."""

import os
from importlib import import_module
from importlib.metadata import entry_points, version
from importlib.util import find_spec
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from facegeom.cli import analyze, detect, export, weights
from facegeom.cli.options import CONTEXT_SETTINGS, add_stand_in
from facegeom.cli.photos import one_line
from facegeom.errors import FacegeomError, InputError, OutputError

_ENTRY_POINTS = "facegeom.commands"
_LAB_COMMANDS = {
    "bench": "Measure accuracy and speed beside other libraries.",
    "lab": "Train, label, evaluate and export the networks.",
}
"""Command groups of facegeom-lab, and what each is for."""

_EXTRAS = {
    "video": ("Track the faces of a video or of a camera.", ("av", "pyarrow")),
    "live": ("Send the faces of a camera or of a video to other programs.", ("av", "pythonosc")),
    "serve": (
        "Serve the analyzer over HTTP, with a page for people.",
        ("fastapi", "prometheus_client", "python_multipart", "uvicorn"),
    ),
    "batch": ("Analyze large sets of photos into Parquet files.", ("pyarrow", "fsspec")),
}
"""Commands that need an extra of the same name: purpose, and packages other than Ray."""


class _Commands(TyperGroup):
    """Print an error as one line and turn it into the exit code.

    The code is 2 if the arguments or the place of the output are wrong, 130 after Ctrl-C, else 1. With the
    environment variable FACEGEOM_TRACEBACK an unexpected error shows its traceback.
    """

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            typer.secho("stopped by Ctrl-C", fg="red", err=True)
            raise typer.Exit(130) from error
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except Exception as error:
            expected = isinstance(error, (FacegeomError, MemoryError))
            if hasattr(error, "show") or (not expected and os.environ.get("FACEGEOM_TRACEBACK")):
                raise  # Typer shows its own errors
            typer.secho(f"error: {one_line(error)}", fg="red", err=True)
            raise typer.Exit(2 if isinstance(error, (InputError, OutputError)) else 1) from error


app = typer.Typer(
    cls=_Commands,
    help="Geometry of human faces from photos: box, 68 points, 3D mesh, head pose.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=CONTEXT_SETTINGS,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"facegeom {version('facegeom')}")
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    pass


def add_lab_commands(app: typer.Typer) -> None:
    """Add the command groups of facegeom-lab, or stand-ins that say how to install it."""
    installed = {entry.name: entry for entry in entry_points(group=_ENTRY_POINTS)}
    for name, purpose in _LAB_COMMANDS.items():
        if name in installed:
            app.add_typer(installed[name].load(), name=name)
        else:
            add_stand_in(app, name, purpose, "facegeom-lab: pip install ./lab in a checkout of facegeom")


app.command()(analyze.analyze)
app.command()(detect.detect)
app.command()(weights.weights)
app.add_typer(export.app, name="export")
for _name, (_purpose, _packages) in _EXTRAS.items():
    if _missing := [package for package in _packages if find_spec(package) is None]:
        _extra = f"the extra [{_name}]: pip install 'facegeom[{_name}]' (not found: {', '.join(_missing)})"
        add_stand_in(app, _name, _purpose, _extra)
        continue
    _command = getattr(import_module(f"facegeom.cli.{_name}"), _name)
    if isinstance(_command, typer.Typer):
        app.add_typer(_command, name=_name)
    else:
        app.command()(_command)
add_lab_commands(app)

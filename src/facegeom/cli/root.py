"""The root of the commands: its options, its groups, and how errors end a run."""

from importlib import import_module
from importlib.metadata import entry_points, version
from importlib.util import find_spec
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from facegeom.cli import analyze, detect
from facegeom.cli.extras import add_stand_in
from facegeom.errors import FacegeomError, InputError, OutputError

_GROUP = "facegeom.commands"
_LABORATORY = {
    "bench": "Measure accuracy and speed beside other libraries.",
    "lab": "Train, label, evaluate and export the networks.",
}
_OPTIONAL = {
    "video": ("Follow the faces of a video or of a camera.", ("av", "pyarrow")),
    "serve": (
        "Serve the analyzer over HTTP, with a page for people.",
        ("fastapi", "prometheus_client", "python_multipart", "uvicorn"),
    ),
    "batch": (
        "Analyse photos by the million into Parquet files.",
        ("pyarrow", "fsspec"),
    ),  # Ray: when asked for
}
"""Commands with an extra of their own: purpose and packages."""


class _Commands(TyperGroup):
    """Shows an error of facegeom as one line and turns it into the exit code.

    2 where the arguments are to blame, or the place for the output; else 1.
    """

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except FacegeomError as error:
            typer.secho(f"error: {error}", fg="red", err=True)
            raise typer.Exit(2 if isinstance(error, (InputError, OutputError)) else 1) from error


app = typer.Typer(
    cls=_Commands,
    help="Geometry of human faces from photos: box, 68 points, 3D mesh, head pose.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"facegeom {version('facegeom')}")
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave."),
    ] = False,
) -> None:
    pass


def _add_laboratory() -> None:
    """Add the groups of commands that facegeom-lab brings, or what says how to install it."""
    found = {entry.name: entry for entry in entry_points(group=_GROUP)}
    for name, purpose in _LABORATORY.items():
        if name in found:
            app.add_typer(found[name].load(), name=name)
        else:
            add_stand_in(app, name, purpose, "facegeom-lab: pip install ./lab in a checkout of facegeom")


def _add_optional(name: str, purpose: str, packages: tuple[str, ...]) -> None:
    """Add the command ``facegeom.cli.NAME``, or what says that its extra is not installed."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        extra = f"the extra [{name}]: pip install 'facegeom[{name}]' (not found: {', '.join(missing)})"
        add_stand_in(app, name, purpose, extra)
    else:
        app.command()(getattr(import_module(f"facegeom.cli.{name}"), name))


app.command()(analyze.analyze)
app.command(context_settings={"help_option_names": ["-h", "--help"]})(detect.detect)
for _name, (_purpose, _packages) in _OPTIONAL.items():
    _add_optional(_name, _purpose, _packages)
_add_laboratory()

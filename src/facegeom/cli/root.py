"""The root of the commands: its options, its groups, and how errors end a run."""

from importlib.metadata import version
from importlib.util import find_spec
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from facegeom.cli import analyze, bench, detect
from facegeom.cli.extras import add_stand_in
from facegeom.errors import FacegeomError, InputError, OutputError

_LAB_NEEDS = ("torch", "lightning", "onnx", "cv2", "scipy", "numba", "yaml", "tqdm")
_BATCH_NEEDS = ("pyarrow", "fsspec")  # and ray, where it is asked for
_SERVE_NEEDS = ("fastapi", "prometheus_client", "python_multipart", "uvicorn")
_VIDEO_NEEDS = ("av", "pyarrow")


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


def _add_lab() -> None:
    missing = [name for name in _LAB_NEEDS if find_spec(name) is None]
    if missing:
        add_stand_in(app, "lab", "Train, label, evaluate and export the networks.", missing)
        return
    from facegeom.cli import lab

    app.add_typer(lab.app, name="lab")


def _add_serve() -> None:
    missing = [name for name in _SERVE_NEEDS if find_spec(name) is None]
    if missing:
        add_stand_in(app, "serve", "Serve the analyzer over HTTP, with a page for people.", missing)
        return
    from facegeom.cli import serve

    app.command()(serve.serve)


def _add_batch() -> None:
    missing = [name for name in _BATCH_NEEDS if find_spec(name) is None]
    if missing:
        add_stand_in(app, "batch", "Analyse photos by the million into Parquet files.", missing)
        return
    from facegeom.cli import batch

    app.command()(batch.batch)


def _add_video() -> None:
    missing = [name for name in _VIDEO_NEEDS if find_spec(name) is None]
    if missing:
        add_stand_in(app, "video", "Follow the faces of a video or of a camera.", missing)
        return
    from facegeom.cli import video

    app.command()(video.video)


app.command()(analyze.analyze)
app.command(context_settings={"help_option_names": ["-h", "--help"]})(detect.detect)
app.add_typer(bench.app, name="bench")
_add_lab()
_add_video()
_add_serve()
_add_batch()

"""``facegeom lab fit``, ``report-depth``, ``depth-sheet``: what depth is made from and shown by."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Data = Annotated[Path, typer.Option(help="Folder of the data pack (docs/data.md).", show_default=False)]
Labels = Annotated[Path, typer.Option(help="Mesh labels: the file of `facegeom lab label`.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to ``facegeom lab``."""
    app.command()(fit)
    app.command("report-depth")(report)
    app.command("depth-sheet")(sheet)


def fit(
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the shards.", show_default=False)],
    labels: Labels = Path("runs/labels.npz"),
    split: Annotated[Literal["train", "val", "test"], typer.Option(help="Its faces.")] = "train",
    every: Annotated[int, typer.Option(min=1, help="Take every so many faces.")] = 1,
) -> None:
    """Fit the head model to labelled faces: identity, expression, pose and depth of real photos; resumes.

    Example: facegeom lab fit --data data --labels runs/labels.npz -o runs/depth/fit
    """
    from facegeom_lab.fitting.run import run

    counts = run(data, labels, split, out, every)
    typer.echo(f"{counts['faces']} faces fitted, {counts['kept']} kept under {out}")


def report(
    first: Annotated[Path, typer.Argument(help="Run of depth1.", show_default=False)],
    second: Annotated[Path, typer.Argument(help="Run of depth2.", show_default=False)],
    rendered: Annotated[
        Path, typer.Option(help="Folder with val/: shards of `lab synth --depth`, `lab fit`.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the page and its figures.")] = Path(
        "runs/report-depth"
    ),
    count: Annotated[int, typer.Option(min=8, help="Crops to look at.")] = 400,
) -> None:
    """Draw the figures of the two depth networks: errors, curves, best and worst, filters, models.

    Example: facegeom lab report-depth runs/depth1 runs/depth2 --rendered runs/depth
    """
    from facegeom_lab.studies.depth.report import report as write

    typer.echo(f"wrote {write(first, second, rendered, out, count)}")


def sheet(
    sources: Annotated[list[Path], typer.Argument(metavar="PHOTO|DIR", show_default=False, help="Photos.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Picture to write (png).")] = Path("depth.png"),
    method: Annotated[Literal["mesh", "network"], typer.Option(help="Where depth comes from.")] = "mesh",
    count: Annotated[int, typer.Option(min=1, help="Faces.")] = 20,
) -> None:
    """Draw a contact sheet of depth on photos: photo, depth, lit surface, turned surface.

    Example: facegeom lab depth-sheet album --count 20 -o depth.png
    """
    from facegeom.analyzer import FaceAnalyzer
    from facegeom.cli.photos import collect_photos
    from facegeom.image.reading import ENDINGS
    from facegeom_lab.studies.depth.sheet import sheet as draw

    photos = [photo.path for photo in collect_photos(sources, ENDINGS)]
    typer.echo(f"{draw(photos, FaceAnalyzer(depth=method), out, count)} faces in {out}")

"""``facegeom lab fit``: what the depth networks are made from and shown by."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Data = Annotated[Path, typer.Option(help="Folder of the data pack (docs/data.md).", show_default=False)]
Labels = Annotated[Path, typer.Option(help="Mesh labels: the file of `facegeom lab label`.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to ``facegeom lab``."""
    app.command()(fit)


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
    from facegeom.lab.fitting.run import run

    counts = run(data, labels, split, out, every)
    typer.echo(f"{counts['faces']} faces fitted, {counts['kept']} kept under {out}")

"""Options that several commands of the laboratory share."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Data: TypeAlias = Annotated[
    Path, typer.Option("--data", help="Folder of the data pack (docs/data.md).", show_default=False)
]
Labels: TypeAlias = Annotated[Path, typer.Option(help="Mesh labels: the file of `facegeom lab label`.")]
Rendered: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Rendered heads: folder of `facegeom lab synth` and `facegeom lab profile`."),
]
Dataset: TypeAlias = Annotated[str, typer.Option(help="Name of the data set at --data.")]
Workers: TypeAlias = Annotated[int, typer.Option(min=0, help="Processes that prepare samples.")]
Seed: TypeAlias = Annotated[int, typer.Option(min=0, help="Seed of the random numbers.")]
Preview: TypeAlias = Annotated[Path | None, typer.Option(help="Write a contact sheet to this file.")]
Shards: TypeAlias = Annotated[
    Path, typer.Option("--out", "-o", help="Folder of the shards.", show_default=False)
]
LABELS = Path("runs/labels.npz")

"""Options that several commands share."""

from typing import Annotated, Literal, TypeAlias

import typer

Device: TypeAlias = Annotated[Literal["cpu", "cuda"], typer.Option(help="Where the networks run.")]
Fov: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=1,
        max=179,
        metavar="DEG",
        help="Angle of view across the longer side, for distances; by default the photo's EXIF, else 50.",
    ),
]
MaxFaces: TypeAlias = Annotated[int | None, typer.Option(min=1, help="Keep the best faces only.")]
MinFace: TypeAlias = Annotated[
    float | None,
    typer.Option(min=1, metavar="PX", help="Smallest face, pixels of the photo; by default a share of it."),
]
MinScore: TypeAlias = Annotated[
    float | None, typer.Option(min=0, max=1, help="Least score of a face, 0 to 1.")
]
Threads: TypeAlias = Annotated[int | None, typer.Option(min=1, help="Threads of the networks.")]

"""``facegeom lab pose-study`` and ``pose-report``: what FPNet's method is worth, and the page about it."""

from pathlib import Path
from typing import Annotated

import typer

STUDY = Path("runs/pose-study")


def pose_study(
    data: Annotated[
        Path, typer.Option(help="Folder with the sets train and val of build-pose-set.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the runs.")] = STUDY,
    teacher: Annotated[str, typer.Option(help="Whose vectors are learned: of those in the sets.")] = "face",
    epochs: Annotated[int, typer.Option(min=1, help="Of each of the four runs.")] = 12,
    heads: Annotated[
        Path | None, typer.Option(help="Rendered heads of `facegeom lab synth --split test`, to measure on.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="With --heads: the checkpoint of 6drepnet that answered the sets.")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Runs at once, one thread each.")] = 2,
) -> None:
    """Train FPNet with and without mining, on vectors and on angles; measure it beside its teacher; resumes.

    Example: facegeom lab pose-study --data runs/poses --heads runs/heads-test
    """
    from facegeom_lab.studies.head_pose import Plan, study

    typer.echo(f"wrote {study(Plan(data, out, teacher, epochs, heads, model), processes)}")


def pose_report(
    study: Annotated[Path, typer.Argument(help="Folder of `facegeom lab pose-study`.")] = STUDY,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the page and its figures.")] = Path(
        "runs/report"
    ),
) -> None:
    """Turn the study of FPNet into a page with tables and figures.

    Example: facegeom lab pose-report runs/pose-study -o docs
    """
    from facegeom_lab.studies.reports.pose_study import report

    typer.echo(f"wrote {report(study, out)}")

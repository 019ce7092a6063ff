"""Commands of ``facegeom lab`` that run the studies and write their reports."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from facegeom_lab.cli.options import LABELS, Data, Labels, Rendered

Samples = Annotated[int, typer.Option(min=32, help="Training images of each method.")]
Precision = Annotated[
    str, typer.Option(help="Training precision: bf16-mixed, if the processor has it, 32-true, 16-mixed.")
]
SAMPLES, BF16 = 16000, "bf16-mixed"
STUDY = Path("runs/pose-study")


def reproduce(
    data: Data,
    labels: Labels = LABELS,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the runs.")] = Path("runs/reproduction"),
    only: Annotated[
        list[str] | None, typer.Option(help="Pattern of run names, such as vgg*; repeatable.")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Runs in parallel, one thread each.")] = 2,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what is left and how many hours; run nothing.")
    ] = False,
    kept: Annotated[
        Path | None,
        typer.Option(help="Folder for the figures of finished rows; what it holds is not run again."),
    ] = None,
) -> None:
    """Reproduce the published experiments on the data pack: says how many hours it takes, then runs; resumes.

    `facegeom lab report` makes the pages of what is finished.

    Example: facegeom lab reproduce --data data --only "landmarks106-mobilenetv3-*"

    Example: facegeom lab reproduce --data data --plan
    """
    from facegeom_lab.studies.reproduction import reproduce as rerun

    done = rerun(data, labels, out, only or [], processes, typer.echo, plan, kept)
    typer.echo("done: " + (", ".join(done) or "none"))


def report_reproduction(
    runs: Annotated[
        list[Path], typer.Argument(help="Run folders, or folders of run folders.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the report and its figures.")] = Path(
        "runs/report"
    ),
    about: Annotated[
        Path | None, typer.Option(help="Markdown to insert: how the runs differ from the published ones.")
    ] = None,
) -> None:
    """Write the published tables and figures with the results of finished runs: Markdown, PNG and SVG.

    In the folder of `facegeom lab reproduce` also the pages of pretraining, head directions and compression.

    Example: facegeom lab report runs/reproduction -o runs/report
    """
    from facegeom_lab.studies.reports.reproduction import report_all as write

    for file in write(runs, out, about):
        typer.echo(f"wrote {file}")


def compress(
    method: Annotated[str, typer.Argument(help="Method: vgg-s, cp, deep-compression, and so on.")],
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run.", show_default=False)],
    checkpoint: Annotated[
        Path | None,
        typer.Argument(help="network.fgnet of a run, for methods that start from a trained network."),
    ] = None,
    labels: Labels = LABELS,
    rendered: Rendered = None,
    samples: Samples = SAMPLES,
    precision: Precision = BF16,
) -> None:
    """Compress a network for head directions with one method: transform, train, store, measure; resumes.

    Example: facegeom lab compress vgg-s --data data --rendered runs/synth -o runs/compress/vgg-s

    Example: facegeom lab compress deep-compression runs/compress/vgg-s/network.fgnet --data data -o small
    """
    import json

    from facegeom_lab.datasets.training.directions import build
    from facegeom_lab.studies.compression.run import compress as run
    from facegeom_lab.studies.compression.study import PACKED

    packed = build(data, labels, rendered, out.parent / PACKED)
    typer.echo(json.dumps(run(method, checkpoint, packed, out, _budget(samples, precision)), indent=2))


def compress_study(
    data: Data,
    labels: Labels = LABELS,
    rendered: Rendered = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the runs.")] = Path("runs/compress"),
    only: Annotated[
        list[str] | None, typer.Option(help="Pattern of row names, such as vgg*; repeatable.")
    ] = None,
    samples: Samples = SAMPLES,
    precision: Precision = BF16,
) -> None:
    """Compare all methods on eight classes of head direction with equal budgets; resumes.

    Example: facegeom lab compress-study --data data --rendered runs/synth -o runs/compress
    """
    from facegeom_lab.studies.compression.study import study as run

    names = run(data, labels, rendered, out, only or [], _budget(samples, precision))
    typer.echo("done: " + ", ".join(names))


def report_compression(
    runs: Annotated[Path, typer.Argument(help="Folder of `facegeom lab compress-study`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the report and its figures.")] = Path(
        "runs/report"
    ),
) -> None:
    """Write the tables and figures of a finished study beside the published ones: Markdown, PNG and SVG.

    Example: facegeom lab report-compression runs/compress -o docs
    """
    from facegeom_lab.studies.compression.report import report as write

    typer.echo(f"wrote {write(runs, out)}")


def _budget(samples: int, precision: str) -> Any:
    """Return the training budget of a compression method."""
    from facegeom_lab.studies.compression.training import Budget

    return Budget(samples=samples, precision=precision)


def pose_study(
    data: Annotated[
        Path, typer.Option(help="Folder with the sets train and val of build-pose-set.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the runs.")] = STUDY,
    teacher: Annotated[
        str, typer.Option(help="Teacher whose vectors are learned, one of those in the sets.")
    ] = "face",
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of each of the four runs.")] = 12,
    heads: Annotated[
        Path | None, typer.Option(help="Rendered heads of `facegeom lab synth --split test`, to evaluate on.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="With --heads: checkpoint of the 6drepnet that labelled the sets.")
    ] = None,
    row: Annotated[
        list[Path] | None, typer.Option(help="Folder of a finished FPNet run to measure, too; repeatable.")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Runs in parallel, one thread each.")] = 2,
) -> None:
    """Train FPNet with and without hard mining, on vectors and on angles; compare with its teacher; resumes.

    Example: facegeom lab pose-study --data runs/poses --heads runs/heads-test
    """
    from facegeom_lab.studies.head_pose.study import Plan, study

    plan = Plan(data, out, teacher, epochs, heads, model, tuple(row or ()))
    typer.echo(f"wrote {study(plan, processes)}")


def report_pose(
    study: Annotated[Path, typer.Argument(help="Folder of `facegeom lab pose-study`.")] = STUDY,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the report and its figures.")] = Path(
        "runs/report"
    ),
) -> None:
    """Write the report of the FPNet study: tables and figures.

    Example: facegeom lab pose-report runs/pose-study -o docs
    """
    from facegeom_lab.studies.head_pose.report import report

    typer.echo(f"wrote {report(study, out)}")


def report_depth(
    first: Annotated[Path, typer.Argument(help="Run folder of depth1.", show_default=False)],
    second: Annotated[Path, typer.Argument(help="Run folder of depth2.", show_default=False)],
    rendered: Annotated[
        Path,
        typer.Option(help="Folder with val/: shards of `facegeom lab synth --depth` and `facegeom lab fit`."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the report and its figures.")] = Path(
        "runs/report-depth"
    ),
    count: Annotated[int, typer.Option(min=8, help="Crops to evaluate.")] = 400,
) -> None:
    """Draw the figures of the two depth networks: errors, curves, best and worst crops, filters, models.

    Example: facegeom lab report-depth runs/depth1 runs/depth2 --rendered runs/depth
    """
    from facegeom_lab.studies.depth.report import report as write

    typer.echo(f"wrote {write(first, second, rendered, out, count)}")


def depth_sheet(
    sources: Annotated[list[Path], typer.Argument(metavar="PHOTO|DIR", show_default=False, help="Photos.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Contact sheet to write (png).")] = Path(
        "depth.png"
    ),
    method: Annotated[Literal["mesh", "network"], typer.Option(help="Source of the depth.")] = "mesh",
    count: Annotated[int, typer.Option(min=1, help="Most faces to draw.")] = 20,
) -> None:
    """Draw a contact sheet of depth: photo, depth map, lit surface, rotated surface.

    Example: facegeom lab depth-sheet album --count 20 -o depth.png
    """
    from facegeom.analyzer import FaceAnalyzer
    from facegeom.cli.photos import collect_photos
    from facegeom_lab.studies.depth.sheet import sheet as draw

    photos = [photo.path for photo in collect_photos(sources).photos]
    typer.echo(f"{draw(photos, FaceAnalyzer(depth=method), out, count)} faces in {out}")

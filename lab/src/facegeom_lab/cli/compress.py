"""``facegeom lab compress``, ``compress-study``, ``report-compression`` and ``quantise``."""

from pathlib import Path
from typing import Annotated, Any

import typer

Data = Annotated[Path, typer.Option(help="Folder of the data pack (docs/data.md).", show_default=False)]
Labels = Annotated[Path, typer.Option(help="Mesh labels: the file of `facegeom lab label`.")]
Rendered = Annotated[
    Path | None,
    typer.Option(help="Rendered heads and profiled faces: folder of `facegeom lab synth`, `profile`."),
]
Samples = Annotated[int, typer.Option(min=32, help="Pictures that each method sees in training.")]
Precision = Annotated[
    str, typer.Option(help="Of the training: bf16-mixed where the processor has it, 32-true, 16-mixed.")
]
LABELS, SAMPLES, BF16 = Path("runs/labels.npz"), 16000, "bf16-mixed"


def add_to(app: typer.Typer) -> None:
    """Add the commands to ``facegeom lab``."""
    app.command("compress")(compress)
    app.command("compress-study")(study)
    app.command("report-compression")(report)
    app.command("quantise")(quantise)


def _budget(samples: int, precision: str) -> Any:
    from facegeom_lab.studies.compression.training import Budget

    return Budget(samples=samples, precision=precision)


def compress(
    method: Annotated[str, typer.Argument(help="How: vgg-s, cp, deep-compression, and so on.")],
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
    """Apply one method to a network of head directions: transform, train, store, measure; resumes.

    Examples:

    facegeom lab compress vgg-s --data data --rendered runs/synth -o runs/compress/vgg-s

    facegeom lab compress deep-compression runs/compress/vgg-s/network.fgnet --data data -o runs/small
    """
    import json

    from facegeom_lab.datasets.training.directions import build
    from facegeom_lab.studies.compression.run import compress as run
    from facegeom_lab.studies.compression.study import PACKED

    packed = build(data, labels, rendered, out.parent / PACKED)
    typer.echo(json.dumps(run(method, checkpoint, packed, out, _budget(samples, precision)), indent=2))


def study(
    data: Data,
    labels: Labels = LABELS,
    rendered: Rendered = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the runs.")] = Path("runs/compress"),
    only: Annotated[list[str] | None, typer.Option(help="Pattern of row names; repeatable.")] = None,
    samples: Samples = SAMPLES,
    precision: Precision = BF16,
) -> None:
    """Compare all methods on eight classes of head direction with an equal budget each; resumes.

    Example: facegeom lab compress-study --data data --rendered runs/synth -o runs/compress
    """
    from facegeom_lab.studies.compression.study import study as run

    names = run(data, labels, rendered, out, only or [], _budget(samples, precision))
    typer.echo("done: " + ", ".join(names))


def report(
    runs: Annotated[Path, typer.Argument(help="Folder of `facegeom lab compress-study`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the page and its figures.")] = Path(
        "runs/report"
    ),
) -> None:
    """Turn a finished study into its tables and figures beside the published ones: Markdown, PNG and SVG.

    Example: facegeom lab report-compression runs/compress -o docs
    """
    from facegeom_lab.studies.reports.compression import report as write

    typer.echo(f"wrote {write(runs, out)}")


def quantise(
    network: Annotated[str, typer.Argument(help="Which network: face, onepass, pnet, rnet, fpnet.")],
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the variants and quantise.md.")],
    model: Annotated[Path | None, typer.Option(help="Its ONNX file; the one that ships by default.")] = None,
) -> None:
    """Make the int8, float16 and pruned variants of a network that ships, and measure them beside it.

    Examples:

    facegeom lab quantise face --data data -o runs/face-variants

    facegeom lab quantise fpnet --data data -o runs/fpnet-variants
    """
    from facegeom_lab.quantization.variants import run

    typer.echo(run(network, data, out, model))

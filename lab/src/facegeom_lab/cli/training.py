"""Commands of ``facegeom lab`` that train, measure and export networks."""

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from facegeom_lab.cli.options import LABELS, Data, Dataset, Labels, Rendered, Workers


def train(
    recipe: Annotated[str, typer.Argument(help="Name of the recipe; `facegeom lab recipes` lists them.")],
    data: Data,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder; by default runs/RECIPE.")
    ] = None,
    dataset: Dataset = "pack",
    labels: Labels = LABELS,
    rendered: Rendered = None,
    hard_negatives: Annotated[
        Path | None, typer.Option(help="face: hard negatives, the file of `facegeom lab mine`.")
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(help="Checkpoint or shipped weights to start from; depth2: stage I."),
    ] = None,
    workers: Workers = 2,
    processes: Annotated[int, typer.Option(min=1, help="Training processes or GPUs.")] = 1,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE that replaces one of the recipe, as YAML; repeatable."),
    ] = None,
) -> None:
    """Train the networks of a recipe; resumes. Networks that ship are exported as ONNX, too.

    Example: facegeom lab train face --data data --rendered runs/synth

    Example: facegeom lab train landmarks106-mobilenetv3-wing --dataset lapa --data LaPa --set batch=64
    """
    from facegeom_lab.export import NETWORKS, export
    from facegeom_lab.training.trainers import Inputs
    from facegeom_lab.training.trainers import train as make

    folder = out or Path("runs") / recipe
    inputs = Inputs(data, folder, dataset, labels, rendered, hard_negatives, start, workers, processes)
    for name, checkpoint in make(recipe, inputs, _settings(values or [])).items():
        typer.echo(f"wrote {export(name, checkpoint, folder) if name in NETWORKS else checkpoint}")


def _settings(words: list[str]) -> dict[str, object]:
    """Parse KEY=VALUE words; values are YAML, so that 1, 0.5 and true get their types."""
    pairs = [word.partition("=") for word in words]
    if wrong := [key for key, equals, _ in pairs if not equals]:
        raise typer.BadParameter(f"expected KEY=VALUE, got {wrong[0]!r}", param_hint="--set")
    return {key: _value(value) for key, _, value in pairs}


def _value(word: str) -> object:
    import yaml

    try:
        value = yaml.safe_load(word)
    except yaml.YAMLError as error:
        raise typer.BadParameter(f"expected a YAML value, got {word!r}", param_hint="--set") from error
    if value is None:
        raise typer.BadParameter("expected KEY=VALUE, got no value", param_hint="--set")
    # YAML 1.1 reads 1e-4 as text.
    return float(value) if isinstance(value, str) and re.fullmatch(r"[-+]?\d+e[-+]?\d+", value) else value


def recipes() -> None:
    """List the recipes and their kinds.

    Example: facegeom lab recipes
    """
    from facegeom_lab.training import recipes as book

    for name in book.names():
        typer.echo(f"{name:55} {book.kind(name)}")


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    data: Data,
    dataset: Dataset = "pack",
    labels: Labels = LABELS,
    rendered: Rendered = None,
    start: Annotated[Path | None, typer.Option(help="depth2: checkpoint of stage I.")] = None,
    workers: Workers = 2,
) -> None:
    """Evaluate a run: errors on held-out splits, parameters, multiply-adds, time, as a table and result.json.

    Example: facegeom lab evaluate runs/landmarks106-mobilenetv3-wing --data data
    """
    from facegeom_lab.evaluation.run import RESULT, figures_table
    from facegeom_lab.training.trainers import Inputs
    from facegeom_lab.training.trainers import evaluate as measure

    inputs = Inputs(data, run, dataset, labels, rendered, start=start, workers=workers)
    typer.echo(figures_table(measure(inputs)))
    typer.echo(f"wrote {run / RESULT}")


def evaluate_pose(
    dataset: Annotated[str, typer.Argument(help="Name of the data set (docs/data.md).")],
    root: Annotated[Path, typer.Option(help="Folder of the unpacked data set.", show_default=False)],
    split: Annotated[str | None, typer.Option(help="One of its splits; by default all.")] = None,
    at: Annotated[
        Literal["detected", "labelled"], typer.Option(help="Boxes: of the detector, or of the labels.")
    ] = "detected",
    truth: Annotated[
        Literal["given", "points"],
        typer.Option(help="Ground truth: the given rotations, or heads fitted to the 68 points."),
    ] = "given",
    count: Annotated[
        int | None, typer.Option(min=1, help="Number of faces, spread evenly over the set; by default all.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of pose.md and pose.json.")] = Path(
        "runs/pose"
    ),
) -> None:
    """Evaluate head pose on a data set: errors of yaw, pitch, roll by yaw range; fraction of faces found.

    Example: facegeom lab evaluate-pose aflw2000 --root AFLW2000 -o runs/aflw2000

    Example: facegeom lab evaluate-pose pack --root data --split test --truth points
    """
    from facegeom_lab.evaluation.pose import run

    result = run(dataset, root, split, at, truth, count)
    result.save(out, "pose")
    typer.echo(result.markdown())


def export(
    network: Annotated[
        Literal[
            "depth1",
            "depth2",
            "expression",
            "expression-free",
            "eyes",
            "eyes-free",
            "face",
            "fpnet",
            "mouth",
            "mouth-free",
            "onepass",
            "pnet",
            "rnet",
        ],
        typer.Argument(help="Kind of the network."),
    ],
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of its training.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Output folder; a manifest there gets the new hash.")
    ],
) -> None:
    """Fold the branches of a trained network and write it as ONNX.

    Those that end with -free are networks of the free set that ship as floats.

    Example: facegeom lab export face runs/face/final.ckpt -o src/facegeom/models/weights
    """
    from facegeom_lab.export import export as write

    typer.echo(f"wrote {write(network, checkpoint, out)}")


def quantise(
    network: Annotated[
        str, typer.Argument(help="Network: face, onepass, pnet, rnet, fpnet, face-free, onepass-free.")
    ],
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the variants and quantise.md.")],
    model: Annotated[
        Path | None, typer.Option(help="ONNX file of the network; by default the one that ships.")
    ] = None,
    labels: Labels = LABELS,
    rendered: Rendered = None,
) -> None:
    """Make int8, float16 and pruned variants of a network that ships, and compare them with it.

    Networks of the free set get eight bits alone, calibrated on free photos and rendered heads.

    Example: facegeom lab quantise face --data data -o runs/face-variants

    Example: facegeom lab quantise face-free --data data --labels runs/free --rendered runs/free/heads --model
    runs/free/face.onnx -o runs/free

    Example: facegeom lab quantise fpnet --data data -o runs/fpnet-variants
    """
    if network.endswith("-free"):
        from facegeom_lab.quantization.free import quantise_free

        if model is None or rendered is None:
            raise typer.BadParameter("expected --model and --rendered for a network of the free set")
        typer.echo(f"wrote {quantise_free(network, data, labels, rendered, model, out)}")
        return
    from facegeom_lab.quantization.variants import run

    typer.echo(run(network, data, out, model))


def fuse_free(
    data: Data,
    labels: Labels = LABELS,
    rendered: Rendered = None,
) -> None:
    """Compare offsets of the free set's score fusion on scenes of held-out rendered heads and portraits.

    Example: facegeom lab fuse-free --data data --labels runs/free --rendered runs/free/heads/test
    """
    from facegeom import FaceAnalyzer
    from facegeom_lab.quantization.free import fusion_table

    if rendered is None:
        raise typer.BadParameter("expected a folder of held-out rendered heads", param_hint="--rendered")
    typer.echo(fusion_table(FaceAnalyzer(weights="free"), data, labels, rendered).markdown())

"""``facegeom lab``: from pictures to weights, one command a step."""

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(help="Label, render, train and export the networks.", no_args_is_help=True)

Data = Annotated[Path, typer.Option(help="Folder of the data pack (docs/data.md).", show_default=False)]
Labels = Annotated[Path, typer.Option(help="Mesh labels: the file of `facegeom lab label`.")]
Rendered = Annotated[Path | None, typer.Option(help="Rendered heads: the folder of `facegeom lab synth`.")]
LABELS = Path("runs/labels.npz")


@app.command()
def label(
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write (npz).")] = LABELS,
    teacher: Annotated[Literal["mediapipe"], typer.Option(help="Who labels.")] = "mediapipe",
    python: Annotated[
        Path | None, typer.Option(help="Interpreter with MediaPipe 0.10.21; by default one is made.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes side by side.")] = 2,
) -> None:
    """Label the centred faces with 478-point meshes, twice each, and drop what the teacher doubts.

    Example: facegeom lab label --data data -o runs/labels.npz
    """
    from facegeom.lab.teachers import mediapipe

    interpreter = python or mediapipe.ensure_python(Path.home() / ".cache" / "facegeom" / teacher)
    counts = mediapipe.label(data, out, interpreter, workers)
    typer.echo(", ".join(f"{name}: {count}" for name, count in counts.items()))


@app.command()
def canonical(
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write (npz).")],
    labels: Labels = LABELS,
) -> None:
    """Compute the mesh's triangles, mirror map and canonical head from the labels.

    Example: facegeom lab canonical --data data -o src/facegeom/geometry/mesh478.npz
    """
    from facegeom.lab.canonical import write_topology
    from facegeom.lab.synth.generate import MODEL_FILE
    from facegeom.lab.synth.model import load_model

    model = load_model(data / MODEL_FILE)
    figures = write_topology(labels, model.neutral_mm[model.landmarks], out)
    typer.echo(", ".join(f"{name}: {value:.4g}" for name, value in figures.items()))


@app.command()
def synth(
    data: Data,
    count: Annotated[int, typer.Option(min=1, help="Pictures wanted in all.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the shards.")],
    seed: Annotated[int, typer.Option(min=0, help="Of the set.")] = 0,
    split: Annotated[Literal["train", "test"], typer.Option(help="Other people and backgrounds.")] = "train",
    size: Annotated[int, typer.Option(min=32, help="Side of the pictures, pixels.")] = 224,
    preview: Annotated[Path | None, typer.Option(help="Save a contact sheet here.")] = None,
) -> None:
    """Render heads with known rotation and points; resumes, the same pictures for the same seed.

    Example: facegeom lab synth --data data --count 6000 --size 192 --seed 1 -o runs/synth
    """
    from facegeom.lab.synth.generate import run

    shards = run(data, count, out, seed, split, size, preview)
    typer.echo(f"{count} pictures in {len(shards)} files under {out}")


@app.command()
def train(
    recipe: Annotated[Literal["detector", "face"], typer.Argument(help="What to make.")],
    data: Data,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder; runs/RECIPE by default.")
    ] = None,
    labels: Labels = LABELS,
    rendered: Rendered = None,
    hard_negatives: Annotated[
        Path | None, typer.Option(help="face: false faces, the file of `facegeom lab mine`.")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that prepare samples.")] = 2,
    processes: Annotated[int, typer.Option(min=1, help="face: training processes or GPUs.")] = 1,
) -> None:
    """Train the networks of a recipe and export them; goes on from the last checkpoint.

    Example: facegeom lab train face --data data --rendered runs/synth
    """
    from facegeom.lab import recipes
    from facegeom.lab.export import export

    folder = out or Path("runs") / recipe
    if recipe == "face":
        from facegeom.lab.tasks import face

        settings = recipes.load(face.FaceRecipe, recipe)
        made = {
            "face": face.train(settings, data, labels, folder, rendered, hard_negatives, workers, processes)
        }
    else:
        from facegeom.lab.tasks import detector

        pair = detector.train(
            recipes.load(detector.DetectorRecipe, recipe), data, labels, folder, rendered, workers
        )
        made = dict(zip(("pnet", "rnet"), pair, strict=True))
    for name, checkpoint in made.items():
        typer.echo(f"wrote {export(name, checkpoint, folder)}")


@app.command()
def mine(
    data: Data,
    pnet: Annotated[Path, typer.Option(help="ONNX file.")],
    rnet: Annotated[Path, typer.Option(help="ONNX file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write (npz).")] = Path("runs/hard.npz"),
) -> None:
    """Collect what the cascade wrongly takes for a face, as negatives for the face network.

    Example: facegeom lab mine --data data --pnet runs/detector/pnet.onnx --rnet runs/detector/rnet.onnx
    """
    from facegeom.lab.datasets.hard_negatives import mine as collect

    typer.echo(f"{collect(data, pnet, rnet, out)} false faces in {out}")


@app.command()
def export(
    network: Annotated[Literal["face", "pnet", "rnet"], typer.Argument(help="Which network.")],
    checkpoint: Annotated[Path, typer.Argument(help="Of its training.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder; a manifest there gets the new hash.")],
) -> None:
    """Fold a trained network and write it as ONNX.

    Example: facegeom lab export face runs/face/last.ckpt -o src/facegeom/weights
    """
    from facegeom.lab.export import export as write

    typer.echo(f"wrote {write(network, checkpoint, out)}")

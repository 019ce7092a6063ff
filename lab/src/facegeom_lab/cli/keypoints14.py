"""``facegeom lab keypoints14``: the compact task of 14 points, from its data to its mark."""

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(
    help="14 points of a tightly cropped face: prepare, train, detect, evaluate.", no_args_is_help=True
)

Loss = Literal["wing", "smooth_l1", "mse"]
Optimizer = Literal["adam", "adamw", "sgd", "rmsprop"]
Images = Annotated[Path, typer.Argument(help="Folder of the pictures.")]
Table = Annotated[Path, typer.Argument(help="Points: filename,x1,y1,...,x14,y14 (gt.csv).")]


@app.command()
def prepare(
    data: Annotated[Path, typer.Option(help="Folder of the data pack (docs/data.md).", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to make.")],
    labels: Annotated[
        Path | None,
        typer.Option(help="Mesh labels: the file of `facegeom lab label`; many more pictures to train on."),
    ] = None,
) -> None:
    """Cut the task's folders out of the data pack: train, val and afw, each with images and gt.csv.

    Example: facegeom lab keypoints14 prepare --data data --labels runs/labels.npz -o runs/keypoints14
    """
    from facegeom_lab.keypoints14.prepare import prepare as make

    counts = make(data, out, labels)
    typer.echo(", ".join(f"{name}: {count} pictures" for name, count in counts.items()))


@app.command()
def train(
    gt: Table,
    images: Images,
    out: Annotated[Path, typer.Option("--out", "-o", help="File of the network.")] = Path(
        "facepoints_model.ckpt"
    ),
    fast: Annotated[bool, typer.Option("--fast", help="A trial of a few batches; writes nothing.")] = False,
    workers: Annotated[int, typer.Option(min=0, help="Processes that prepare pictures.")] = 0,
    epochs: Annotated[int | None, typer.Option(min=1, help="Other than the recipe's.")] = None,
    loss: Annotated[Loss | None, typer.Option(help="Other than the recipe's.")] = None,
    optimizer: Annotated[Optimizer | None, typer.Option(help="Other than the recipe's.")] = None,
) -> None:
    """Train from scratch on the given pictures alone; goes on from the last epoch when it was stopped.

    Example: facegeom lab keypoints14 train train/gt.csv train/images -o facepoints_model.ckpt
    """
    from facegeom_lab.keypoints14 import train_detector
    from facegeom_lab.keypoints14.recipe import Keypoints14Recipe
    from facegeom_lab.training import recipes

    changed = {"epochs": epochs, "loss": loss, "optimizer": optimizer}
    recipe = recipes.load(Keypoints14Recipe, "keypoints14", **changed)
    train_detector(gt, images, fast, out=out, recipe=recipe, workers=workers)
    typer.echo("the trial went through; nothing was written" if fast else f"wrote {out}")


@app.command()
def detect(
    model: Annotated[Path, typer.Argument(help="File of the network; `shipped` for the package's own.")],
    images: Images,
    out: Annotated[Path, typer.Option("--out", "-o", help="Table to write (csv).")] = Path("answers.csv"),
) -> None:
    """Find the 14 points of every picture of a folder.

    Example: facegeom lab keypoints14 detect facepoints_model.ckpt val/images -o answers.csv
    """
    from facegeom_lab.keypoints14 import SHIPPED
    from facegeom_lab.keypoints14 import detect as find
    from facegeom_lab.keypoints14.table import write_table

    answers = find(SHIPPED if str(model) == "shipped" else model, images)
    write_table(out, answers)
    typer.echo(f"wrote {len(answers)} pictures' points to {out}")


@app.command()
def evaluate(
    answers: Annotated[Path, typer.Argument(help="Table of `facegeom lab keypoints14 detect`.")],
    gt: Table,
    images: Images,
    run: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder, for result.json and the predictions.")
    ] = None,
    name: Annotated[str, typer.Option(help="Of the pictures in result.json: error_100x100_NAME.")] = "val",
    model: Annotated[
        Path | None, typer.Option(help="File of the network, to measure what it costs as well.")
    ] = None,
) -> None:
    """Measure answers: mean squared error with pictures scaled to 100 x 100, and the task's mark.

    Example: facegeom lab keypoints14 evaluate answers.csv afw/gt.csv afw/images -o runs/k14 --name afw
    """
    from facegeom_lab.keypoints14 import evaluate as measures
    from facegeom_lab.keypoints14.table import read_table

    compared = measures.compare(read_table(answers), read_table(gt), images)
    error = measures.error_of(compared)
    if run:
        measures.write_run(run, name, compared, model)
    typer.echo(f"error {error:.3f} on {len(compared.files)} pictures, mark {measures.mark(error)}")

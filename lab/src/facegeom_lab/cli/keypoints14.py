"""``facegeom lab keypoints14``: the compact task of 14 points, from its data to its mark."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from facegeom.cli.options import CONTEXT_SETTINGS
from facegeom_lab.cli.options import Data

app = typer.Typer(
    help="14 points of a tightly cropped face: prepare, train, detect, evaluate.",
    no_args_is_help=True,
    context_settings=CONTEXT_SETTINGS,
)

Loss = Literal["wing", "smooth_l1", "mse"]
Schedule = Literal["cosine", "plateau"]
Optimizer = Literal["adam", "adamw", "sgd", "rmsprop"]
Images = Annotated[Path, typer.Argument(help="Folder of the images.")]
Table = Annotated[Path, typer.Argument(help="Table of points: filename,x1,y1,...,x14,y14 (gt.csv).")]


@app.command()
def prepare(
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="Output folder.")],
    labels: Annotated[
        Path | None,
        typer.Option(help="Mesh labels: the file of `facegeom lab label`; they add many training images."),
    ] = None,
) -> None:
    """Make the task's folders from the data pack: train, val and afw, each with images and gt.csv.

    Example: facegeom lab keypoints14 prepare --data data --labels runs/labels.npz -o runs/keypoints14
    """
    from facegeom_lab.keypoints14.prepare import prepare as make

    counts = make(data, out, labels)
    typer.echo(", ".join(f"{name}: {count} images" for name, count in counts.items()))


@app.command()
def train(
    gt: Table,
    images: Images,
    out: Annotated[Path, typer.Option("--out", "-o", help="File of the network.")] = Path(
        "facepoints_model.ckpt"
    ),
    fast: Annotated[bool, typer.Option("--fast", help="Try a few batches; write nothing.")] = False,
    workers: Annotated[int, typer.Option(min=0, help="Processes that prepare images.")] = 0,
    epochs: Annotated[int | None, typer.Option(min=1, help="Replaces the value of the recipe.")] = None,
    loss: Annotated[Loss | None, typer.Option(help="Replaces the value of the recipe.")] = None,
    optimizer: Annotated[Optimizer | None, typer.Option(help="Replaces the value of the recipe.")] = None,
    schedule: Annotated[
        Schedule | None, typer.Option(help="Of the learning rate; plateau: ReduceLROnPlateau.")
    ] = None,
) -> None:
    """Train from scratch on the given images only; a run that was stopped resumes at its last epoch.

    Example: facegeom lab keypoints14 train train/gt.csv train/images -o facepoints_model.ckpt
    """
    from facegeom_lab.keypoints14 import train_detector
    from facegeom_lab.keypoints14.task import Keypoints14Recipe
    from facegeom_lab.training import recipes

    changed = {"epochs": epochs, "loss": loss, "optimizer": optimizer, "schedule": schedule}
    recipe = recipes.load(Keypoints14Recipe, "keypoints14", **changed)
    train_detector(gt, images, fast, out=out, recipe=recipe, workers=workers)
    typer.echo("the trial succeeded; nothing was written" if fast else f"wrote {out}")


@app.command()
def detect(
    model: Annotated[Path, typer.Argument(help="File of the network; `shipped` for the one in the package.")],
    images: Images,
    out: Annotated[Path, typer.Option("--out", "-o", help="Table to write (csv).")] = Path("answers.csv"),
) -> None:
    """Predict the 14 points of every image in a folder.

    Example: facegeom lab keypoints14 detect facepoints_model.ckpt val/images -o answers.csv
    """
    from facegeom_lab.keypoints14 import SHIPPED
    from facegeom_lab.keypoints14 import detect as find
    from facegeom_lab.keypoints14.data import write_table

    answers = find(SHIPPED if str(model) == "shipped" else model, images)
    write_table(out, answers)
    typer.echo(f"wrote {len(answers)} images' points to {out}")


@app.command()
def evaluate(
    answers: Annotated[Path, typer.Argument(help="Table of `facegeom lab keypoints14 detect`.")],
    gt: Table,
    images: Images,
    run: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder for result.json and the predictions.")
    ] = None,
    name: Annotated[
        str, typer.Option(help="Name of the image set, for result.json: error_100x100_NAME.")
    ] = "val",
    model: Annotated[Path | None, typer.Option(help="File of the network, to measure its cost, too.")] = None,
) -> None:
    """Evaluate predictions: mean squared error with images scaled to 100 x 100, and the task's mark.

    Example: facegeom lab keypoints14 evaluate answers.csv afw/gt.csv afw/images -o runs/k14 --name afw
    """
    from facegeom_lab.keypoints14 import evaluate as measures
    from facegeom_lab.keypoints14.data import read_table

    compared = measures.compare(read_table(answers), read_table(gt), images)
    error = measures.error_of(compared)
    if run:
        measures.write_run(run, name, compared, model)
    typer.echo(f"error {error:.3f} on {len(compared.files)} images, mark {measures.mark(error)}")

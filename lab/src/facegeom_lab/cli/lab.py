"""``facegeom lab``: from pictures to weights, one command a step."""

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from facegeom_lab.cli import compress, keypoints14, pose_study
from facegeom_lab.cli import depth as depth_commands

app = typer.Typer(help="Label, render, train, measure and export the networks.", no_args_is_help=True)
app.add_typer(keypoints14.app, name="keypoints14")
compress.add_to(app)
app.command("pose-study")(pose_study.pose_study)
app.command("pose-report")(pose_study.pose_report)
depth_commands.add_to(app)

Data = Annotated[Path, typer.Option(help="Folder of the data pack (docs/data.md).", show_default=False)]
Labels = Annotated[Path, typer.Option(help="Mesh labels: the file of `facegeom lab label`.")]
Rendered = Annotated[
    Path | None,
    typer.Option(help="Rendered heads and profiled faces: folder of `facegeom lab synth`, `profile`."),
]
Dataset = Annotated[str, typer.Option(help="Which data set lies at --data.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that prepare samples.")]
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
    from facegeom_lab.teachers import mediapipe

    interpreter = python or mediapipe.ensure_python(Path.home() / ".cache" / "facegeom" / teacher)
    counts = mediapipe.label(data, out, interpreter, workers)
    typer.echo(", ".join(f"{name}: {count}" for name, count in counts.items()))


@app.command("label-folder")
def label_folder(
    photos: Annotated[Path, typer.Argument(help="Folder of photos, searched with its folders.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write (parquet).")] = Path(
        "runs/labels.parquet"
    ),
    teacher: Annotated[
        Literal["mediapipe", "mediapipe-task", "heatmap"], typer.Option(help="Who labels.")
    ] = "mediapipe",
    model: Annotated[
        Path | None, typer.Option(help="mediapipe-task: a .task file; heatmap: best.ckpt of a run.")
    ] = None,
    python: Annotated[
        Path | None, typer.Option(help="Interpreter with MediaPipe 0.10.21; by default one is made.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="MediaPipe's processes side by side.")] = 2,
    max_flip_error: Annotated[
        float, typer.Option(min=0, help="Labels are kept when photo and mirror image agree this well.")
    ] = 0.05,
) -> None:
    """Label every face of every photo of a folder; resumes, unreadable photos keep a row with the reason.

    Example: facegeom lab label-folder photos -o labels.parquet
    """
    from facegeom_lab.teachers.by_name import teacher as build
    from facegeom_lab.teachers.folder import label_folder as run

    counts = run(photos, out, build(teacher, model, python, workers, max_flip_error))
    typer.echo(", ".join(f"{name}: {count}" for name, count in counts.items()))


@app.command()
def inspect(
    dataset: Annotated[str, typer.Argument(help="Name of the data set (docs/data.md).")],
    root: Annotated[Path, typer.Option(help="Folder into which it was unpacked.", show_default=False)],
    split: Annotated[str | None, typer.Option(help="One of its splits; all of them by default.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Faces on the sheet.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice of faces.")] = 0,
    out: Annotated[Path, typer.Option("--out", "-o", help="Contact sheet (png).")] = Path("sheet.png"),
) -> None:
    """Count the faces of a data set and draw some of them with their labels.

    Example: facegeom lab inspect pack --root data --split val -o sheet.png
    """
    from facegeom_lab.datasets.inspect import run

    typer.echo(run(dataset, root, out, split, count, seed))
    typer.echo(f"wrote {out}")


@app.command()
def canonical(
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write (npz).")],
    labels: Labels = LABELS,
) -> None:
    """Compute the mesh's triangles, mirror map and canonical head from the labels.

    Example: facegeom lab canonical --data data -o src/facegeom/geometry/mesh478.npz
    """
    from facegeom_lab.fitting.canonical import write_topology
    from facegeom_lab.synth.generate import MODEL_FILE
    from facegeom_lab.synth.model import load_model

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
    depth: Annotated[bool, typer.Option(help="Also depth maps and meshes.")] = False,
    model: Annotated[
        Path | None,
        typer.Option(help="Your file of the Basel Face Model (.mat, .h5) in place of ICT's head."),
    ] = None,
) -> None:
    """Render heads with known rotation and points; resumes, the same pictures for the same seed.

    Example: facegeom lab synth --data data --count 6000 --size 192 --seed 1 -o runs/synth
    """
    from facegeom_lab.synth.generate import run

    shards = run(data, count, out, seed, split, size, preview, depth, model)
    typer.echo(f"{count} pictures in {len(shards)} files under {out}")


@app.command()
def profile(
    data: Data,
    count: Annotated[int, typer.Option(min=1, help="Pictures wanted in all.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the shards.", show_default=False)],
    labels: Labels = LABELS,
    seed: Annotated[int, typer.Option(min=0, help="Of the set.")] = 0,
    preview: Annotated[Path | None, typer.Option(help="Save a contact sheet here.")] = None,
) -> None:
    """Turn labelled faces in 3D to yaws of 35 to 85 degrees, with all their labels; resumes.

    Example: facegeom lab profile --data data --count 4000 -o runs/synth
    """
    from facegeom_lab.synth.profiles import run

    shards = run(data, labels, count, out, seed, preview)
    typer.echo(f"{count} pictures in {len(shards)} files under {out}")


@app.command("build-pose-set")
def build_pose_set(
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the shards.", show_default=False)],
    dataset: Annotated[
        Literal["pack", "celeba"], typer.Option(help="Which data set lies at --data.")
    ] = "pack",
    split: Annotated[Literal["train", "val"], typer.Option(help="Its photos.")] = "train",
    labels: Labels = LABELS,
    rendered: Rendered = None,
    teachers: Annotated[
        str, typer.Option(help="Who answers, with commas: points, face, 6drepnet, 6drepnet-published.")
    ] = "points",
    model: Annotated[
        Path | None, typer.Option(help="6drepnet: best.ckpt of a run, or the published file.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Take every so many photos.")] = 1,
    preview: Annotated[Path | None, typer.Option(help="Save a contact sheet here.")] = None,
) -> None:
    """Run P-Net and R-Net over photos and keep faces and false faces with the teachers' rotations; resumes.

    Example: facegeom lab build-pose-set --data data --rendered runs/synth -o runs/poses/train
    """
    from facegeom_lab.datasets.training.pose_photos import celeba_photos, pack_photos
    from facegeom_lab.files import save_png
    from facegeom_lab.teachers import distillation
    from facegeom_lab.teachers.pose import pose_teachers

    names = [name.strip() for name in teachers.split(",")]
    known = pose_teachers(names, model)
    photos = celeba_photos(data, split) if dataset == "celeba" else pack_photos(data, labels, split, rendered)
    counts = distillation.build(photos[::every], out, known)
    if preview:
        save_png(preview, distillation.sheet(out))
    typer.echo(", ".join(f"{name}: {count}" for name, count in counts.items()))


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="What to make; `facegeom lab recipes` lists them.")],
    data: Data,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder; runs/RECIPE by default.")
    ] = None,
    dataset: Dataset = "pack",
    labels: Labels = LABELS,
    rendered: Rendered = None,
    hard_negatives: Annotated[
        Path | None, typer.Option(help="face: false faces, the file of `facegeom lab mine`.")
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            help="face, onepass, depth1, fpnet: checkpoint to start from, or what ships; depth2: stage I's."
        ),
    ] = None,
    workers: Workers = 2,
    processes: Annotated[int, typer.Option(min=1, help="Training processes or GPUs.")] = 1,
    values: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE of the recipe, as YAML; repeatable.")
    ] = None,
) -> None:
    """Train the networks of a recipe; goes on from the last checkpoint. What ships is exported as ONNX too.

    Examples:

    facegeom lab train face --data data --rendered runs/synth

    facegeom lab train landmarks106-mobilenetv3-wing --dataset lapa --data LaPa --set batch=64
    """
    from facegeom_lab.export import NETWORKS, export
    from facegeom_lab.training.trainers import Inputs
    from facegeom_lab.training.trainers import train as make

    folder = out or Path("runs") / recipe
    inputs = Inputs(data, folder, dataset, labels, rendered, hard_negatives, start, workers, processes)
    for name, checkpoint in make(recipe, inputs, _settings(values or [])).items():
        typer.echo(f"wrote {export(name, checkpoint, folder) if name in NETWORKS else checkpoint}")


def _settings(words: list[str]) -> dict[str, object]:
    """KEY=VALUE words as a dictionary; values are read as YAML, so 1, 0.5 and true do what they say."""
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


@app.command()
def recipes() -> None:
    """List the recipes and their kinds.

    Example: facegeom lab recipes
    """
    from facegeom_lab.training import recipes as book

    for name in book.names():
        typer.echo(f"{name:55} {book.kind(name)}")


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    data: Data,
    dataset: Dataset = "pack",
    labels: Labels = LABELS,
    rendered: Rendered = None,
    start: Annotated[Path | None, typer.Option(help="depth2: stage I's checkpoint.")] = None,
    workers: Workers = 2,
) -> None:
    """Measure a run: errors on the splits it was not trained on, parameters, multiply-adds, time.

    Example: facegeom lab evaluate runs/landmarks106-mobilenetv3-wing --data data
    """
    import json

    from facegeom_lab.training.trainers import Inputs
    from facegeom_lab.training.trainers import evaluate as measure

    inputs = Inputs(data, run, dataset, labels, rendered, start=start, workers=workers)
    typer.echo(json.dumps(measure(inputs), indent=2))


@app.command("evaluate-pose")
def evaluate_pose(
    dataset: Annotated[str, typer.Argument(help="Name of the data set (docs/data.md).")],
    root: Annotated[Path, typer.Option(help="Folder into which it was unpacked.", show_default=False)],
    split: Annotated[str | None, typer.Option(help="One of its splits; all of them by default.")] = None,
    at: Annotated[
        Literal["detected", "labelled"], typer.Option(help="Own detection, or the labelled box.")
    ] = "detected",
    truth: Annotated[
        Literal["given", "points"],
        typer.Option(help="The set's rotations, or heads laid under its 68 points."),
    ] = "given",
    count: Annotated[int | None, typer.Option(min=1, help="So many faces, spread over the set.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of pose.md and pose.json.")] = Path(
        "runs/pose"
    ),
) -> None:
    """Measure the head pose on a data set: errors of yaw, pitch and roll by range of yaw, share found.

    Examples:

    facegeom lab evaluate-pose aflw2000 --root AFLW2000 -o runs/aflw2000

    facegeom lab evaluate-pose pack --root data --split test --truth points
    """
    from facegeom_lab.evaluation.pose import run

    result = run(dataset, root, split, at, truth, count)
    result.save(out, "pose")
    typer.echo(result.markdown())


@app.command()
def reproduce(
    data: Data,
    labels: Labels = LABELS,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the runs.")] = Path("runs/reproduction"),
    only: Annotated[list[str] | None, typer.Option(help="Pattern of run names; repeatable.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Runs at once, one thread each.")] = 2,
) -> None:
    """Rerun the documents' experiments on the data pack; resumes. `facegeom lab report` makes the page.

    Example: facegeom lab reproduce --data data --only "landmarks106-mobilenetv3-*"
    """
    from facegeom_lab.studies.reproduction import reproduce as rerun

    typer.echo("done: " + ", ".join(rerun(data, labels, out, only or [], processes)))


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, or folders of them.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the page and its figures.")] = Path(
        "runs/report"
    ),
    about: Annotated[
        Path | None, typer.Option(help="Markdown for the page: how the runs differ from the published ones.")
    ] = None,
) -> None:
    """Turn finished runs into the documents' tables and figures: Markdown, PNG and SVG.

    Example: facegeom lab report runs/reproduction -o runs/report
    """
    from facegeom_lab.studies.reports.reproduction import report as write

    typer.echo(f"wrote {write(runs, out, about)}")


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
    from facegeom_lab.datasets.training.hard_negatives import mine as collect

    typer.echo(f"{collect(data, pnet, rnet, out)} false faces in {out}")


@app.command()
def export(
    network: Annotated[
        Literal["depth1", "depth2", "face", "fpnet", "onepass", "pnet", "rnet"],
        typer.Argument(help="Which network."),
    ],
    checkpoint: Annotated[Path, typer.Argument(help="Of its training.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder; a manifest there gets the new hash.")],
) -> None:
    """Fold a trained network and write it as ONNX.

    Example: facegeom lab export face runs/face/last.ckpt -o src/facegeom/weights
    """
    from facegeom_lab.export import export as write

    typer.echo(f"wrote {write(network, checkpoint, out)}")

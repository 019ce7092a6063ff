"""Commands of ``facegeom lab`` that make data: labels, rendered heads, samples to train on."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from facegeom_lab.cli.options import LABELS, Data, Labels, Rendered


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
    from facegeom_lab.external.environments import ensure_python
    from facegeom_lab.teachers.mediapipe import label_pack

    counts = label_pack(data, out, python or ensure_python(teacher), workers)
    typer.echo(", ".join(f"{name}: {count}" for name, count in counts.items()))


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
    from facegeom_lab.teachers.folder import label_folder as run
    from facegeom_lab.teachers.folder import make_teacher

    counts = run(photos, out, make_teacher(teacher, model, python, workers, max_flip_error))
    typer.echo(", ".join(f"{name}: {count}" for name, count in counts.items()))


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


def fit(
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the shards.", show_default=False)],
    labels: Labels = Path("runs/labels.npz"),
    split: Annotated[Literal["train", "val", "test"], typer.Option(help="Its faces.")] = "train",
    every: Annotated[int, typer.Option(min=1, help="Take every so many faces.")] = 1,
) -> None:
    """Fit the head model to labelled faces: identity, expression, pose and depth of real photos; resumes.

    Example: facegeom lab fit --data data --labels runs/labels.npz -o runs/depth/fit
    """
    from facegeom_lab.fitting.run import run

    counts = run(data, labels, split, out, every)
    typer.echo(f"{counts['faces']} faces fitted, {counts['kept']} kept under {out}")


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


def mine(
    data: Data,
    pnet: Annotated[Path, typer.Option(help="ONNX file.")],
    rnet: Annotated[Path, typer.Option(help="ONNX file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write (npz).")] = Path("runs/hard.npz"),
) -> None:
    """Collect what the cascade wrongly takes for a face, as negatives for the face network.

    Example: facegeom lab mine --data data --pnet runs/detector/pnet.onnx --rnet runs/detector/rnet.onnx
    """
    from facegeom_lab.datasets.training.face_samples import mine_hard_negatives as collect

    typer.echo(f"{collect(data, pnet, rnet, out)} false faces in {out}")

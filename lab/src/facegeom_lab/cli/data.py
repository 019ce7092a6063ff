"""Commands of ``facegeom lab`` that make training data: labels, rendered heads, samples."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from facegeom_lab.cli.options import LABELS, Data, Labels, Preview, Rendered, Seed, Shards


def label(
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write (npz).")] = LABELS,
    teacher: Annotated[Literal["mediapipe"], typer.Option(help="Teacher network.")] = "mediapipe",
    python: Annotated[
        Path | None, typer.Option(help="Python with MediaPipe 0.10.21; by default one is installed.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 2,
) -> None:
    """Label the centred faces with 478-point meshes, twice each, and drop doubtful labels.

    Example: facegeom lab label --data data -o runs/labels.npz
    """
    from facegeom_lab.external.environments import ensure_python
    from facegeom_lab.teachers.mediapipe import label_pack

    counts = label_pack(data, out, python or ensure_python(teacher), workers)
    typer.echo(", ".join(f"{name}: {count}" for name, count in counts.items()))


def label_folder(
    photos: Annotated[Path, typer.Argument(help="Folder of photos, searched with its sub-folders.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write (parquet).")] = Path(
        "runs/labels.parquet"
    ),
    teacher: Annotated[
        Literal["mediapipe", "mediapipe-task", "heatmap"], typer.Option(help="Teacher network.")
    ] = "mediapipe",
    model: Annotated[
        Path | None, typer.Option(help="mediapipe-task: a .task file; heatmap: best.ckpt of a run.")
    ] = None,
    python: Annotated[
        Path | None, typer.Option(help="Python with MediaPipe 0.10.21; by default one is installed.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes of MediaPipe.")] = 2,
    max_flip_error: Annotated[
        float,
        typer.Option(min=0, help="Largest difference between the labels of a photo and its mirror image."),
    ] = 0.05,
) -> None:
    """Label every face of every photo of a folder; resumes. An unreadable photo gets a row with the reason.

    Example: facegeom lab label-folder photos -o labels.parquet
    """
    from facegeom_lab.teachers.folder import label_folder as run
    from facegeom_lab.teachers.folder import make_teacher

    counts = run(photos, out, make_teacher(teacher, model, python, workers, max_flip_error))
    typer.echo(", ".join(f"{name}: {count}" for name, count in counts.items()))


def inspect(
    dataset: Annotated[str, typer.Argument(help="Name of the data set (docs/data.md).")],
    root: Annotated[Path, typer.Option(help="Folder of the unpacked data set.", show_default=False)],
    split: Annotated[str | None, typer.Option(help="One of its splits; by default all.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Number of faces to draw.")] = 24,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option("--out", "-o", help="Contact sheet to write (png).")] = Path(
        "sheet.png"
    ),
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


def placement(
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write (npz).")],
    count: Annotated[int, typer.Option(min=10, help="Number of rendered heads.")] = 120,
    seed: Seed = 0,
    python: Annotated[
        Path | None, typer.Option(help="Python with MediaPipe 0.10.21; by default one is installed.")
    ] = None,
) -> None:
    """Measure where MediaPipe puts the mesh's points on the head model; a second run starts from the first.

    Example: facegeom lab placement --data data -o lab/src/facegeom_lab/synth/mesh478_placement.npz
    """
    from facegeom_lab.external.environments import ensure_python
    from facegeom_lab.fitting.placement import write_placement
    from facegeom_lab.synth.generate import MODEL_FILE
    from facegeom_lab.synth.model import load_model
    from facegeom_lab.teachers.mediapipe import MAX_FACES_OF_CROP, mesh_workers

    with mesh_workers(python or ensure_python("mediapipe"), 1, MAX_FACES_OF_CROP) as workers:
        figures = write_placement(load_model(data / MODEL_FILE), workers.find, out, count, seed)
    typer.echo(", ".join(f"{name}: {value:.3g}" for name, value in figures.items()))


def synth(
    data: Data,
    count: Annotated[int, typer.Option(min=1, help="Total number of images.")],
    out: Shards,
    seed: Seed = 0,
    split: Annotated[
        Literal["train", "test"], typer.Option(help="Split; they share no person and no background.")
    ] = "train",
    size: Annotated[int, typer.Option(min=32, help="Side of the images in pixels.")] = 224,
    preview: Preview = None,
    depth: Annotated[bool, typer.Option(help="Store depth maps, too.")] = False,
    model: Annotated[
        Path | None,
        typer.Option(help="File of the Basel Face Model (.mat, .h5), to use instead of the ICT head."),
    ] = None,
    free: Annotated[
        bool,
        typer.Option(help="Use free sources alone: their photos and light probes; masks, hats, scarves."),
    ] = False,
    motions: Annotated[
        bool, typer.Option("--motions", help="Move one family of shapes in each of some parts of the face.")
    ] = False,
    max_yaw: Annotated[float, typer.Option(min=0, max=90, help="Largest yaw, degrees.")] = 90.0,
) -> None:
    """Render heads with known rotation and points; resumes. The same seed gives the same images.

    Example: facegeom lab synth --data data --count 6000 --size 192 --seed 1 -o runs/synth

    Example: facegeom lab synth --data data --count 14000 --size 160 --seed 41 --free -o runs/free/heads
    """
    from facegeom_lab.synth.generate import run

    shards = run(data, count, out, seed, split, size, preview, depth, model, free, motions, max_yaw)
    typer.echo(f"{count} images in {len(shards)} files under {out}")


def backs(
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write (npz).")] = Path(
        "runs/free/backs.npz"
    ),
    count: Annotated[int, typer.Option(min=1, help="Number of crops.")] = 500,
    seed: Seed = 77,
) -> None:
    """Render heads from behind, from free sources: skin, ears and hair that are no face, for the trainings.

    Example: facegeom lab backs --data data -o runs/free/backs.npz
    """
    from facegeom_lab.synth.generate import render_backs

    render_backs(data, out, count, seed)
    typer.echo(f"{count} crops in {out}")


def expressions(
    data: Data,
    out: Shards,
    count: Annotated[
        int, typer.Option(min=0, help="Number of rendered heads; 0: labelled faces of the data pack.")
    ] = 0,
    seed: Seed = 0,
    split: Annotated[
        Literal["train", "test"], typer.Option(help="Of rendered heads; they share no person.")
    ] = "train",
    labels: Labels = LABELS,
    every: Annotated[int, typer.Option(min=1, help="Of labelled faces: take only every N-th.")] = 1,
    free: Annotated[
        bool,
        typer.Option(help="Free sources and free weights alone; --labels is the folder of the free photos'."),
    ] = False,
) -> None:
    """Analyze faces with known expressions and looks, rendered or fitted: samples of the expression network.

    Resumes. The same seed gives the same heads.

    Example: facegeom lab expressions --data data --count 6000 --seed 11 -o runs/expressions

    Example: facegeom lab expressions --data data --labels runs/labels.npz --every 2 -o runs/expressions

    Example: facegeom lab expressions --data data --labels runs/free --free -o runs/free/expressions
    """
    from facegeom_lab.datasets.training.expression_faces import free_people, make_face_samples, pack_people
    from facegeom_lab.datasets.training.expression_samples import make_samples

    if count:
        shards = make_samples(data, count, out, seed, split, free)
    else:
        people = (free_people if free else pack_people)(data, labels)
        shards = make_face_samples(data, people, out, every)
    typer.echo(f"{len(shards)} files under {out}")


def profile(
    data: Data,
    count: Annotated[int, typer.Option(min=1, help="Total number of images.")],
    out: Shards,
    labels: Labels = LABELS,
    seed: Seed = 0,
    preview: Preview = None,
) -> None:
    """Rotate labelled faces in 3D to yaws of 35 to 85 degrees, with all their labels; resumes.

    Example: facegeom lab profile --data data --count 4000 -o runs/synth
    """
    from facegeom_lab.synth.face_profiling import run

    shards = run(data, labels, count, out, seed, preview)
    typer.echo(f"{count} images in {len(shards)} files under {out}")


def fit(
    data: Data,
    out: Shards,
    labels: Labels = LABELS,
    split: Annotated[Literal["train", "val", "test"], typer.Option(help="Split of the faces.")] = "train",
    every: Annotated[int, typer.Option(min=1, help="Take only every N-th face.")] = 1,
) -> None:
    """Fit the head model to labelled faces: identity, expression, pose and depth of real photos; resumes.

    Example: facegeom lab fit --data data --labels runs/labels.npz -o runs/depth/fit
    """
    from facegeom_lab.fitting.head_fit import run

    counts = run(data, labels, split, out, every)
    typer.echo(f"{counts['faces']} faces fitted, {counts['kept']} kept under {out}")


def build_pose_set(
    data: Data,
    out: Shards,
    dataset: Annotated[
        Literal["pack", "celeba"], typer.Option(help="Name of the data set at --data.")
    ] = "pack",
    split: Annotated[Literal["train", "val"], typer.Option(help="Split of the photos.")] = "train",
    labels: Labels = LABELS,
    rendered: Rendered = None,
    teachers: Annotated[
        str, typer.Option(help="Teachers, separated by commas: points, face, 6drepnet, 6drepnet-published.")
    ] = "points",
    model: Annotated[
        Path | None, typer.Option(help="6drepnet: best.ckpt of a run, or the published weights.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Take only every N-th photo.")] = 1,
    preview: Preview = None,
) -> None:
    """Run P-Net and R-Net on photos; store faces with teacher rotations, and false positives; resumes.

    Example: facegeom lab build-pose-set --data data --rendered runs/synth -o runs/poses/train
    """
    from facegeom_lab.datasets.training.pose_photos import celeba_photos, pack_photos
    from facegeom_lab.files import save_image
    from facegeom_lab.teachers import distillation
    from facegeom_lab.teachers.pose import pose_teachers

    names = [name.strip() for name in teachers.split(",")]
    known = pose_teachers(names, model)
    photos = celeba_photos(data, split) if dataset == "celeba" else pack_photos(data, labels, split, rendered)
    counts = distillation.build(photos[::every], out, known)
    if preview:
        save_image(preview, distillation.sheet(out))
    typer.echo(", ".join(f"{name}: {count}" for name, count in counts.items()))


def mine(
    data: Data,
    pnet: Annotated[Path, typer.Option(help="ONNX file of P-Net.")],
    rnet: Annotated[Path, typer.Option(help="ONNX file of R-Net.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write (npz).")] = Path("runs/hard.npz"),
) -> None:
    """Collect false positives of the cascade, as hard negatives for the face network.

    Example: facegeom lab mine --data data --pnet runs/detector/pnet.onnx --rnet runs/detector/rnet.onnx
    """
    from facegeom_lab.datasets.training.face_samples import mine_hard_negatives as collect

    typer.echo(f"{collect(data, pnet, rnet, out)} false faces in {out}")

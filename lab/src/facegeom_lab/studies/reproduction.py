"""The published experiments on the data pack: every run of the five documents, from one command.

Every row is a run of its own in its own process. A finished row is not repeated, an interrupted one is
resumed from its last checkpoint. Where the faces do not settle a comparison, both rows get a second seed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from facegeom_lab.evaluation.run import RESULT
from facegeom_lab.studies import jobs as machinery
from facegeom_lab.studies.jobs import Job, plan_text, run_jobs, select, slowness
from facegeom_lab.studies.reports.comparison import difference
from facegeom_lab.studies.reports.runs import (
    ABLATED,
    LOSSES,
    NOTEBOOK,
    Runs,
    ablation_run,
    collect,
    network_run,
    with_seed,
)
from facegeom_lab.training import recipes

SIZE_PX = 96
BACKBONE: dict[str, object] = {"size_px": SIZE_PX, "epochs": 16, "samples_per_epoch": 4096, "batch": 16}
LANDMARKS: dict[str, object] = {
    "size_px": SIZE_PX,
    "mesh_faces": True,
    "samples_per_epoch": 3072,
    "max_epochs": 40,
    "statistics_epochs": 3,
}
"""Warm-up, learning rate, patience and end are the recipe's, the published ones: at least 25 epochs, which
are 76,800 samples, half of them faces with people's points, half with points of their meshes. After the
warm-up batch normalisation keeps its statistics, without which few rows converge at this scale."""
MESH_PX = 192
MESH_BACKBONE = BACKBONE | {
    "size_px": MESH_PX,
    "epochs": 30,
    "learning_rate": 0.001,
    "statistics_share": 0.25,
}
"""Longer and larger, for this backbone is frozen afterwards: only a small head is trained on it."""
MESH: dict[str, object] = {"size_px": MESH_PX}
DENSE_CONVOLUTIONS = ("resnet18", "efficientnetv2b0")
"""Backbones that bfloat16 speeds up on a CPU; it slows down those of depthwise convolutions."""
UNSTABLE = ("mobilenetv2", "efficientnetb0", "mobilevit")
"""Backbones that need frozen batch normalisation in the second half; see ``training/tasks/backbone.py``."""
SECONDS = {
    "resnet18": 0.030,
    "mobilenetv2": 0.015,
    "efficientnetb0": 0.021,
    "mobilenetv3": 0.016,
    "mobilevit": 0.080,
    "efficientnetv2b0": 0.030,
}
"""Seconds of a training sample at 96 px on the reference machine; reading a face adds ``READING``."""
READING = 0.012
LANDMARKS_SAMPLES = 95_000
SECOND_SEED = 2


def jobs() -> list[Job]:
    """Return all runs, each after those that it needs."""
    return [*_landmarks(), *_mesh(), *_keypoints(), *_directions(), *_depth(), *_small()]


def _landmarks() -> Iterator[Job]:
    rows = [name for name in recipes.names() if recipes.kind(name) == "landmarks"]
    for backbone in dict.fromkeys(map(_backbone, rows)):
        yield _backbone_job(backbone, "close", BACKBONE)
    yield from (_landmarks_job(name) for name in rows)
    yield Job("heatmap68", "heatmap68", {"size_px": SIZE_PX, "precision": "32-true"}, hours=2.0)
    yield Job("dlib68", "dlib68", hours=0.4)


def _mesh() -> Iterator[Job]:
    yield _backbone_job("efficientnetv2b0", "aligned", MESH_BACKBONE)
    name = "mesh478-efficientnetv2b0"
    yield Job(name, name, MESH, "body-efficientnetv2b0", hours=0.6)


def _keypoints() -> Iterator[Job]:
    folder = "keypoints14-data"
    words = ("keypoints14", "prepare", "--data", "{data}", "--labels", "{labels}", "-o", f"{{out}}/{folder}")
    yield Job(folder, command=words, hours=0.1)
    yield Job("keypoints14", "keypoints14", needs=(folder,), places={"data": folder}, hours=1.0)


def _directions() -> Iterator[Job]:
    """List the heads, the teacher, the windows it labels, FPNet in the published form and in ours."""
    pack, labels = ("--data", "{data}"), ("--labels", "{labels}")
    heads = ("-o", "{out}/heads")
    yield _made("heads", ("synth", *pack, "--count", "6000", "--size", "192", *heads), 0.5)
    yield _made("heads-profiled", ("profile", *pack, *labels, "--count", "4000", *heads), 0.3, "heads")
    test = ("synth", *pack, "--count", "600", "--size", "192", "--split", "test", "-o", "{out}/heads-test")
    yield _made("heads-test", test, 0.1)
    both = ("heads", "heads-profiled")
    teacher = {"epochs": 20}
    places = {"rendered": "heads"}
    needs, tested = (*both, "heads-test"), {"rendered": "heads-test"}
    yield Job("6drepnet", "6drepnet", teacher, needs=needs, places=places, tested=tested, hours=2.0)
    model = ("--teachers", "6drepnet,face,points", "--model", "{out}/6drepnet/best.ckpt")
    for split, more in (("train", ["--rendered", "{out}/heads"]), ("val", [])):
        made = (
            "build-pose-set",
            *pack,
            *labels,
            "--split",
            split,
            *more,
            *model,
            "-o",
            f"{{out}}/poses/{split}",
        )
        yield _made(f"poses-{split}", made, 1.0 if split == "train" else 0.1, *both, "6drepnet")
    sets = ("poses-train", "poses-val")
    yield Job("mtcnn-published", "mtcnn-published", needs=both, places=places, hours=2.5)
    yield Job("fpnet-published", "fpnet-published", needs=sets, places={"data": "poses"}, hours=1.5)
    for name in ("fpnet", "fpnet-6drepnet"):
        changes = {} if name == "fpnet" else {"teacher": "6drepnet"}
        yield Job(name, "fpnet", changes, needs=sets, places={"data": "poses"}, hours=0.8)
    study = ("pose-study", "--data", "{out}/poses", "-o", "{out}/pose-study", "--processes", "1")
    heads_of_test = ("--heads", "{out}/heads-test", "--model", "{out}/6drepnet/best.ckpt")
    students = ("fpnet-published", "fpnet", "fpnet-6drepnet")
    rows = tuple(word for name in students for word in ("--row", f"{{out}}/{name}"))
    words = (*study, "--teacher", "6drepnet", *heads_of_test, *rows)
    yield _made("pose-study-run", words, 1.6, *students, "heads-test")


def _depth() -> Iterator[Job]:
    pack, labels = ("--data", "{data}"), ("--labels", "{labels}")
    parts = []
    for split, of, count in (("train", "train", "16000"), ("val", "test", "1000")):
        folder = ("-o", f"{{out}}/depth-data/{split}")
        heads = ("synth", *pack, "--count", count, "--size", "160", "--split", of, "--depth", *folder)
        seed = ("--seed", "21" if split == "train" else "22")
        yield _made(f"depth-heads-{split}", (*heads, *seed), 1.0 if split == "train" else 0.1)
        fitted = ("fit", *pack, *labels, "--split", split, *folder)
        yield _made(f"depth-faces-{split}", fitted, 0.6 if split == "train" else 0.1, f"depth-heads-{split}")
        parts.append(f"depth-faces-{split}")
    places = {"rendered": "depth-data"}
    yield Job("depth1", "depth1", {"steps": 9000}, needs=tuple(parts), places=places, hours=2.5)
    start = {"start": "depth1/last.ckpt"}
    yield Job("depth2", "depth2", {"steps": 6000}, needs=("depth1",), places=places | start, hours=1.0)


def _small() -> Iterator[Job]:
    words = ("compress-study", "--data", "{data}", "--labels", "{labels}", "--rendered", "{out}/heads")
    budget = ("--samples", "64000", "-o", "{out}/compress")
    yield _made("compress-study-run", (*words, *budget), 10.0, "heads", "heads-profiled")


def _made(name: str, command: tuple[str, ...], hours: float, *needs: str) -> Job:
    return Job(name, command=command, needs=needs, hours=hours)


def _backbone(recipe: str) -> str:
    return recipe.split("-")[1]


def _precision(backbone: str) -> dict[str, object]:
    return {"precision": "bf16-mixed" if backbone in DENSE_CONVOLUTIONS else "32-true"}


def _backbone_job(backbone: str, view: str, scale: Mapping[str, object]) -> Job:
    fixed = {"statistics_share": 0.5} if backbone in UNSTABLE else {}
    settings = {"backbone": backbone, "view": view, **_precision(backbone), **fixed, **scale}
    size_px, samples = float(str(scale["size_px"])), int(str(scale["epochs"])) * 4096
    hours = samples * SECONDS[backbone] * (size_px / SIZE_PX) ** 2 / 3600
    return Job(f"body-{backbone}", "body", settings, hours=hours)


def _landmarks_job(recipe: str) -> Job:
    backbone = _backbone(recipe)
    backbone_run = "" if recipe.endswith("not-pretrained") else f"body-{backbone}"
    hours = LANDMARKS_SAMPLES * (SECONDS[backbone] + READING) / 3600
    return Job(recipe, recipe, LANDMARKS | _precision(backbone), backbone_run, hours=hours)


def reproduce(
    data: Path,
    labels: Path,
    out: Path,
    only: Sequence[str] = (),
    processes: int = 2,
    say: Callable[[str], None] = lambda text: None,
    plan: bool = False,
    kept: Path | None = None,
) -> list[str]:
    """Run the unfinished rows, several at once; return the names of the finished rows.

    Args:
        data: the data pack.
        labels: mesh labels.
        out: folder of the runs.
        only: shell patterns of runs; those that they need are added.
        processes: rows at once, each with one thread, which is fastest on a CPU.
        say: receives the plan with its hours, before anything runs.
        plan: return after that, with nothing run.
        kept: folder for the figures of finished rows, small enough for a repository; rows that it holds are
            not run again. None to keep none.

    Raises:
        InputError: a pattern that matches no run.
        FacegeomError: a run has failed; its output is in its ``run.log``.
    """
    chosen = select(jobs(), only)

    def start(job: Job) -> None:
        machinery.run(job, data, labels, out)
        if kept:
            machinery.keep(job, out, kept)

    if kept:
        machinery.restore([_reseeded(job) for job in jobs() if job.recipe.startswith("landmarks")], out, kept)
        machinery.restore(jobs(), out, kept)
    say(plan_text(chosen, out, processes, 1.0 if all(job.done(out) for job in chosen) else slowness()))
    if plan:
        return [job.name for job in chosen if job.done(out)]
    run_jobs(chosen, start, out, processes)
    second = second_seeds(chosen, out)
    if any(not job.done(out) for job in second):
        say(f"{len(second)} second seeds, since the faces leave these comparisons open:")
        say(plan_text(second, out, processes, slowness()))
    run_jobs([*machinery.forgotten(chosen, second, out), *second], start, out, processes)
    return [job.name for job in [*chosen, *second]]


def second_seeds(chosen: Sequence[Job], out: Path) -> list[Job]:
    """Return the rows with a second seed: both rows of every comparison whose interval holds 0."""
    rows = {job.name: job for job in chosen if job.recipe.startswith("landmarks")}
    if not any((out / name / RESULT).is_file() for name in rows):
        return []
    runs = collect([out / name for name in rows])
    open_rows = [name for pair in comparisons() if _open(runs, *pair) for name in pair]
    names = [name for name in dict.fromkeys(open_rows) if name in rows]
    return [_reseeded(rows[name]) for name in names]


def _open(runs: Runs, name: str, base: str) -> bool:
    """Return whether the interval of the first seeds' difference holds 0."""
    first, other = (runs[each].first_seed() for each in (name, base))
    found = difference(first, other) if first.finished and other.finished else None
    return found is not None and not found.significant


def _reseeded(job: Job) -> Job:
    changes = {**job.overrides, "seed": SECOND_SEED}
    return Job(with_seed(job.name, SECOND_SEED), job.recipe, changes, job.backbone_run, hours=job.hours)


def comparisons() -> list[tuple[str, str]]:
    """Return the pairs of runs that the page compares: a changed one, and its baseline."""
    rows = {name for name in recipes.names() if recipes.kind(name) == "landmarks"}
    networks = dict.fromkeys(map(_backbone, sorted(rows)))
    losses = [(network_run(key, loss), network_run(key, "mse")) for key in networks for loss in LOSSES[1:]]
    as_is, notebook = network_run(ABLATED, "mse"), ablation_run(NOTEBOOK)
    changed = sorted(name for name in rows if name.startswith(f"{as_is}-") and name != notebook)
    return [*losses, *((name, notebook if name.startswith(notebook) else as_is) for name in changed)]

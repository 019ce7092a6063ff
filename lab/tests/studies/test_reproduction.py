"""The published experiments: the runs, their scale, order and commands, and the report of a failure."""

import subprocess
import threading
import time
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import pytest
import yaml
from typer.testing import CliRunner

from facegeom.errors import FacegeomError, InputError
from facegeom_lab.cli import lab
from facegeom_lab.evaluation.run import RESULT
from facegeom_lab.studies import jobs as machinery
from facegeom_lab.studies import reproduction
from facegeom_lab.studies.jobs import DONE, Job, plan_text, select
from facegeom_lab.studies.reproduction import jobs, reproduce, second_seeds
from facegeom_lab.training import recipes
from facegeom_lab.training.loop import BEST
from facegeom_lab.training.tasks.landmarks import LandmarksRecipe
from facegeom_lab.training.trainers import TRAINERS

BACKBONES = ("resnet18", "mobilenetv2", "efficientnetb0", "mobilenetv3", "mobilevit")
ABLATIONS = (
    *("no-warmup", "frozen", "not-pretrained", "detector-only"),
    *("no-rotation-colour", "no-rotation-colour-jitter"),
)
NOTEBOOK = (
    "notebook",
    *(f"notebook-{name}" for name in ABLATIONS if "warm" not in name and "pre" not in name),
)
DEPTH_DATA = [f"depth-{what}-{split}" for split in ("train", "val") for what in ("heads", "faces")]


def test_every_row_of_the_tables() -> None:
    rows = {job.name for job in jobs() if job.recipe.startswith("landmarks106")}
    losses = ("mse", "wing", "wing-unit")
    tables = {f"landmarks106-{body}-{loss}" for body in BACKBONES for loss in losses}
    changed = {f"landmarks106-mobilenetv3-mse-{name}" for name in (*ABLATIONS, *NOTEBOOK)}
    assert rows == tables | changed and len(rows) == 15 + 6 + 5
    names = [job.name for job in jobs()]
    assert len(set(names)) == len(names)
    wanted = {"mesh478-efficientnetv2b0", "keypoints14", "heatmap68", "dlib68", "6drepnet", "depth2"}
    assert {*wanted, *(f"body-{body}" for body in BACKBONES)} <= set(names)
    assert {"mtcnn-published", "fpnet-published", "compress-study-run"} <= set(names)


def test_what_is_needed_comes_first() -> None:
    places = {job.name: place for place, job in enumerate(jobs())}
    for job in jobs():
        assert all(places[name] < places[job.name] for name in job.before)
        assert job.hours > 0 and bool(job.recipe) != bool(job.command)
        if job.recipe.startswith(("landmarks106", "mesh478")):
            random = job.recipe.endswith("not-pretrained")
            assert job.backbone_run == ("" if random else f"body-{job.recipe.split('-')[1]}")


def test_commands_are_those_of_the_program() -> None:
    """Each command of a job is parsed by the command line, its options known."""
    for job in jobs():
        if job.command:
            words = [word.format(data="d", labels="l", out="o") for word in job.command]
            result = CliRunner().invoke(lab.app, [*words, "--help"])
            assert result.exit_code == 0, (job.name, result.output)
            options = {word for word in words if word.startswith("--")}
            assert all(option in result.output for option in options), (job.name, options)


@pytest.mark.parametrize("job", [job for job in jobs() if job.recipe], ids=lambda job: job.name)
def test_settings_are_those_of_the_recipe(job: Job) -> None:
    """Load the overrides as a recipe; the command line keeps their types."""
    module, recipe_type = TRAINERS[recipes.kind(job.recipe)]
    chosen = asdict(recipes.load(getattr(import_module(module), recipe_type), job.recipe, **job.overrides))
    assert chosen.items() >= job.overrides.items()
    assert all(yaml.safe_load(str(value)) == value for value in job.overrides.values())


def test_the_schedule_of_the_landmarks_is_the_published_one() -> None:
    """Warm up from 1e-5 to 1e-3 over 3 epochs, quarter after 4 without progress, stop at 1e-6; 40 epochs."""
    rows = [job for job in jobs() if job.recipe.startswith("landmarks106")]
    for job in rows:
        recipe = recipes.load(LandmarksRecipe, job.recipe, **job.overrides)
        ablated = job.recipe.endswith(("no-warmup", "not-pretrained"))
        assert (recipe.warmup_from, recipe.learning_rate) == (1e-5, 1e-3)
        assert recipe.warmup_epochs == (0 if ablated else 3)
        assert (recipe.patience, recipe.factor, recipe.stop_at_rate) == (4, 0.25, 1e-6)
        assert (recipe.max_epochs, recipe.size_px) == (40, 96)
        shortest = 1 + 5 * (recipe.patience + 1)  # the rate is quartered five times before it is below 1e-6
        assert shortest * recipe.samples_per_epoch >= 60_000 and recipe.mesh_faces


def test_the_length_of_the_backbones() -> None:
    epochs = {job.name: job.overrides["epochs"] for job in jobs() if job.recipe == "body"}
    assert epochs == {f"body-{name}": 16 for name in BACKBONES} | {"body-efficientnetv2b0": 30}


def test_the_scale_leaves_the_ablations_alone() -> None:
    for name, key in (("no-warmup", "warmup_epochs"), ("not-pretrained", "warmup_epochs")):
        job = next(job for job in jobs() if job.name == f"landmarks106-mobilenetv3-mse-{name}")
        assert key not in job.overrides
    changed = (
        "pretrained",
        "truth_share",
        "frozen_blocks",
        "turn_deg",
        "colour",
        "jitter",
        "loss",
        "backbone",
    )
    rows = [job for job in jobs() if job.recipe.startswith("landmarks106")]
    assert not any(key in job.overrides for job in rows for key in changed)


@pytest.mark.parametrize(
    ("only", "names"),
    [
        (
            ["landmarks106-resnet18-*"],
            ["body-resnet18", *(f"landmarks106-resnet18-{k}" for k in ("mse", "wing", "wing-unit"))],
        ),
        (["*not-pretrained"], ["landmarks106-mobilenetv3-mse-not-pretrained"]),
        (["body-mobilevit", "*mobilevit-wing"], ["body-mobilevit", "landmarks106-mobilevit-wing"]),
        (["depth1"], [*DEPTH_DATA, "depth1"]),
        ([], [job.name for job in jobs()]),
    ],
)
def test_select(only: list[str], names: list[str]) -> None:
    assert [job.name for job in select(jobs(), only)] == names


def test_a_pattern_that_fits_nothing() -> None:
    with pytest.raises(InputError, match=r"no run matches vgg\*, x; there are body-.*, mesh478"):
        select(jobs(), ["vgg*", "x"])


JOBS = [
    *(Job(name, "body", evaluated=False) for name in ("body-a", "body-b")),
    *(Job(f"row-{name}", "row", backbone_run=f"body-{name}") for name in ("a", "b")),
    Job("row-c", "row"),
]


class Worker:
    """Replaces a run: waits, writes the file of a finished one, records beginning and end."""

    def __init__(self, fails: str = "") -> None:
        self.fails, self.notes, self.lock = fails, [], threading.Lock()

    def __call__(self, job: Job, data: Path, labels: Path, out: Path) -> None:
        self.note(job.name, "begins")
        time.sleep(0.02)
        if job.name == self.fails:
            raise FacegeomError(f"see {out / job.name / 'run.log'}")
        (out / job.name).mkdir()
        (out / job.name / (RESULT if job.evaluated else DONE)).touch()
        self.note(job.name, "ends")

    def note(self, name: str, what: str) -> None:
        with self.lock:
            self.notes.append((name, what))

    def begun(self) -> list[str]:
        return [name for name, what in self.notes if what == "begins"]

    def at_once(self) -> int:
        steps = [1 if what == "begins" else -1 for _, what in self.notes]
        return max(sum(steps[: k + 1]) for k in range(len(steps)))


def rerun(worker: Worker, out: Path, monkeypatch: pytest.MonkeyPatch, **options: object) -> list[str]:
    monkeypatch.setattr(reproduction, "jobs", lambda: list(JOBS))
    monkeypatch.setattr(reproduction, "slowness", lambda: 2.0)
    monkeypatch.setattr(machinery, "run", worker)
    return reproduce(Path("data"), Path("labels.npz"), out, **options)


@pytest.mark.parametrize("processes", [1, 2, 9])
def test_order(processes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker()
    done = rerun(worker, tmp_path, monkeypatch, processes=processes)
    assert done == [job.name for job in JOBS] and sorted(worker.begun()) == sorted(done)
    for name in ("a", "b"):
        body, row = (f"body-{name}", "ends"), (f"row-{name}", "begins")
        assert worker.notes.index(body) < worker.notes.index(row)
    assert worker.at_once() <= processes
    if processes == 1:
        assert worker.begun() == done
    else:
        assert worker.at_once() > 1


def test_what_is_done_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rerun(Worker(), tmp_path, monkeypatch, only=["row-a"]) == ["body-a", "row-a"]
    second = Worker()
    assert rerun(second, tmp_path, monkeypatch, only=["row-*"]) == [job.name for job in JOBS]
    assert sorted(second.begun()) == ["body-b", "row-b", "row-c"]
    third = Worker()
    rerun(third, tmp_path, monkeypatch)
    assert third.begun() == []


@pytest.mark.parametrize("processes", [1, 2])
def test_a_failure_ends_it(processes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(fails="body-b")
    with pytest.raises(FacegeomError, match=r"body-b.run\.log"):
        rerun(worker, tmp_path, monkeypatch, processes=processes)
    assert "row-b" not in worker.begun()
    again = Worker()
    rerun(again, tmp_path, monkeypatch)
    assert "body-a" not in again.begun() and {"body-b", "row-b"} <= set(again.begun())


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Record the commands instead of running them."""
    calls: list[list[str]] = []

    def note(words: list[str], env: dict[str, str], **_: object) -> SimpleNamespace:
        assert words[1:4] == ["-m", "facegeom", "lab"] and env["OMP_NUM_THREADS"] == "1"
        calls.append(words[4:])
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", note)
    return calls


def test_commands_of_a_row(commands: list[list[str]], tmp_path: Path) -> None:
    job = Job(
        "row", "landmarks106-resnet18-wing", {"size_px": 96, "factor": 0.5}, backbone_run="body-resnet18"
    )
    machinery.run(job, Path("pack"), Path("labels.npz"), tmp_path)
    given = ["--data", "pack", "--labels", "labels.npz", "--workers", "0"]
    body = tmp_path / "body-resnet18" / "best.ckpt"
    values = ["--set", "size_px=96", "--set", "factor=0.5", "--set", f"pretrained={body}"]
    assert commands == [
        ["train", "landmarks106-resnet18-wing", "-o", str(tmp_path / "row"), *given, *values],
        ["evaluate", str(tmp_path / "row"), *given],
    ]


def test_commands_of_a_row_that_reads_other_runs(commands: list[list[str]], tmp_path: Path) -> None:
    places, tested = {"data": "poses", "start": "depth1/last.ckpt", "rendered": "heads"}, {"rendered": "test"}
    job = Job("row", "fpnet", places=places, tested=tested)
    machinery.run(job, Path("pack"), Path("labels.npz"), tmp_path)
    train, evaluate = commands
    assert (
        train[train.index("--data") + 1] == evaluate[evaluate.index("--data") + 1] == str(tmp_path / "poses")
    )
    assert train[train.index("--start") + 1] == str(tmp_path / "depth1" / "last.ckpt")
    rendered = [words[words.index("--rendered") + 1] for words in (train, evaluate)]
    assert rendered == [
        str(tmp_path / "heads"),
        str(tmp_path / "test"),
    ]  # not measured on what it learned from


def test_a_command(commands: list[list[str]], tmp_path: Path) -> None:
    job = Job("heads", command=("synth", "--data", "{data}", "-o", "{out}/heads"))
    machinery.run(job, Path("pack"), Path("labels.npz"), tmp_path)
    assert commands == [["synth", "--data", "pack", "-o", f"{tmp_path}/heads"]] and job.done(tmp_path)


def test_the_plan_names_hours(tmp_path: Path) -> None:
    chosen = [Job("a", "row", hours=2), Job("b", "row", needs=("a",), hours=1), Job("c", "row", hours=1)]
    text = plan_text(chosen, tmp_path, 2, 1.5)
    assert text.startswith("3 of 3 runs are left; about 4.5 hours with 2 at once:")  # b waits for a
    assert "   3.0  a" in text
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / RESULT).touch()
    assert plan_text(chosen, tmp_path, 2, 1.5) == "all 3 runs are finished"


def test_a_plan_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker, said = Worker(), []
    assert rerun(worker, tmp_path, monkeypatch, say=said.append, plan=True) == []
    assert worker.begun() == [] and said[0].startswith("5 of 5 runs are left")


def test_second_seeds_for_what_the_faces_leave_open(tmp_path: Path, write_runs) -> None:
    """As is and no warm-up err alike; the squared error and Wing do not."""
    root = "landmarks106-mobilenetv3-"
    write_runs(tmp_path, f"{root}mse", f"{root}wing", f"{root}mse-no-warmup")
    chosen = select(jobs(), [f"{root}mse", f"{root}wing", f"{root}mse-no-warmup"])
    second = second_seeds(chosen, tmp_path)
    assert [job.name for job in second] == [f"{root}mse-no-warmup-seed2", f"{root}mse-seed2"]
    assert all(job.overrides["seed"] == 2 and job.backbone_run == "body-mobilenetv3" for job in second)
    assert second_seeds(chosen, tmp_path / "nothing") == []


def test_commands_of_a_body(commands: list[list[str]], tmp_path: Path) -> None:
    job = Job("body-resnet18", "body", {"view": "close"}, evaluated=False)
    assert not job.done(tmp_path)
    machinery.run(job, Path("pack"), Path("labels.npz"), tmp_path)
    assert [words[0] for words in commands] == ["train"] and commands[0][-2:] == ["--set", "view=close"]
    assert job.done(tmp_path)


def test_what_a_failed_command_said_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(words: list[str], stdout: BinaryIO, stderr: int, **_: object) -> SimpleNamespace:
        assert stderr == subprocess.STDOUT
        stdout.write(f"error of {words[4]}\n".encode())
        return SimpleNamespace(returncode=2)

    monkeypatch.setattr(subprocess, "run", fails)
    job = Job("row", "landmarks106-resnet18-wing")
    for _ in range(2):
        with pytest.raises(FacegeomError, match=r"lab train landm.* failed with exit code 2; see .*run\.log"):
            machinery.run(job, tmp_path, tmp_path / "labels.npz", tmp_path)
    assert (tmp_path / "row" / "run.log").read_text() == "error of train\n" * 2
    assert not job.done(tmp_path)


class TestKeptRows:
    """Figures of finished rows outlive the folder of the runs."""

    def finish(self, job: Job, *_: object) -> None:
        """Stand for a run: leave a network, what a report reads, and its log."""
        folder = self.out / job.name
        (folder / "log" / "version_0").mkdir(parents=True)
        for name in (RESULT, "recipe.yaml", "errors_test.json", "log/version_0/metrics.csv", BEST):
            (folder / name).write_text("{}")
        self.begun.append(job.name)

    def rerun(self, monkeypatch: pytest.MonkeyPatch, root: Path, runs: str, *only: str) -> list[str]:
        """Run the rows in a folder of their own; return those that were run."""
        self.out, self.begun = root / runs, list[str]()
        monkeypatch.setattr(reproduction, "jobs", lambda: [replace(job, evaluated=True) for job in JOBS])
        monkeypatch.setattr(reproduction, "slowness", lambda: 2.0)
        monkeypatch.setattr(machinery, "run", self.finish)
        reproduce(Path("data"), Path("labels.npz"), self.out, only, processes=1, kept=root / "kept")
        return self.begun

    def test_only_what_is_left_is_run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.rerun(monkeypatch, tmp_path, "first", "row-a") == ["body-a", "row-a"]
        files = sorted(path.name for path in (tmp_path / "kept" / "row-a").rglob("*") if path.is_file())
        assert files == ["errors_test.json", "metrics.csv", "recipe.yaml", RESULT]  # no network
        # in a new place: the row is not run again, nor the body that no other row needs
        assert self.rerun(monkeypatch, tmp_path, "second") == ["body-b", "row-b", "row-c"]
        assert (tmp_path / "second" / "row-a" / "log" / "version_0" / "metrics.csv").is_file()
        assert self.rerun(monkeypatch, tmp_path, "third") == []

    def test_a_body_whose_network_is_gone_is_trained_again(self, tmp_path: Path) -> None:
        body, row = Job("body", "body"), Job("row-seed2", "row", backbone_run="body")
        (tmp_path / "body").mkdir()
        (tmp_path / "body" / RESULT).touch()
        assert machinery.forgotten([body], [row], tmp_path) == [body] and not body.done(tmp_path)
        (tmp_path / "body" / RESULT).touch()
        (tmp_path / "body" / BEST).touch()
        assert machinery.forgotten([body], [row], tmp_path) == [] and body.done(tmp_path)

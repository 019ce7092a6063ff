"""``facegeom lab`` as a user types it: help, arguments that reach the training, error messages."""

import json
import re
from inspect import signature
from pathlib import Path

import pytest
from typer.testing import CliRunner

from facegeom.cli.root import app
from facegeom_lab import export
from facegeom_lab.cli.lab import app as lab
from facegeom_lab.measures.tables import Report, Table
from facegeom_lab.training import recipes, trainers
from facegeom_lab.training.trainers import Inputs

CALLBACKS = {
    command.name or command.callback.__name__: command.callback for command in lab.registered_commands
}
WITH_ARGUMENTS = [name for name, callback in CALLBACKS.items() if signature(callback).parameters]
LANDMARKS = "landmarks106-mobilenetv3-mse"

NEEDS_DATA = {
    "label": ["label", "--data", "{data}", "--out", "{out}", "--python", "python3"],
    "canonical": ["canonical", "--data", "{data}", "--out", "{out}"],
    "synth": ["synth", "--data", "{data}", "--count", "1", "--out", "{out}"],
    "train detector": ["train", "detector", "--data", "{data}", "--out", "{out}", "--labels", "{data}.npz"],
    "train face": ["train", "face", "--data", "{data}", "--out", "{out}", "--labels", "{data}/labels.npz"],
    "train landmarks": ["train", LANDMARKS, "--data", "{data}", "--out", "{out}", "--set", "pretrained=none"],
    "train body": ["train", "body", "--data", "{data}", "--out", "{out}"],
    "train from a body": ["train", LANDMARKS, "--data", ".", "-o", "{out}", "--set", "pretrained={data}"],
    "evaluate": ["evaluate", "{data}", "--data", "."],
    "evaluate-pose": ["evaluate-pose", "aflw2000", "--root", "{data}", "--out", "{out}"],
    "mine": ["mine", "--data", "{data}", "--pnet", "p.onnx", "--rnet", "r.onnx", "--out", "{out}"],
    "train face without labels": ["train", "face", "--data", ".", "--out", "{out}", "--labels", "{data}.npz"],
    "export": ["export", "face", "{data}/last.ckpt", "--out", "{out}"],
}


def run(*arguments: str) -> tuple[int, str, str]:
    """Return the exit code, stdout and stderr."""
    result = CliRunner().invoke(app, ["lab", *arguments], env={"COLUMNS": "200"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def test_every_command_is_listed() -> None:
    code, printed, _ = run("--help")
    wanted = {"label", "canonical", "synth", "train", "recipes", "evaluate", "reproduce", "mine", "export"}
    assert code == 0 and wanted <= set(CALLBACKS)
    assert all(re.search(rf"\b{name}\b", printed) for name in CALLBACKS)


@pytest.mark.parametrize("group", [["bench"], ["lab"], ["lab", "keypoints14"]])
def test_groups_have_help(group: list[str]) -> None:
    short, long = (CliRunner().invoke(app, [*group, flag]) for flag in ("-h", "--help"))
    assert long.exit_code == 0 and short.exit_code == 0 and short.stdout == long.stdout


@pytest.mark.parametrize("name", CALLBACKS)
def test_help(name: str) -> None:
    assert run(name, "--help")[0] == 0


@pytest.mark.parametrize("name", WITH_ARGUMENTS)
def test_examples_name_options_that_exist(name: str) -> None:
    printed = run(name, "--help")[1]
    assert re.search(rf"Examples?:\s+facegeom lab {name} \S", printed)
    examples = re.findall(rf"facegeom lab {name} .*", printed[printed.index("Example") :])
    rest = printed
    for example in examples:
        rest = rest.replace(example, "")
    known = set(re.findall(r"--?[a-z][a-z-]*", rest))
    assert {option for each in examples for option in re.findall(r"(?<= )--?[a-z][a-z-]*", each)} <= known


@pytest.mark.parametrize("arguments", NEEDS_DATA.values(), ids=NEEDS_DATA)
def test_missing_data(arguments: list[str], tmp_path: Path) -> None:
    places = {"data": str(tmp_path / "nowhere"), "out": str(tmp_path / "out")}
    code, _, reported = run(*(part.format(**places) for part in arguments))
    assert code == 2
    assert re.search(r"error: .*nowhere", reported)
    assert not list(tmp_path.rglob("*.npz"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "onet", "--data", "."], "error: expected one of the recipes 6drepnet, body, "),
        (["train", "face"], "Missing option '--data'"),
        (["train", "face", "--data", ".", "--set", "steps"], "expected KEY=VALUE, got 'steps'"),
        (["train", "face", "--data", ".", "--set", "step=7"], "error: recipe face: unknown keys ['step']"),
        (
            ["train", "face", "--data", ".", "--set", "steps=0.5"],
            "error: recipe face: steps must be int, got 0.5",
        ),
        (["train", "face", "--data", ".", "--set", "batch=true"], "batch must be int, got True"),
        (["train", LANDMARKS, "--data", ".", "--dataset", "faces"], "error: expected one of lapa, 300w, "),
        (
            ["train", LANDMARKS, "--data", ".", "--set", "loss=huber"],
            "error: expected the loss mse, wing, wing-unit",
        ),
        (["train", "body", "--data", ".", "--set", "view=side"], "error: expected the view close or frame"),
        (
            ["evaluate", ".", "--data", "."],
            "error: expected a run of `facegeom lab train` in ., but recipe.yaml",
        ),
        (["evaluate", "--data", "."], "Missing argument"),
        (["reproduce", "--data", ".", "--only", "vgg*"], "error: no run matches vgg*; there are body-"),
        (["reproduce", "--data", ".", "--processes", "0"], "Invalid value for '--processes'"),
        (["synth", "--data", ".", "--count", "0", "-o", "out"], "Invalid value for '--count'"),
        (["export", "onet", "last.ckpt", "-o", "out"], "'onet' is not one of"),
        (["label", "--data", ".", "--teacher", "dlib"], "'dlib' is not"),
    ],
)
def test_wrong_arguments(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, reported = run(*arguments)
    assert code == 2 and said in reported


def test_recipes_are_listed_with_their_kinds() -> None:
    code, printed, _ = run("recipes")
    assert code == 0
    told = dict(line.split() for line in printed.splitlines())
    assert told == {name: recipes.kind(name) for name in recipes.names()}


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Inputs, dict[str, object]]]:
    """Record what is trained; the training makes one network that ships and one that does not."""
    asked: list[tuple[str, Inputs, dict[str, object]]] = []

    def train(name: str, inputs: Inputs, overrides: dict[str, object]) -> dict[str, Path]:
        asked.append((name, inputs, overrides))
        return {"pnet": inputs.out / "pnet.ckpt", "body": inputs.out / "best.ckpt"}

    monkeypatch.setattr(trainers, "train", train)
    monkeypatch.setattr(export, "export", lambda name, checkpoint, out: out / f"{name}.onnx")
    return asked


def test_train(trained: list[tuple[str, Inputs, dict[str, object]]], tmp_path: Path) -> None:
    words = ["--dataset", "lapa", "--start", "first.ckpt", "--workers", "0", "--processes", "3"]
    values = ["batch=8", "learning_rate=0.5", "loss=wing", "pretrained=runs/body=1/best.ckpt"]
    settings = [word for value in values for word in ("--set", value)]
    code, printed, _ = run("train", "face", "--data", "LaPa", "-o", str(tmp_path), *words, *settings)
    assert code == 0
    assert printed.split() == ["wrote", str(tmp_path / "pnet.onnx"), "wrote", str(tmp_path / "best.ckpt")]
    [(name, inputs, overrides)] = trained
    expected = Inputs(
        Path("LaPa"), tmp_path, "lapa", start=Path("first.ckpt"), workers=0, processes=3, rendered=None
    )
    assert (name, inputs) == ("face", expected)
    body = "runs/body=1/best.ckpt"
    assert overrides == {"batch": 8, "learning_rate": 0.5, "loss": "wing", "pretrained": body}


def test_train_by_default(trained: list[tuple[str, Inputs, dict[str, object]]]) -> None:
    assert run("train", "detector", "--data", "data")[0] == 0
    assert trained == [("detector", Inputs(Path("data"), Path("runs/detector")), {})]


def test_evaluate(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Inputs] = []
    monkeypatch.setattr(trainers, "evaluate", lambda inputs: asked.append(inputs) or {"gpu_ms": None})
    code, printed, _ = run("evaluate", "runs/one", "--data", "LaPa", "--dataset", "lapa", "--workers", "1")
    assert code == 0 and printed.splitlines() == [
        "gpu_ms                           -",
        "wrote runs/one/result.json",
    ]
    assert asked == [Inputs(Path("LaPa"), Path("runs/one"), "lapa", workers=1)]


@pytest.mark.parametrize("teacher", ["mediapipe-task", "heatmap"])
def test_a_teacher_without_its_model(teacher: str, tmp_path: Path) -> None:
    code, _, said = run("label-folder", str(tmp_path), "--teacher", teacher, "--python", "python")
    assert code == 2 and f"the teacher {teacher} needs" in said


def test_a_folder_without_photos(tmp_path: Path) -> None:
    out = tmp_path / "labels.parquet"
    code, _, said = run("label-folder", str(tmp_path), "-o", str(out), "--python", "python")
    assert code == 2 and str(tmp_path) in said and not out.exists()


def test_a_report_without_runs(tmp_path: Path) -> None:
    code, _, said = run("report", str(tmp_path), "-o", str(tmp_path / "report"))
    assert code == 2 and str(tmp_path) in said and not (tmp_path / "report").exists()


@pytest.mark.parametrize(
    ("word", "value"),
    [("rate=1e-4", 1e-4), ("rate=0.5", 0.5), ("n=3", 3), ("on=true", True), ("b=a/b", "a/b")],
)
def test_settings(trained: list[tuple[str, Inputs, dict[str, object]]], word: str, value: object) -> None:
    assert run("train", "face", "--data", "data", "--set", word)[0] == 0
    assert list(trained[0][2].values()) == [value]


@pytest.mark.parametrize("word", ["batch", "batch=", "batch=["])
def test_settings_that_say_nothing(word: str) -> None:
    assert run("train", "face", "--data", "data", "--set", word)[0] == 2


def test_evaluate_pose(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Pass the arguments on to the evaluation; print and write its report."""
    asked: list[tuple[object, ...]] = []

    def measure(*arguments: object) -> Report:
        asked.append(arguments)
        return Report("Head pose", {"faces": "3"}, [Table("Head pose: BIWI", "How.", ("yaw °",), [(1.25,)])])

    monkeypatch.setattr("facegeom_lab.evaluation.pose.run", measure)
    options = ["--at", "labelled", "--count", "3", "-o", str(tmp_path / "out")]
    code, printed, _ = run("evaluate-pose", "biwi", "--root", "hpdb", *options)
    assert code == 0 and asked == [("biwi", Path("hpdb"), None, "labelled", "given", 3)]
    assert "| 1.25 |" in printed and (tmp_path / "out/pose.md").read_text() == printed.removesuffix("\n")
    assert json.loads((tmp_path / "out/pose.json").read_text())["tables"][0]["rows"] == [[1.25]]

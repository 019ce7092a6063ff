"""``facegeom lab`` as a user types it: help, and what is said when the data pack is not there."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from facegeom.cli.lab import app as lab
from facegeom.cli.root import app

COMMANDS = [command.name or command.callback.__name__ for command in lab.registered_commands]

NEEDS_DATA = {
    "label": ["label", "--data", "{data}", "--out", "{out}", "--python", "python3"],
    "canonical": ["canonical", "--data", "{data}", "--out", "{out}"],
    "synth": ["synth", "--data", "{data}", "--count", "1", "--out", "{out}"],
    "train detector": ["train", "detector", "--data", "{data}", "--out", "{out}", "--workers", "0"],
    "train face": ["train", "face", "--data", "{data}", "--out", "{out}", "--labels", "{data}/labels.npz"],
    "mine": ["mine", "--data", "{data}", "--pnet", "p.onnx", "--rnet", "r.onnx", "--out", "{out}"],
    "train face without labels": ["train", "face", "--data", ".", "--out", "{out}", "--labels", "{data}.npz"],
    "export": ["export", "face", "{data}/last.ckpt", "--out", "{out}"],
}


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code, what was printed, what was reported."""
    result = CliRunner().invoke(app, ["lab", *arguments], env={"COLUMNS": "200"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def test_every_command_is_listed() -> None:
    code, printed, _ = run("--help")
    assert code == 0 and {"label", "canonical", "synth", "train", "mine", "export"} <= set(COMMANDS)
    assert all(re.search(rf"\b{name}\b", printed) for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_with_an_example(name: str) -> None:
    code, printed, _ = run(name, "--help")
    assert code == 0
    assert re.search(rf"Example: facegeom lab {name} \S", printed)


@pytest.mark.parametrize("name", COMMANDS)
def test_example_names_options_that_exist(name: str) -> None:
    printed = run(name, "--help")[1]
    example = re.search(r"Example: (.*)", printed)
    assert example is not None
    known = set(re.findall(r"--?[a-z][a-z-]*", printed.replace(example[0], "")))
    assert set(re.findall(r"(?<= )--?[a-z][a-z-]*", example[1])) <= known


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
        (["train", "body", "--data", "."], "'body' is not one of 'detector', 'face'"),
        (["train", "face"], "Missing option '--data'"),
        (["synth", "--data", ".", "--count", "0", "-o", "out"], "Invalid value for '--count'"),
        (["export", "onet", "last.ckpt", "-o", "out"], "'onet' is not one of"),
        (["label", "--data", ".", "--teacher", "dlib"], "'dlib' is not"),
    ],
)
def test_wrong_arguments(arguments: list[str], said: str) -> None:
    code, _, reported = run(*arguments)
    assert code == 2 and said in reported

"""The command ``facegeom`` itself: version, help, groups, errors, import times."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from facegeom.cli.options import add_stand_in
from facegeom.cli.root import add_lab_commands, app
from facegeom.errors import FacegeomError, InputError, OutputError, WeightsError

runner = CliRunner()


def test_version() -> None:
    result = runner.invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"facegeom {version('facegeom')}\n")


def test_help_names_the_commands() -> None:
    result = runner.invoke(app, ["--help"])
    assert result.exit_code == 0
    assert all(name in result.stdout for name in ("analyze", "bench", "lab"))


@pytest.mark.parametrize(
    "command", [[], *([name] for name in ("analyze", "detect", "video", "live", "serve", "batch"))]
)
def test_short_help_is_the_help(command: list[str]) -> None:
    short, long = (runner.invoke(app, [*command, flag]) for flag in ("-h", "--help"))
    assert short.exit_code == 0 and short.stdout == long.stdout and "--help" in long.stdout


@pytest.mark.parametrize("group", ["bench", "lab"])
def test_without_the_laboratory_its_groups_say_how_to_install_it(
    group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facegeom.cli.root.entry_points", lambda group: ())
    alone = typer.Typer()
    add_lab_commands(alone)
    shown = runner.invoke(alone, [group, "--help"])
    assert shown.exit_code == 0
    assert "needs facegeom-lab: pip install ./lab" in " ".join(shown.stdout.replace("│", "").split())
    for arguments in ([group], [group, "train", "face", "--data", "data"]):
        refused = runner.invoke(alone, arguments)
        assert isinstance(refused.exception, InputError)
        needs = f"facegeom {group} needs facegeom-lab: pip install ./lab in a checkout of facegeom"
        assert str(refused.exception) == needs


def test_missing_extra_says_how_to_install_it() -> None:
    stand_in = typer.Typer()
    stand_in.command()(lambda: None)
    add_stand_in(stand_in, "video", "Follow.", "the extra [video]: pip install 'facegeom[video]'")
    shown = runner.invoke(stand_in, ["video", "--help"])
    assert shown.exit_code == 0
    assert "pip install 'facegeom[video]'" in " ".join(shown.stdout.replace("│", "").split())
    for arguments in (["video"], ["video", "talk.mp4", "--smooth", "3"]):
        refused = runner.invoke(stand_in, arguments)
        assert isinstance(refused.exception, InputError)
        assert "needs the extra [video]: pip install 'facegeom[video]'" in str(refused.exception)


@pytest.mark.parametrize(
    ("error", "code"), [(InputError, 2), (OutputError, 2), (WeightsError, 1), (FacegeomError, 1)]
)
def test_errors_are_one_line(error: type[FacegeomError], code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise error("expected this, got that")

    monkeypatch.setattr("facegeom.cli.analyze._analyzer", fail)
    result = runner.invoke(app, ["analyze", "--demo", "-o", "/tmp"])
    assert (result.exit_code, result.stderr) == (code, "error: expected this, got that\n")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (MemoryError(), 1, "error: not enough memory;"),
        (KeyError("x"), 1, "error: unexpected KeyError: 'x'; please report it"),
        (KeyboardInterrupt(), 130, "stopped by Ctrl-C"),
    ],
)
def test_other_errors_are_one_line_too(
    error: BaseException, code: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("facegeom.cli.analyze._analyzer", fail)
    result = runner.invoke(app, ["analyze", "--demo", "-o", "/tmp"])
    assert result.exit_code == code and result.stderr.startswith(message) and result.stderr.count("\n") == 1
    monkeypatch.setenv("FACEGEOM_TRACEBACK", "1")
    if isinstance(error, KeyError):
        assert runner.invoke(app, ["analyze", "--demo", "-o", "/tmp"]).exception is error


def test_command_starts_without_the_heavy_packages() -> None:
    heavy = {"onnxruntime", "torch", "cv2"}
    code = f"import sys, facegeom.cli.root; print(*{heavy!r} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_closed_standard_streams_are_no_pipes_of_workers(tmp_path: Path, closed: str) -> None:
    script = f"{sys.executable} -m facegeom analyze --demo -o out --format json {closed}"
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, timeout=120, check=False)
    assert done.returncode == 0 and (tmp_path / "out" / "astronaut.json").is_file()


def test_names_that_the_terminal_cannot_show(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "facegeom", "analyze", "--demo", "-o", "éa 中", "--format", "json"]
    ascii_only = os.environ | {"PYTHONIOENCODING": "cp1252:strict"}
    done = subprocess.run(
        command, cwd=tmp_path, env=ascii_only, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0 and b"\\u4e2d" in done.stdout

"""The command ``facegeom`` itself: version, help, groups, errors, import times."""

import subprocess
import sys
from importlib.metadata import version

import pytest
import typer
from typer.testing import CliRunner

from facegeom.cli.extras import add_stand_in
from facegeom.cli.root import app
from facegeom.errors import FacegeomError, InputError, OutputError, WeightsError

runner = CliRunner()


def test_version() -> None:
    result = runner.invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"facegeom {version('facegeom')}\n")


def test_help_names_the_commands() -> None:
    result = runner.invoke(app, ["--help"])
    assert result.exit_code == 0
    assert all(name in result.stdout for name in ("analyze", "bench", "lab"))


@pytest.mark.parametrize("group", ["bench", "lab"])
def test_group_has_help(group: str) -> None:
    assert runner.invoke(app, [group, "--help"]).exit_code == 0


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


def test_command_starts_without_the_heavy_packages() -> None:
    heavy = {"onnxruntime", "torch", "cv2"}
    code = f"import sys, facegeom.cli.root; print(*{heavy!r} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == ""

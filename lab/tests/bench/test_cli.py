"""``facegeom bench`` as a user types it."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from facegeom_lab.cli.bench import app


@pytest.mark.parametrize("command", ["accuracy", "speed", "rotation"])
def test_help_shows_an_example(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert f"Example: facegeom bench {command} --data data" in shown.output


def test_a_peer_python_without_a_name_is_a_usage_error(pack: Path) -> None:
    shown = CliRunner().invoke(app, ["accuracy", "--data", str(pack), "--peer-python", sys.executable])
    assert shown.exit_code == 2
    assert "NAME=PYTHON" in shown.output

"""``facegeom lab depth-sheet`` and ``facegeom analyze --format depth`` as a user runs them."""

from importlib.resources import as_file, files
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from facegeom.cli.root import app

runner = CliRunner()


def test_analyze_writes_depth(tmp_path: Path) -> None:
    done = runner.invoke(app, ["analyze", "--demo", "-o", str(tmp_path), "--format", "json,depth,surface"])
    assert done.exit_code == 0, done.output
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        *("astronaut.0.depth.png", "astronaut.0.points.ply", "astronaut.0.surface.glb", "astronaut.json")
    ]


def test_a_sheet(tmp_path: Path) -> None:
    with as_file(files("facegeom") / "data" / "astronaut.jpg") as portrait:
        done = runner.invoke(app, ["lab", "depth-sheet", str(portrait), "-o", str(tmp_path / "sheet.png")])
    assert done.exit_code == 0, done.output
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.size == (1600, 640)
        assert picture.convert("L").crop((0, 320, 160, 480)).getextrema()[1] > 150  # the lit surface


@pytest.mark.parametrize("command", [["lab", "fit"], ["lab", "report-depth"], ["bench", "depth"]])
def test_what_lacks_arguments_is_told(command: list[str]) -> None:
    done = runner.invoke(app, command)
    assert done.exit_code == 2
    assert "Missing" in done.output

"""The commands of the studies as a user types them."""

from importlib.resources import as_file, files
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from facegeom.cli.root import app

runner = CliRunner()


@pytest.mark.parametrize("command", ["compress", "compress-study", "report-compression", "quantise"])
def test_help_has_an_example(command: str) -> None:
    done = runner.invoke(app, ["lab", command, "--help"])
    assert done.exit_code == 0
    assert "facegeom lab" in done.output


def test_a_method_that_needs_a_checkpoint_says_so(tmp_path: Path) -> None:
    (tmp_path / "directions.npz").touch()
    words = ["lab", "compress", "fitnets", "--data", str(tmp_path), "-o", str(tmp_path / "run")]
    done = runner.invoke(app, words)
    assert done.exit_code == 2
    assert "starts from a trained vgg-s" in " ".join(done.output.split())


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

"""The commands as a user types them."""

import pytest
from typer.testing import CliRunner

from facegeom.cli.root import app


@pytest.mark.parametrize("command", ["compress", "compress-study", "report-compression", "quantise"])
def test_help_has_an_example(command: str) -> None:
    answer = CliRunner().invoke(app, ["lab", command, "--help"])
    assert answer.exit_code == 0
    assert "facegeom lab" in answer.output


def test_a_method_that_needs_a_checkpoint_says_so(tmp_path) -> None:
    (tmp_path / "directions.npz").touch()
    words = ["lab", "compress", "fitnets", "--data", str(tmp_path), "-o", str(tmp_path / "run")]
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 2
    assert "starts from a trained vgg-s" in " ".join(answer.output.split())

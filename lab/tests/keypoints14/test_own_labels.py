"""The last of docs/tasks.md: training on one's own labels, as printed but for the number of epochs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "tasks.md"


@pytest.mark.slow
def test_training_on_own_labels_works_as_printed(faces, tmp_path: Path) -> None:
    task = PAGE.read_text(encoding="utf-8").partition("## Train on your own labels")[2]
    (commands,) = re.findall(r"^```sh\n(.*?)^```$", task, re.MULTILINE | re.DOTALL)
    (tmp_path / "labels").mkdir()
    shutil.copytree(faces.folder, tmp_path / "labels" / "images")
    names = [f"{axis}{point}" for point in range(1, 15) for axis in "xy"]
    lines = [",".join(["filename", *names])]
    lines += [",".join([file, *map(str, points)]) for file, points in faces.points.items()]
    (tmp_path / "labels" / "gt.csv").write_text("\n".join(lines).replace("nan", "") + "\n", encoding="utf-8")
    commands, replaced = re.subn(r"--epochs \d+", "--epochs 1", commands)
    assert replaced == 1
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=tmp_path,
        env=os.environ | {"PATH": path, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len((tmp_path / "answers.csv").read_text(encoding="utf-8").splitlines()) == 1 + len(faces.points)

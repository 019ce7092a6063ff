"""The commands of docs/tasks.md and the Python of README.md and docs/start.md, run as they are printed."""

import csv
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from trimesh import load as load_mesh

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tasks.md"
PREPARE = "Ten tasks"
ELSEWHERE = {"Train on your own labels", "A face on a web page"}
"""Tasks that need PyTorch or a browser: run by tests of the laboratory and in ``tests_browser``."""


def blocks(page: Path, language: str) -> dict[str, str]:
    """Return the blocks of a language by the headings that they stand under."""
    found: dict[str, str] = {}
    for part in re.split(r"^#+ ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        code = re.findall(rf"^```{language}\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)
        if code:
            found[part.partition("\n")[0]] = "".join(code)
    return found


COMMANDS = blocks(PAGE, "sh")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder that looks like a checkout, with the files that the first block makes."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("src", "examples"):
        (folder / name).symlink_to(ROOT / name)
    run(COMMANDS[PREPARE], folder)
    return folder


def run(commands: str, folder: Path) -> str:
    """Run commands in bash, which stops at the first that fails; return what they print."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env=os.environ | {"PATH": path, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_table(folder: Path, printed: str) -> None:
    (row,) = csv.DictReader((folder / "out/photo.csv").read_text(encoding="utf-8").splitlines())
    assert row["file"] == "photo.jpg" and 180 < float(row["landmark_30_x"]) < 260


def check_crops(folder: Path, printed: str) -> None:
    for name in ("one", "two"):
        with Image.open(folder / f"crops/{name}.0.aligned.png") as crop:
            assert crop.size == (112, 112)


def check_video(folder: Path, printed: str) -> None:
    assert pq.read_table(folder / "out/talk.parquet", columns=["mesh_px"]).num_rows >= 90
    assert len(load_mesh(folder / "out/talk.glb").geometry) == 1
    assert (folder / "out/talk.overlay.mp4").stat().st_size > 10_000


def check_blinks(folder: Path, printed: str) -> None:
    assert re.search(r"\b\d+ blinks?\b", printed)


def check_driver(folder: Path, printed: str) -> None:
    assert printed.count("ALARM") == 1
    rows = list(csv.DictReader((folder / "out/drive.csv").read_text(encoding="utf-8").splitlines()))
    yaws = np.array([float(row["yaw_deg"]) for row in rows])
    assert yaws.max() > 20 and yaws.min() < -20
    with Image.open(folder / "attention.png") as plot:
        assert plot.width > 600


def check_json(folder: Path, printed: str) -> None:
    answer = json.loads((folder / "faces.json").read_bytes())
    assert answer["schema"] == 2 and len(answer["faces"]) == 1


def check_matrix(folder: Path, printed: str) -> None:
    numbers = [float(number) for number in re.findall(r"-?\d+\.\d*(?:e[+-]\d+)?", printed)]
    assert np.linalg.det(np.reshape(numbers, (4, 4))[:3, :3]) == pytest.approx(1, abs=1e-3)


def check_batch(folder: Path, printed: str) -> None:
    assert "2 photos" in printed and "photos/s" in printed and "trial/parts" in printed


CHECKS = {
    "The points of a photo as a table": check_table,
    "Aligned crops of a folder": check_crops,
    "A video with a smooth mesh": check_video,
    "Count blinks": check_blinks,
    "The angles of a driver's head": check_driver,
    "JSON by curl": check_json,
    "A matrix for Unity": check_matrix,
    "A million photos": check_batch,
}


def test_every_task_is_checked() -> None:
    assert COMMANDS.keys() == {PREPARE} | ELSEWHERE | CHECKS.keys() and len(COMMANDS) == 11


@pytest.mark.slow
@pytest.mark.workers
@pytest.mark.parametrize("task", CHECKS)
def test_tasks_work_as_printed(checkout: Path, task: str) -> None:
    """Only the port of the service is another one, as somebody may be using it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    CHECKS[task](checkout, run(re.sub(r"\b8000\b", port, COMMANDS[task]), checkout))


@pytest.mark.parametrize("page", ["README.md", "docs/start.md", "docs/photos.md", "docs/alignment.md"])
def test_python_works_as_printed(page: str, tmp_path: Path) -> None:
    portrait = files("facegeom") / "data" / "astronaut.jpg"
    for name in ("photo.jpg", "a.jpg", "b.png"):
        shutil.copyfile(str(portrait), tmp_path / name)
    (code,) = blocks(ROOT / page, "python").values()
    done = subprocess.run(
        [sys.executable, "-W", "error::Warning:facegeom", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "nan" not in done.stdout and (done.stdout or page in ("docs/photos.md", "docs/alignment.md"))


def test_the_figures_of_the_readme_are_those_of_the_pages() -> None:
    table = (
        (ROOT / "README.md").read_text(encoding="utf-8").partition("## Measured")[2].partition("Smaller")[0]
    )
    figures = re.findall(r"\d+(?:\.\d+)? (?:%|ms)", table)
    pages = [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "model-cards").glob("*.md")]
    written = "\n".join(path.read_text(encoding="utf-8") for path in pages)
    written = re.sub(r"(\d)\.0 %", r"\1 %", written)
    assert len(figures) == 13
    assert [figure for figure in figures if figure not in written] == []

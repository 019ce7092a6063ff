"""Speed: the choice of photos, the tables, and cost, descendants and memory of processes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facegeom_lab.bench.speed import processes, run
from facegeom_lab.bench.speed.photos import save_arrays, single_face_scenes
from facegeom_lab.bench.speed.processes import ProcessError, descendants, read_proc, resident_mb

FAMILY = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "held = b'x' * 50_000_000; print(1, flush=True); input()"])
child.wait()
"""


def test_photos_have_exactly_one_face(pack: Path) -> None:
    assert [photo.path.name for photo in single_face_scenes(pack, 24)] == [
        "scene_0.png",
        "scene_2.png",
        "scene_3.png",
    ]
    assert len(single_face_scenes(pack, 2)) == 2


def test_photos_are_enlarged_to_640(pack: Path, tmp_path: Path) -> None:
    arrays, photo = save_arrays(single_face_scenes(pack, 2), tmp_path)
    assert [np.load(array).shape for array in arrays] == [(480, 640, 3)] * 2
    assert photo.is_file()


@pytest.mark.slow
def test_the_run_measures_every_table(
    pack: Path,
    tmp_path: Path,
    analyzer: Any,
    fake_peers: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("memory_mb", "command_seconds"):
        monkeypatch.setattr(run, name, lambda photo: 1.0)
    monkeypatch.setattr(run, "import_seconds", lambda: 0.1)
    report = run.run_speed(pack, tmp_path / "out", analyzer, fake_peers, run.SpeedConfig(2, 2, 1))
    pairs, crops, crowd, files, by_faces, by_pixels, throughput, start = report.tables
    assert [row[:2] for row in pairs.rows][:2] == [
        ("MediaPipe FaceMesh", "all"),
        ("MediaPipe FaceMesh", "both find one face"),
    ]
    assert [row[-1] for row in pairs.rows] == [2] * 6
    assert [row[0] for row in crops.rows] == ["MediaPipe FaceMesh", "MTCNN (facenet-pytorch)", "dlib HOG"]
    assert all(row[3] == row[1] / row[2] for row in crops.rows)
    assert [row[0] for row in crowd.rows] == [row[0] for row in files.rows] == [row[0] for row in crops.rows]
    assert all(row[1] > 0 and row[2] > 0 for row in files.rows)
    assert [row[:2] for row in by_faces.rows] == [(n * n, (0.32 * n) ** 2) for n in (1, 2, 4, 8)]
    assert [row[:2] for row in by_pixels.rows[::2]] == [("array", size) for size in (0.3072, 1.92, 12, 48)]
    assert all(row[3] > 0 and row[4] > 0 for row in (*by_faces.rows, *by_pixels.rows))
    assert all(row[1] > 0 and row[3] > 0 for row in throughput.rows)
    assert [row[1] for row in start.rows] == [1.0, 0.1, 1.0]
    assert (tmp_path / "out" / "speed.md").is_file()


def test_a_failing_process_shows_its_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_IMPORT", "raise SystemExit('import is broken')")
    with pytest.raises(ProcessError, match="import is broken"):
        processes.import_seconds()


@pytest.fixture
def family() -> Iterator["subprocess.Popen[str]"]:
    """Start a process and its child, which holds 50 MB."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", FAMILY], text=True, **pipes) as parent:  # type: ignore[call-overload]
        assert parent.stdout.readline() == "1\n"
        yield parent
        parent.stdin.write("\n")


def test_a_family(family: "subprocess.Popen[str]") -> None:
    (child,) = descendants(family.pid)
    assert "held" in read_proc(Path("/proc", str(child), "cmdline"))
    own = int(read_proc(Path("/proc", str(family.pid), "statm")).split()[1]) * 4096 / 1e6
    together = resident_mb(family.pid)
    assert together is not None and together > own + 50


def test_a_process_that_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert read_proc(Path("/proc", str(process.pid), "statm")) == "" and resident_mb(process.pid) == 0

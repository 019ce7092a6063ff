"""Speed: the interleaving, the choice of photos, the tables."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facegeom_lab.bench import processes, speed
from facegeom_lab.bench.processes import ProcessError
from facegeom_lab.measures.timing import Pair, calls_ms, interleaved


def test_blocks_are_interleaved_and_pooled() -> None:
    order: list[str] = []
    times = {"ours": iter([[1.0, 1.0], [3.0, 3.0]]), "peer": iter([[4.0], [4.0]])}

    def timer(name: str):
        def run(array: Path, repetitions: int, warm: int) -> list[float]:
            order.append(name)
            return next(times[name])

        return run

    pair = interleaved(timer("ours"), timer("peer"), Path("x.npy"), 2, 1)
    assert order == ["ours", "peer", "peer", "ours"]
    assert (pair.ours_ms, pair.peer_ms, pair.ratio) == (2.0, 4.0, 0.5)


def test_warm_calls_are_not_counted() -> None:
    calls: list[int] = []
    assert len(calls_ms(lambda: calls.append(1), repetitions=4, warm=3)) == 4
    assert len(calls) == 7


def test_photos_have_exactly_one_face(pack: Path) -> None:
    assert [picture.path.name for picture in speed.select(pack, 24)] == [
        "scene_0.png",
        "scene_2.png",
        "scene_3.png",
    ]
    assert len(speed.select(pack, 2)) == 2


def test_photos_are_enlarged_to_640(pack: Path, tmp_path: Path) -> None:
    arrays, photo = speed.prepare(speed.select(pack, 2), tmp_path)
    assert [np.load(array).shape for array in arrays] == [(480, 640, 3)] * 2
    assert photo.is_file()


def test_medians_over_photos() -> None:
    pairs = [Pair(1, 2), Pair(3, 3), Pair(4, 2)]
    assert speed.pair_row(pairs) == (3, 2, 1.0, 0.5, 2.0, 3)
    assert speed.pair_row([]) == (None, None, None, None, None, 0)


def test_the_run_measures_every_table(
    pack: Path,
    tmp_path: Path,
    analyzer: Any,
    fake_peers: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("memory_mb", "command_seconds"):
        monkeypatch.setattr(speed, name, lambda photo: 1.0)
    monkeypatch.setattr(speed, "import_seconds", lambda: 0.1)
    report = speed.run_speed(pack, tmp_path / "out", analyzer, fake_peers, speed.Effort(2, 2, 1))
    pairs, crops, crowd, files, throughput, start = report.tables
    assert [row[:2] for row in pairs.rows][:2] == [
        ("MediaPipe FaceMesh", "all"),
        ("MediaPipe FaceMesh", "both find one face"),
    ]
    assert [row[-1] for row in pairs.rows] == [2] * 6
    assert [row[0] for row in crops.rows] == ["MediaPipe FaceMesh", "MTCNN (facenet-pytorch)", "dlib HOG"]
    assert all(row[3] == row[1] / row[2] for row in crops.rows)
    assert [row[0] for row in crowd.rows] == [row[0] for row in files.rows] == [row[0] for row in crops.rows]
    assert all(row[1] > 0 and row[2] > 0 for row in files.rows)
    assert all(row[1] > 0 for row in throughput.rows)
    assert [row[1] for row in start.rows] == [1.0, 0.1, 1.0]
    assert (tmp_path / "out" / "speed.md").is_file()


def test_a_failing_process_shows_its_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_IMPORT", "raise SystemExit('import is broken')")
    with pytest.raises(ProcessError, match="import is broken"):
        processes.import_seconds()

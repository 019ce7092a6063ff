"""From a frame to its packets: a small run."""

import json
from pathlib import Path

import pytest

from facegeom import FaceAnalyzer
from facegeom.errors import InputError
from facegeom.video import open_video
from facegeom_lab.bench.video.live import run_live_bench, write_clip


def test_the_clip_has_the_size_of_a_webcam(tmp_path: Path) -> None:
    with open_video(write_clip(tmp_path / "a.mp4", 3)) as video:
        assert [frame.pixels.shape for frame in video] == [(480, 640, 3)] * 3


def test_a_small_run(tmp_path: Path) -> None:
    report = run_live_bench(tmp_path, FaceAnalyzer(threads=1), 4)
    (table,) = report.tables
    assert [row[0].split(",")[0] for row in table.rows] == [
        "vmc",
        "osc",
        "livelink",
        "json",
        "all four",
        "vmc",
    ]
    assert all(0 < median <= most and left_out == 0 for _, _, median, most, left_out in table.rows[:-1])
    saved = json.loads((tmp_path / "live.json").read_text())
    assert len(saved["tables"][0]["rows"]) == 6 and "## Live" in (tmp_path / "live.md").read_text()


def test_a_clip_has_frames(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 1 frame"):
        run_live_bench(tmp_path, FaceAnalyzer(threads=1), 0)

"""The video command's arguments, and what becomes of several videos; no video is opened."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from facegeom.cli.root import app
from facegeom.video import Source
from facegeom.video.run import VideoSummary


def test_no_video_is_replaced_by_an_overlay(tmp_path: Path) -> None:
    films = [tmp_path / name for name in ("talk.mp4", "talk.overlay.mp4")]
    for film in films:
        film.write_bytes(b"film")
    refused = CliRunner().invoke(app, ["video", *map(str, films), "-o", str(tmp_path)])
    assert refused.exit_code == 2
    message = "".join(refused.output.replace("│", "").split())
    assert "wouldbereplacedbytheoverlayofanothervideo" in message
    assert [film.read_bytes() for film in films] == [b"film"] * 2


@pytest.mark.parametrize("error", [RuntimeError("the codec is confused"), MemoryError(), ZeroDivisionError()])
def test_an_unexpected_error_in_a_video_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def run(source: Source, *options: Any, **more: Any) -> VideoSummary:
        if source.stem == "bad":
            raise error
        return VideoSummary(frames=2, start_s=3, seconds=4.5, files=[tmp_path / f"{source.stem}.parquet"])

    monkeypatch.setattr("facegeom.video.run.run_video", run)
    monkeypatch.setattr("facegeom.cli.video.load_analyzer", lambda *options: None)
    films = [str(tmp_path / name) for name in ("a.mp4", "bad.mp4", "c.mp4")]
    result = CliRunner().invoke(app, ["video", *films, "-o", str(tmp_path)])
    assert result.exit_code == 1 and result.exception.__class__ is SystemExit
    lines = [line.partition(";")[0] for line in result.stdout.splitlines()]
    assert lines == ["2 frames, 3.0 to 4.5 s, 0 faces tracked, 0 rows"] * 2
    assert result.stderr.startswith("error: ") and "bad.mp4" in result.stderr

"""The video command's arguments, before any video is opened."""

from pathlib import Path

from typer.testing import CliRunner

from facegeom.cli.root import app


def test_no_video_is_replaced_by_an_overlay(tmp_path: Path) -> None:
    films = [tmp_path / name for name in ("talk.mp4", "talk.overlay.mp4")]
    for film in films:
        film.write_bytes(b"film")
    refused = CliRunner().invoke(app, ["video", *map(str, films), "-o", str(tmp_path)])
    assert refused.exit_code == 2
    message = "".join(refused.output.replace("│", "").split())
    assert "wouldbereplacedbytheoverlayofanothervideo" in message
    assert [film.read_bytes() for film in films] == [b"film"] * 2

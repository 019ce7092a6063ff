"""``facegeom bench browser`` on one photo, in a real Chromium."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from facegeom.cli.root import app
from facegeom_lab.bench import browser


@pytest.mark.slow
@pytest.mark.browser
def test_one_photo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    assert chromium is not None, "install the command chromium"
    monkeypatch.setattr(browser, "_photos", lambda: [browser._portrait(200)])
    command = [
        "bench",
        "browser",
        "-o",
        str(tmp_path),
        "--calls",
        "1",
        "--chromium",
        chromium,
    ]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    table, live = json.loads((tmp_path / "browser.json").read_text())["tables"]
    ((name, faces, native_ms, browser_ms, ratio, difference_px),) = table["rows"]
    assert (name, faces) == ("portrait, 200 x 200", 1) and difference_px < 0.5
    assert native_ms > 0 and ratio == pytest.approx(browser_ms / native_ms)
    assert "In the browser" in done.output
    assert len(live["rows"]) == 2
    for _, faces, rate, frame_ms, page_ms, all_ms in live["rows"]:
        assert faces == 1 and rate == pytest.approx(1000 / frame_ms) and 0 < page_ms < all_ms

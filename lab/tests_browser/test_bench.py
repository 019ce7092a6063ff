"""``facegeom bench browser`` on one photo."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from facegeom.cli.root import app
from facegeom_lab.bench import browser as bench


def test_report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run the benchmark on one photo and check its table."""
    monkeypatch.setattr(bench, "_photos", lambda: [bench._portrait(200)])
    chromium = shutil.which("chromium")
    assert chromium is not None
    command = ["bench", "browser", "-o", str(tmp_path), "--calls", "1", "--chromium", chromium]
    with ThreadPoolExecutor(1) as other:  # this thread may hold the browser of the other tests
        done = other.submit(CliRunner().invoke, app, command).result()
    assert done.exit_code == 0, done.output
    (table,) = json.loads((tmp_path / "browser.json").read_text())["tables"]
    ((name, faces, native_ms, browser_ms, ratio, difference_px),) = table["rows"]
    assert (name, faces) == ("portrait, 200 x 200", 1) and difference_px < 0.5
    assert native_ms > 0 and ratio == pytest.approx(browser_ms / native_ms)
    assert "In the browser" in done.output

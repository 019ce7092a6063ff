"""The size of things: what the runtime holds, and that every file can be read in one sitting."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
RUNTIME = ROOT / "src" / "facegeom"
LONGEST_FILE, MOST_FILES, MOST_LINES = 400, 134, 19_800


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_file_is_too_long_to_read() -> None:
    folders = ("src", "lab", "tests", "tests_browser", "examples", "docs")
    endings = ("*.py", "*.js", "*.css", "*.html", "*.yaml", "*.toml", "*.md")
    listed = [path for folder in folders for ending in endings for path in (ROOT / folder).rglob(ending)]
    own = [path for path in listed if not {"vendor", "build", ".venv"} & set(path.parts)]
    assert len(own) > 300
    assert [f"{path}: {lines(path)}" for path in own if lines(path) > LONGEST_FILE] == []


def test_the_runtime_stays_small() -> None:
    modules = list(RUNTIME.rglob("*.py"))
    assert len(modules) <= MOST_FILES
    assert sum(map(lines, modules)) < MOST_LINES


def test_the_runtime_holds_no_laboratory() -> None:
    words = ("import torch", "facegeom_lab", "import cv2", "import lightning")
    found = [path for path in RUNTIME.rglob("*.py") for word in words if word in path.read_text("utf-8")]
    assert found == []

"""The pages: links that work on GitHub; a site without a warning, with a page for every public name."""

import ast
import os
import re
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode, read

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / folder / "README.md" for folder in ("examples", "lab", "npm")),
]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))

PACKAGES = ("facegeom", "facegeom.video", "facegeom.live", "facegeom.batch", "facegeom.results")
"""Packages whose ``__all__`` is public."""

ROOMS = ("geometry", "image", "models", "depth", "export", "results")
MODULES = ("drawing", "errors", "options")
"""Packages and modules of which every documented name is public."""

INSIDE = {"facegeom.results.faces", "facegeom.results.poses"}
"""Modules whose names are documented where ``__all__`` has them."""


def prose(path: Path) -> str:
    """Return the text of a page without its blocks of code."""
    return re.sub(
        r"^(```|~~~).*?^\1\s*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub makes of the headings of a page."""
    found, counts = set(), Counter[str]()
    for heading in re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE):
        text = re.sub(r"\[(.+?)\]\(.+?\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        found.add(slug if not counts[slug] else f"{slug}-{counts[slug]}")
        counts[slug] += 1
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_work_on_github(path: Path) -> None:
    targets = re.findall(r"\]\((?![a-z]+:)([^)\s]+)\)", prose(path))
    for target in targets:
        file, anchor = urldefrag(target)
        linked = (path.parent / unquote(file)).resolve() if file else path
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    for path in (ROOT / "docs").rglob("*.md"):
        name = path.relative_to(ROOT / "docs").as_posix()
        assert name in navigation or name == "reproduction-about.md"  # a part of reproduction.md
    for path in NOTEBOOKS:
        assert f"notebooks/{path.stem}.md" in navigation


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    return folder


class Links(HTMLParser):
    """Collect what a page links, what it loads, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors.add(given.get("id", ""))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag in ("img", "script", "source", "iframe") and "src" in given:
            self.loads.append(given["src"])
        elif tag == "link" and given.get("rel") not in ("canonical", "next", "prev"):
            self.loads.append(given["href"])


@pytest.mark.slow
def test_the_site_leads_nowhere_wrong(site: Path) -> None:
    pages = {path: Links(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    assert len(pages) > 60
    for path, page in pages.items():
        assert not [target for target in page.loads if re.match(r"(https?:)?//", target)], path
        if path.name == "404.html":
            continue  # its links begin at the root
        for target in (*page.links, *page.loads):
            if re.match(r"[a-z]+:|//", target):
                continue
            file, anchor = urldefrag(target)
            linked = (path.parent / unquote(file)).resolve() if file else path
            linked = linked / "index.html" if linked.is_dir() else linked
            assert linked.is_file(), (path, target)
            assert not anchor or anchor in pages[linked].anchors, (path, target)


def public_names() -> Iterator[str]:
    for package in PACKAGES:
        yield from (f"{package}.{name}" for name in import_module(package).__all__)
    runtime = ROOT / "src" / "facegeom"
    files = [path for room in ROOMS for path in (runtime / room).rglob("*.py")]
    for path in files + [runtime / f"{module}.py" for module in MODULES]:
        module = ".".join(path.relative_to(runtime.parent).with_suffix("").parts).removesuffix(".__init__")
        if module not in INSIDE:
            yield from (f"{module}.{name}" for name in documented_names(path))


def documented_names(path: Path) -> Iterator[str]:
    """Yield the public classes, functions and constants of a module that have a docstring."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            name = node.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(after, ast.Expr):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            name = (
                target.id if isinstance(target, ast.Name) and isinstance(after.value, ast.Constant) else "_"
            )
        else:
            continue
        if not name.startswith("_"):
            yield name


@pytest.mark.slow
def test_every_public_name_has_a_page(site: Path) -> None:
    *_, packed = (site / "objects.inv").read_bytes().split(b"\n", 4)
    lines = zlib.decompress(packed).decode().splitlines()
    listed = {line.split(" ")[0]: line.split(" ")[3] for line in lines}
    wanted = set(public_names())
    assert len(wanted) > 200
    assert sorted(wanted - set(listed)) == []
    for name in wanted:
        page, anchor = urldefrag(listed[name].replace("$", name))
        assert f'id="{anchor}"' in (site / page / "index.html").read_text(encoding="utf-8"), name


@pytest.mark.slow
def test_the_reference_is_that_of_the_code(site: Path) -> None:
    def page(name: str) -> str:
        return unescape((site / "reference" / name / "index.html").read_text(encoding="utf-8"))

    for command in ("analyze", "detect", "video", "live", "serve", "batch", "export uv"):
        assert re.search(rf"<h2 id=\"[\w-]+\">facegeom {command}\b", page("commands"))
    assert all(word in page("commands") for word in ("--min-face PX", "--smooth/--no-smooth", "exif|auto"))
    assert all(word in page("json") for word in ("pose.camera.fov_source", "schema", "landmarks.ibug68"))
    assert all(word in page("parquet") for word in ("landmarks_confidence", "damaged", "min_face_px"))
    assert all(word in page("http") for word in ("POST /v1/analyze", "max_faces", "application/problem+json"))
    for name in ("commands", "json", "parquet", "http"):
        assert "generated:" not in page(name)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_saved_with_their_outputs(path: Path) -> None:
    notebook: NotebookNode = read(path, as_version=4)
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 300_000 and '"output_type": "error"' not in text and "/tmp/" not in text
    assert any(cell.get("outputs") for cell in notebook.cells)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\((?![a-z]+:)([^)#\s]+)", cell.source):
                assert (path.parent / target).exists(), target


@pytest.mark.slow
@pytest.mark.workers
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(path: Path) -> None:
    notebook = read(path, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(path.parent)}}).execute()

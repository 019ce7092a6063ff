"""What MkDocs does beyond its plugins.

A Markdown file keeps the links that GitHub follows. Here each of them becomes a link to the page of the site
that shows the file, or, for a file without a page, to GitHub. Some pages stand outside of ``docs/``. A line
``<!-- generated: NAME -->`` is replaced by what ``parts`` makes of the code; a notebook becomes a page.
"""

import posixpath
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))  # MkDocs loads this file by its path

import notebooks
import parts

ROOT = Path(__file__).parents[2]
GITHUB = "https://github.com/facegeom/facegeom"

OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "THIRD_PARTY.md": "third-party.md",
    "examples/README.md": "examples.md",
    "lab/README.md": "lab.md",
}
"""Files of the repository outside of ``docs/`` that have a page, and the page."""

_LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\]\()(?![a-z]+:|#|/)([^)\s#]+)((?:#[^)\s]*)?\))")
_CODE = re.compile(r"^(?P<fence>`{3,}|~{3,}).*?^(?P=fence)\s*?$|^ {4,}[^\n]*$", re.MULTILINE | re.DOTALL)
_PART = re.compile(r"^<!-- generated: (.+?) -->$", re.MULTILINE)

_pages: dict[str, str] = {}  # page or file of the site by the file of the repository that it shows
_sources: dict[str, str] = {}  # the other way round


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from outside of ``docs/``, their pictures, and the notebooks."""
    _pages.clear()
    for file in files.documentation_pages() + files.media_files():
        _pages[f"docs/{file.src_uri}"] = file.src_uri
    results = {f"benchmarks/results/{path.name}" for path in (ROOT / "benchmarks/results").glob("*.md")}
    outside = OUTSIDE | {name: f"benchmarks/{posixpath.basename(name)}" for name in results}
    for name, uri in outside.items():
        files.append(File.generated(config, uri, content=(ROOT / name).read_text(encoding="utf-8")))
        _pages[name] = uri
    icon = ROOT / "src/facegeom/serve/static/icon.svg"
    files.append(File.generated(config, "images/icon.svg", abs_src_path=str(icon)))
    for path in sorted((ROOT / "examples/images").iterdir()):
        name = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(path)))
        _pages[name] = name
    for path in sorted((ROOT / "docs/notebooks").glob("*.ipynb")):
        uri = f"notebooks/{path.stem}.md"
        text, pictures = notebooks.page(path)
        files.append(File.generated(config, uri, content=text))
        for picture, content in pictures.items():
            files.append(File.generated(config, f"notebooks/{picture}", content=content))
        _pages[path.relative_to(ROOT).as_posix()] = uri
    _sources.clear()
    _sources.update((uri, name) for name, uri in _pages.items())
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Insert generated parts; lead the links to the site's pages."""
    uri = page.file.src_uri
    markdown = _PART.sub(lambda match: parts.make(match[1]), markdown)
    return "".join(
        text if is_code else _LINK.sub(lambda match: _linked(match, uri), text)
        for text, is_code in _split(markdown)
    )


def _split(markdown: str) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a text in their order, and whether each is code."""
    end = 0
    for match in _CODE.finditer(markdown):
        yield markdown[end : match.start()], False
        yield match[0], True
        end = match.end()
    yield markdown[end:], False


def _linked(match: re.Match[str], uri: str) -> str:
    """Return a link of a page for the site; links to nothing stay, and MkDocs reports them."""
    before, target, after = match.groups()
    folder = posixpath.dirname(_sources[uri])
    name = posixpath.normpath(posixpath.join(folder, target))
    if name in _pages:
        return before + posixpath.relpath(_pages[name], posixpath.dirname(uri) or ".") + after
    path = ROOT / name
    if name.startswith("..") or not path.exists():
        return match[0]
    return f"{before}{GITHUB}/{'tree' if path.is_dir() else 'blob'}/main/{name}{after}"

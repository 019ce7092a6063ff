"""The page at ``/`` and what it loads: its own files, the weights, the demo picture."""

import base64
import hashlib
import os
import re
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from facegeom.models import weights

STATIC = Path(str(files("facegeom.serve"))) / "static"
DEMO = Path(str(files("facegeom"))) / "data" / "astronaut.jpg"

# Not every system knows these, and a browser refuses modules and wasm of any other type.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".onnx": "application/octet-stream",
    ".wasm": "application/wasm",
}
_REVALIDATE = {"Cache-Control": "no-cache"}  # by ETag: a new version is seen at once

router = APIRouter(include_in_schema=False)


class PageFiles(StaticFiles):
    """Static files with the types that browsers insist on."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """The file, or 304 if the caller has it."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(_REVALIDATE)
        kind = _TYPES.get(Path(full_path).suffix)
        if kind is not None and response.status_code == 200:
            response.headers["Content-Type"] = kind
        return response


@router.get("/")
def page() -> FileResponse:
    """The page."""
    return FileResponse(STATIC / "index.html", headers=_REVALIDATE)


@router.get("/demo.jpg")
def demo() -> FileResponse:
    """The portrait that ships with facegeom."""
    return FileResponse(DEMO, headers=_REVALIDATE)


@router.get("/weights/{name}")
def weight(name: str) -> FileResponse:
    """``manifest.json`` or a network that it names."""
    paths = [path for entry in weights.manifest().values() for path in entry.paths if path.suffix == ".onnx"]
    known = {
        path.name: path for path in [*paths, Path(str(files("facegeom.models.weights"))) / "manifest.json"]
    }
    if name not in known:
        raise HTTPException(404, f"expected one of {', '.join(known)}")
    kind = "application/json" if name.endswith(".json") else _TYPES[".onnx"]
    return FileResponse(known[name], headers=_REVALIDATE, media_type=kind)


def inline_scripts() -> str:
    """The page's inline scripts (its import map) as sources of a content security policy."""
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script[^>]*>(.+?)</script>", text, re.DOTALL)
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode('ascii')}'" for digest in digests)

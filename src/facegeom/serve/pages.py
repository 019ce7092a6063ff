"""The page at ``/`` and what it loads: its files, the demo photo, the weights, ``/model.json``.

The modules under ``static/local`` mirror the runtime in JavaScript. Every constant that both use is read from
the runtime here and served as ``/model.json``, so that the two cannot disagree.
"""

import base64
import gzip
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache, lru_cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from facegeom import analyzer, options
from facegeom.depth import depth_map, mesh_depth
from facegeom.export import depth_png
from facegeom.geometry import alignment, topology
from facegeom.geometry.camera import DEFAULT_FOV_DEG, MAX_FOV_DEG, MIN_FOV_DEG
from facegeom.geometry.schemes import ARKIT52, DERIVED, IBUG68_EYE_CORNERS, MESH478_EYE_CORNERS
from facegeom.image import crop, exif, reading, rotated_crop
from facegeom.models import detector, engine, face, regions, score_fusion, sets, virtual_views, weights
from facegeom.results import base, turning
from facegeom.serve.work import Options

STATIC = Path(str(files("facegeom.serve"))) / "static"
DEMO = Path(str(files("facegeom"))) / "data" / "astronaut.jpg"
RUNTIME = STATIC / "vendor" / "onnxruntime-web" / "ort-wasm-simd-threaded.wasm"

NETWORKS = ("onepass", "face", "eyes", "mouth", "expression")
"""Networks of the page."""

SETS = ("int8", weights.FREE)
"""Values of the option ``weights`` that the page knows; the first is the analyzer's default on a CPU."""

# Systems may lack these media types, and a browser refuses modules and wasm of any other type.
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".onnx": "application/octet-stream",
    ".wasm": "application/wasm",
}
_REVALIDATE = {"Cache-Control": "no-cache"}  # the browser asks each time, with the ETag
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}  # of addresses with the version
_COMPRESSED = {".css", ".js", ".mjs", ".svg", ".wasm"}  # networks would lose a tenth only

router = APIRouter(include_in_schema=False)


class PageFiles(StaticFiles):
    """Static files, compressed, with the media types that browsers require.

    Args:
        directory: of the files.
        headers: of every file; by default the browser asks each time whether its copy is current.
    """

    def __init__(self, directory: Path, headers: Mapping[str, str] = _REVALIDATE) -> None:
        super().__init__(directory=directory)
        self._headers = headers

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file, or 304 if the client has it."""
        response, suffix = await super().get_response(path, scope), Path(path).suffix
        response.headers.update(self._headers)
        if not isinstance(response, FileResponse):
            return response
        response.headers["Content-Type"] = _MEDIA_TYPES.get(suffix, response.headers["Content-Type"])
        if suffix not in _COMPRESSED or not _reads_gzip(Request(scope)):
            return response
        body = await run_in_threadpool(_gzip_file, str(response.path), os.stat(response.path).st_mtime_ns)
        return Response(body, headers=_encoded({**response.headers, "content-length": str(len(body))}))


def _reads_gzip(request: Request) -> bool:
    codings = (coding.split(";") for coding in request.headers.get("accept-encoding", "").split(","))
    return any(name.strip() == "gzip" and "q=0" not in "".join(more) for name, *more in codings)


def _encoded(headers: Mapping[str, str]) -> dict[str, str]:
    return {**headers, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}


@cache
def _gzip_file(path: str, changed_ns: int) -> bytes:
    return gzip.compress(Path(path).read_bytes(), 6, mtime=0)


_gzip_text = lru_cache(8)(partial(gzip.compress, compresslevel=6, mtime=0))


def _text(request: Request, body: bytes, media_type: str) -> Response:
    """Return a text that the service makes, which changes with the version only."""
    headers = {**_REVALIDATE, "ETag": f'"{hashlib.sha256(body).hexdigest()[:20]}"', "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if not _reads_gzip(request):
        return Response(body, headers=headers, media_type=media_type)
    return Response(_gzip_text(body), headers=_encoded(headers), media_type=media_type)


@cache
def version() -> str:
    """Return a digest of all that the page loads: addresses with it may be kept for ever."""
    about = [*map(model_data, SETS), weights.manifest()]  # which has the networks' hashes
    digest = hashlib.sha256(repr(about).encode())
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


@router.get("/")
def page(request: Request) -> Response:
    """Return the page."""
    text = page_text(request.app.settings.private)
    return _text(request, text.encode(), "text/html; charset=utf-8")


@cache
def page_text(private: bool) -> str:
    """Return the page with addresses that hold the version; ``private`` is where photos go at first."""
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    text = re.sub(r'(["/])static/', rf"\1static/{version()}/", text)
    return text.replace("<html ", '<html data-private="" ', 1) if private else text


@router.get("/sw.js")
def service_worker(request: Request) -> Response:
    """Return the service worker, with the lists of what it keeps: the page, and the networks once used."""
    shell = [path for path in sorted(STATIC.rglob("*")) if path.suffix in (".css", ".js", ".mjs", ".svg")]
    static = f"static/{version()}"
    lists = {
        "VERSION": version(),
        "SHELL": [f"{static}/{path.relative_to(STATIC).as_posix()}" for path in shell],
        "PAGE": ["./", "model.json", "v1/topology", "demo.jpg"],
        "NETWORKS": [
            f"{static}/{RUNTIME.relative_to(STATIC).as_posix()}",
            *model_files(request.app.settings.weights).values(),
        ],
    }
    constants = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in lists.items())
    text = constants + (STATIC / "sw.js").read_text(encoding="utf-8")
    return _text(request, text.encode(), _MEDIA_TYPES[".js"])


@router.get("/demo.jpg")
def demo() -> FileResponse:
    """Return the portrait that ships with facegeom."""
    return FileResponse(DEMO, headers=_REVALIDATE)


@router.get("/weights/{name}")
@router.get("/weights/{wanted}/{name}")
def weight_file(name: str, wanted: str | None = None) -> FileResponse:
    """Return ``manifest.json`` or a network that it lists."""
    networks = [path for each in weights.manifest().values() for path in each.paths if path.suffix == ".onnx"]
    manifest = Path(str(files("facegeom.models.weights"))) / "manifest.json"
    served = {path.name: path for path in [*networks, manifest]}
    if name not in served or wanted not in (None, version()):
        raise HTTPException(404, f"expected one of {', '.join(served)}")
    media_type = "application/json" if name.endswith(".json") else _MEDIA_TYPES[".onnx"]
    return FileResponse(served[name], headers=_FOREVER if wanted else _REVALIDATE, media_type=media_type)


@router.get("/model.json")
def model_json(request: Request) -> Response:
    """Return the model data, with the version of the page that they belong to, as the networks' addresses."""
    chosen = request.app.settings.weights
    about = {"version": version(), "files": model_files(chosen, "")}
    text = json.dumps({**model_data(chosen), **about}, separators=(",", ":"))
    return _text(request, text.encode(), "application/json")


def model_files(chosen: str = SETS[0], folder: str = "weights/") -> dict[str, str]:
    """Return the addresses of the page's networks by name, for one of :data:`SETS`."""
    return {name: f"{folder}{version()}/{path.name}" for name, path in networks(chosen).items()}


def networks(chosen: str = SETS[0]) -> dict[str, Path]:
    """Return the files of the page's networks by name, for one of :data:`SETS`."""
    return {name: weights.of_set(name, chosen) for name in NETWORKS}


def add_page(app: FastAPI) -> None:
    """Add the page's routes and files."""
    app.include_router(router)
    app.mount(f"/static/{version()}", PageFiles(STATIC, _FOREVER))
    app.mount("/static", PageFiles(STATIC))


def inline_scripts() -> str:
    """Return the sources of the page's inline scripts (its import map) for a content security policy."""
    scripts = re.findall(r"<script[^>]*>(.+?)</script>", page_text(False), re.DOTALL)
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode('ascii')}'" for digest in digests)


@cache
def model_data(chosen: str = SETS[0]) -> dict[str, Any]:
    """Return what the page needs for its own analysis: the stages' constants, file sizes, canonical head.

    Args:
        chosen: one of :data:`SETS`.
    """
    paths = networks(chosen)
    return {
        "analyzer": {
            "max_pixels": reading.MAX_PIXELS,
            "face_size": options.SearchOptions().face_size,
            "closest_size": options.SearchOptions().closest_size,
            "same_face_iou": analyzer.SAME_FACE_IOU,
            "nested": analyzer.NESTED,
            "fov_deg": DEFAULT_FOV_DEG,
            "exif": {
                "film_diagonal_mm": exif.FILM_DIAGONAL_MM,
                "mm_per_unit": [exif.MM_PER_UNIT.get(unit, 0.0) for unit in range(max(exif.MM_PER_UNIT) + 1)],
                "plausible_deg": [MIN_FOV_DEG, MAX_FOV_DEG],
                "same_aspect": exif.SAME_ASPECT,
            },
            "turning": {
                "turns_deg": [turn for turn in base.TURNS_DEG if turn],
                "sure_roll_deg": turning.SURE_ROLL_DEG,
                "sure_confidence": turning.SURE_CONFIDENCE,
            },
            "options": {name: _option(name) for name in options.SEARCH_OPTIONS},
            "expression_names": list(ARKIT52),
        },
        "detection": {
            "stride": detector.STRIDE,
            "grain": detector.GRAIN,
            "typical_side_px": detector.TYPICAL_SIDE_PX,
            "smallest_px": detector.SMALLEST_PX,
            "largest_scale": detector.LARGEST_SCALE,
            "single_level_px": detector.SINGLE_LEVEL_PX,
            "level_factor": detector.LEVEL_FACTOR,
            "patch_px": detector.PATCH_PX,
            "limits": asdict(detector.Limits()),
            "evidence": {**asdict(sets.fusion(chosen)), "certain": score_fusion.CERTAIN},
            "outside": crop.OUTSIDE,
        },
        "face": {
            "crop_px": face.CROP_PX,
            "crop_scale": face.CROP_SCALE,
            "batch": engine.BATCH,
            "reducing_gap": face.REDUCING_GAP,
            "look_again_iou": face.REFINE_IOU,
            "near": face.NEAR,
            "doubtful": face.DOUBTFUL,
            "confirm_score": face.CONFIRM_SCORE,
            "upside_down_score": face.UPSIDE_DOWN_SCORE,
            "upside_down_margin": face.UPSIDE_DOWN_MARGIN,
            "upside_down_yaw_deg": face.UPSIDE_DOWN_YAW_DEG,
            "views": {
                "largest_angle_deg": virtual_views.LARGEST_ANGLE_DEG,
                "largest_slope": virtual_views.LARGEST_SLOPE,
                "largest_shrink": rotated_crop.LARGEST_SHRINK,
            },
            "eye_corners": {"ibug68": list(IBUG68_EYE_CORNERS), "mesh478": list(MESH478_EYE_CORNERS)},
            "outside": face.OUTSIDE,
        },
        "regions": {
            region.name: {
                "crop_px": regions.CROP_PX,
                "scale": region.scale,
                "mesh": region.mesh_indices.tolist(),
                "ibug68": region.ibug68_indices.tolist(),
                "spans": region.span_indices.tolist(),
            }
            for region in regions.REGIONS
        },
        "depth": {
            "size_px": depth_map.SIZE_PX,
            "side_mm": depth_map.SIDE_MM,
            "unit_mm": depth_png.UNIT_MM,
            "triangles": mesh_depth.closed_triangles().tolist(),
            "lips": topology.openings()[1],
        },
        "alignment": {
            "five": DERIVED["five"][1],
            "arcface_px": alignment.ARCFACE_PX,
            "arcface_xy": alignment.ARCFACE_XY.tolist(),
            "largest_shrink": rotated_crop.LARGEST_SHRINK,
        },
        "files": {name: path.name for name, path in paths.items()},
        "bytes": {name: path.stat().st_size for name, path in {**paths, "runtime": RUNTIME}.items()},
        "canonical_mm": topology.canonical_mm().tolist(),
    }


def _option(name: str) -> dict[str, Any]:
    """Return the default and the range, or the values, of an option, as the service checks them."""
    field = Options.model_json_schema()["properties"][name]
    limits = field.get("anyOf", [field])[0]
    keys = ("type", "enum", "minimum", "maximum")
    return {"default": field["default"], **{key: limits[key] for key in keys if key in limits}}

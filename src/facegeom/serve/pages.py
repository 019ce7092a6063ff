"""The page at ``/`` and what it loads: its files, the demo photo, the weights, ``/model.json``.

The modules under ``static/local`` mirror the runtime in JavaScript. Every constant that both use is read from
the runtime here and served as ``/model.json``, so that the two cannot disagree.
"""

import base64
import hashlib
import os
import re
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

from facegeom import analyzer, options
from facegeom.geometry import topology
from facegeom.geometry.camera import DEFAULT_FOV_DEG
from facegeom.geometry.schemes import ARKIT52, IBUG68_EYE_CORNERS, MESH478_EYE_CORNERS
from facegeom.image import crop, exif, reading, rotated_crop
from facegeom.models import detector, engine, face, regions, score_fusion, virtual_views, weights
from facegeom.results import base, turning
from facegeom.serve.work import ANALYZER_OPTIONS, Options

STATIC = Path(str(files("facegeom.serve"))) / "static"
DEMO = Path(str(files("facegeom"))) / "data" / "astronaut.jpg"
RUNTIME = STATIC / "vendor" / "onnxruntime-web" / "ort-wasm-simd-threaded.wasm"

NETWORKS = {"onepass": "int8", "face": "int8"} | dict.fromkeys(("eyes", "mouth", "expression"), "float32")
"""Networks of the page and their variants, those of :class:`facegeom.FaceAnalyzer` on a CPU."""

# Systems may lack these media types, and a browser refuses modules and wasm of any other type.
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".onnx": "application/octet-stream",
    ".wasm": "application/wasm",
}
_REVALIDATE = {"Cache-Control": "no-cache"}  # the browser asks each time, with the ETag

router = APIRouter(include_in_schema=False)


class PageFiles(StaticFiles):
    """Static files with the media types that browsers require."""

    def file_response(self, full_path: str | os.PathLike[str], *others: Any, **more: Any) -> Response:
        """Return the file, or 304 if the client has it."""
        response = super().file_response(full_path, *others, **more)
        response.headers.update(_REVALIDATE)
        media_type = _MEDIA_TYPES.get(Path(full_path).suffix)
        if media_type is not None and response.status_code == 200:
            response.headers["Content-Type"] = media_type
        return response


@router.get("/")
def page() -> FileResponse:
    """Return the page."""
    return FileResponse(STATIC / "index.html", headers=_REVALIDATE)


@router.get("/demo.jpg")
def demo() -> FileResponse:
    """Return the portrait that ships with facegeom."""
    return FileResponse(DEMO, headers=_REVALIDATE)


@router.get("/weights/{name}")
def weight_file(name: str) -> FileResponse:
    """Return ``manifest.json`` or a network that it lists."""
    networks = [path for each in weights.manifest().values() for path in each.paths if path.suffix == ".onnx"]
    manifest = Path(str(files("facegeom.models.weights"))) / "manifest.json"
    served = {path.name: path for path in [*networks, manifest]}
    if name not in served:
        raise HTTPException(404, f"expected one of {', '.join(served)}")
    media_type = "application/json" if name.endswith(".json") else _MEDIA_TYPES[".onnx"]
    return FileResponse(served[name], headers=_REVALIDATE, media_type=media_type)


@router.get("/model.json")
def model_json() -> JSONResponse:
    """Return the model data."""
    return JSONResponse(model_data(), headers=_REVALIDATE)


def inline_scripts() -> str:
    """Return the sources of the page's inline scripts (its import map) for a content security policy."""
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script[^>]*>(.+?)</script>", text, re.DOTALL)
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode('ascii')}'" for digest in digests)


@cache
def model_data() -> dict[str, Any]:
    """Return what the page needs for its own analysis: the stages' constants, file sizes, canonical head."""
    paths = {name: weights.path(name, variant) for name, variant in NETWORKS.items()}
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
                "plausible_deg": list(exif.PLAUSIBLE_DEG),
                "same_aspect": exif.SAME_ASPECT,
            },
            "turning": {
                "turns_deg": [turn for turn in base.TURNS_DEG if turn],
                "sure_roll_deg": turning.SURE_ROLL_DEG,
                "sure_confidence": turning.SURE_CONFIDENCE,
            },
            "options": {name: _option(name) for name in ANALYZER_OPTIONS},
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
            "evidence": {**asdict(detector.OnePassDetector.fusion), "certain": score_fusion.CERTAIN},
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

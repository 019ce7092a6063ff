"""What the page needs beside the weights to analyze by itself: the stages' settings and the canonical head.

The modules under ``static/local`` mirror the runtime's; every number that both use is read from the runtime
here, so that the two cannot disagree.
"""

from dataclasses import asdict
from functools import cache
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from facegeom import analyzer
from facegeom.geometry import topology
from facegeom.geometry.camera import DEFAULT_FOV_DEG
from facegeom.geometry.schemes import IBUG68_EYE_CORNERS, MESH478_EYE_CORNERS
from facegeom.image import crop, reading
from facegeom.models import batching, detector, face, score_fusion, weights
from facegeom.serve.options import Options
from facegeom.serve.pages import STATIC

NETWORKS = {"onepass": "int8", "face": "int8"}
"""The networks of the page, those of :class:`facegeom.FaceAnalyzer` on a processor: names and variants."""

RUNTIME = STATIC / "vendor" / "onnxruntime-web" / "ort-wasm-simd-threaded.wasm"
_ANALYZER_OPTIONS = ("min_face", "max_faces", "min_score", "fov_deg")

router = APIRouter(include_in_schema=False)


@router.get("/model.json")
def model_data() -> JSONResponse:
    """Settings of the stages, sizes of the files, the canonical head."""
    return JSONResponse(shared(), headers={"Cache-Control": "no-cache"})


@cache
def shared() -> dict[str, Any]:
    """The model data: plain numbers, lists and dicts."""
    return {
        "analyzer": _analyzer(),
        "detection": _detection(),
        "face": _face(),
        "files": {name: weights.path(name, variant).name for name, variant in NETWORKS.items()},
        "bytes": _sizes(),
        "canonical_mm": topology.canonical_mm().tolist(),
    }


def _analyzer() -> dict[str, Any]:
    return {
        "max_pixels": reading.MAX_PIXELS,
        "min_face_share": analyzer.MIN_FACE_SHARE,
        "min_face_px": analyzer.MIN_FACE_PX,
        "same_face_iou": analyzer.SAME_FACE_IOU,
        "nested": analyzer.NESTED,
        "fov_deg": DEFAULT_FOV_DEG,
        "options": {name: _option(name) for name in _ANALYZER_OPTIONS},
    }


def _option(name: str) -> dict[str, Any]:
    """Default and range of an option, as the service checks them; ``default`` None: it may be left out."""
    field = Options.model_json_schema()["properties"][name]
    limits = field.get("anyOf", [field])[0]
    return {"default": field["default"], **{key: limits[key] for key in ("type", "minimum", "maximum")}}


def _detection() -> dict[str, Any]:
    return {
        "stride": detector.STRIDE,
        "grain": detector.GRAIN,
        "typical_side_px": detector.TYPICAL_SIDE_PX,
        "smallest_px": detector.SMALLEST_PX,
        "largest_scale": detector.LARGEST_SCALE,
        "single_level_px": detector.SINGLE_LEVEL_PX,
        "level_factor": detector.LEVEL_FACTOR,
        "limits": asdict(detector.Limits()),
        "evidence": {**asdict(detector.OnePass.evidence), "certain": score_fusion.CERTAIN},
        "outside": crop.OUTSIDE,
    }


def _face() -> dict[str, Any]:
    return {
        "crop_px": face.CROP_PX,
        "crop_scale": face.CROP_SCALE,
        "batch": batching.BATCH,
        "reducing_gap": face.REDUCING_GAP,
        "look_again_iou": face.LOOK_AGAIN_IOU,
        "near": face.NEAR,
        "eye_corners": {"ibug68": list(IBUG68_EYE_CORNERS), "mesh478": list(MESH478_EYE_CORNERS)},
        "outside": crop.OUTSIDE,
    }


def _sizes() -> dict[str, int]:
    files = {name: weights.path(name, variant) for name, variant in NETWORKS.items()} | {"runtime": RUNTIME}
    return {name: file.stat().st_size for name, file in files.items()}

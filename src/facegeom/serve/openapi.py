"""Description of the HTTP API: response models, and what FastAPI's OpenAPI document needs beside them."""

import json
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, Field

from facegeom.geometry import topology
from facegeom.geometry.schemes import SCHEMES
from facegeom.serve.formats import FORMATS
from facegeom.serve.problems import MEDIA_TYPE, Problem
from facegeom.serve.uploads import FIELD

Responses: TypeAlias = dict[int | str, dict[str, Any]]

_FACES = {"$ref": "#/components/schemas/Faces"}
_BINARY = {"type": "string", "format": "binary", "minLength": 1}
_FORM = {"type": "object", "required": [FIELD], "properties": {FIELD: _BINARY}, "additionalProperties": False}

PHOTO_BODY = {
    "description": "The photo: as a form, or its bytes alone, also as application/octet-stream.",
    "required": True,
    "content": {
        "multipart/form-data": {"schema": _FORM, "encoding": {FIELD: {"contentType": "image/*"}}},
        "image/*": {"schema": _BINARY},
    },
}
"""Request body of an analysis."""

FACES_RESPONSE: Responses = {
    200: {
        "description": "The faces of the photo, best score first.",
        "content": {
            each.media_type: {"schema": _FACES if name == "json" else _BINARY}
            for name, each in FORMATS.items()
        },
    }
}
SCHEMA_RESPONSE: Responses = {
    200: {"description": "A JSON schema.", "content": {"application/json": {"schema": {"type": "object"}}}}
}


class Health(BaseModel):
    """State and limits of the service."""

    status: Literal["ok"]
    version: str
    max_bytes: int
    max_pixels: int


class Markup(BaseModel):
    """Structure of one set of points."""

    lines: list[tuple[int, int]] = Field(description="Pairs of indices to join in a drawing.")
    regions: dict[str, list[int]] = Field(description="Indices by part of the face; outlines in order.")
    mirror: list[int] = Field(description="Index of each point's mirror image.")
    eye_corners: tuple[int, int] = Field(description="Outer corners of the person's right and left eye.")


class Topology(BaseModel):
    """Structure of the points and the mesh, the same for every face."""

    triangles: list[tuple[int, int, int]] = Field(
        description="Triangles of the mesh, counter-clockwise in a frontal face."
    )
    canonical_mm: list[tuple[float, float, float]] = Field(
        description="The mesh of the mean head: head frame, millimetres, origin midway between the eyes."
    )
    ibug68: Markup
    mesh478: Markup


@cache
def face_topology() -> Topology:
    """Return the topology of every face."""
    return Topology(
        triangles=topology.triangles().tolist(),
        canonical_mm=topology.canonical_mm().astype(float).round(4).tolist(),
        ibug68=_markup("ibug68"),
        mesh478=_markup("mesh478"),
    )


def _markup(scheme_name: str) -> Markup:
    scheme: Any = SCHEMES[scheme_name]
    return Markup(
        lines=list(scheme.lines),
        regions={name: list(indices) for name, indices in scheme.regions.items()},
        mirror=scheme.mirror.tolist(),
        eye_corners=scheme.eye_corners,
    )


def error_responses(*statuses: int) -> Responses:
    """Return OpenAPI's description of responses with these status codes."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def components() -> dict[str, Any]:
    """Return the schemas that the description refers to, by name."""
    # OpenAPI's references start at its root
    moved = faces_schema().replace("#/$defs/", "#/components/schemas/")
    faces: dict[str, Any] = json.loads(moved)
    parts: dict[str, Any] = faces.pop("$defs")
    return {"Problem": Problem.model_json_schema(), "Faces": faces, **parts}


@cache
def faces_schema() -> str:
    """Return the published JSON schema of :class:`facegeom.Faces`."""
    return (files("facegeom") / "data" / "faces.schema.json").read_text(encoding="utf-8")

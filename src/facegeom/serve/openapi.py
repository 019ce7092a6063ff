"""The service's own description: OpenAPI with the published schema of the answers."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from facegeom.serve.formats import FORMATS
from facegeom.serve.problems import Problem
from facegeom.serve.uploads import FIELD

_FACES = {"$ref": "#/components/schemas/Faces"}

_BINARY = {"type": "string", "format": "binary", "minLength": 1}
_FORM = {"type": "object", "required": [FIELD], "properties": {FIELD: _BINARY}, "additionalProperties": False}

BODY = {
    "description": "The photo: as a form, or its bytes alone, also as application/octet-stream.",
    "required": True,
    "content": {
        "multipart/form-data": {"schema": _FORM, "encoding": {FIELD: {"contentType": "image/*"}}},
        "image/*": {"schema": _BINARY},
    },
}
"""The photo, as a field of a form or alone."""

ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The faces of the photo, best first.",
        "content": {
            form.media_type: {"schema": _FACES if name == "json" else _BINARY}
            for name, form in FORMATS.items()
        },
    }
}
SCHEMA: dict[int | str, dict[str, Any]] = {
    200: {"description": "A JSON schema.", "content": {"application/json": {"schema": {"type": "object"}}}}
}


def components() -> dict[str, Any]:
    """Schemas that the description refers to, by name."""
    faces: dict[str, Any] = json.loads(_moved(faces_schema()))
    parts: dict[str, Any] = faces.pop("$defs")
    return {"Problem": Problem.model_json_schema(), "Faces": faces, **parts}


def _moved(schema: str) -> str:
    """In OpenAPI a reference starts from the whole description."""
    return schema.replace("#/$defs/", "#/components/schemas/")


@cache
def faces_schema() -> str:
    """The published JSON schema of an answer."""
    return (files("facegeom") / "data" / "faces.schema.json").read_text(encoding="utf-8")

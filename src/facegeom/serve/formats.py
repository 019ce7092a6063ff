"""Which form an answer takes, and that form."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal, TypeAlias

from pydantic_core import to_json

from facegeom.export import faces_json, glb, obj, ply
from facegeom.image.reading import UInt8Array
from facegeom.results import Face, Faces
from facegeom.serve.refusals import RefusedError

Name: TypeAlias = Literal["json", "overlay", "png", "glb", "obj", "ply"]

_JPEG: Mapping[str, Any] = {"format": "JPEG", "quality": 92, "subsampling": 0}
_PNG: Mapping[str, Any] = {"format": "PNG", "compress_level": 3}


@dataclass(frozen=True)
class Format:
    """A form of the answer.

    Attributes:
        media_type: of the body.
        encode: faces, the photo's pixels, and the number of the face that a mesh shows, to the body.
    """

    media_type: str
    encode: Callable[[Faces, UInt8Array, int], bytes]


def _json(faces: Faces, image: UInt8Array, index: int) -> bytes:
    return to_json(faces_json.to_dict(faces))  # several times quicker than the standard library


def _overlay(options: Mapping[str, Any]) -> Callable[[Faces, UInt8Array, int], bytes]:
    def encode(faces: Faces, image: UInt8Array, index: int) -> bytes:
        stream = BytesIO()
        faces.draw(image).save(stream, **options)
        return stream.getvalue()

    return encode


def _mesh(one: Callable[[Face, UInt8Array], bytes]) -> Callable[[Faces, UInt8Array, int], bytes]:
    def encode(faces: Faces, image: UInt8Array, index: int) -> bytes:
        if index >= len(faces):
            raise RefusedError(
                404, f"face: {index} is not there, the photo has {len(faces)}; ask for JSON first"
            )
        return one(faces[index], image)

    return encode


FORMATS: dict[Name, Format] = {
    "json": Format("application/json", _json),
    "overlay": Format("image/jpeg", _overlay(_JPEG)),
    "png": Format("image/png", _overlay(_PNG)),
    "glb": Format("model/gltf-binary", _mesh(glb.encode)),
    "obj": Format("model/obj", _mesh(lambda face, image: obj.encode(face))),
    "ply": Format("model/ply", _mesh(lambda face, image: ply.encode(face))),
}
"""Forms by name; the first one that a caller accepts is taken, JSON before the others."""


def choose(name: Name | None, accept: str) -> Name:
    """The form by its name, else by the header ``Accept``.

    Raises:
        RefusedError: 406, nothing that the caller accepts can be made.
    """
    if name is not None:
        return name
    wishes = _wishes(accept or "*/*")
    best = max(FORMATS, key=lambda name: _liking(FORMATS[name].media_type, wishes))
    if _liking(FORMATS[best].media_type, wishes) <= 0:
        offers = ", ".join(form.media_type for form in FORMATS.values())
        raise RefusedError(406, f"Accept: expected one of {offers}, got {accept!r}")
    return best


def _wishes(accept: str) -> dict[str, float]:
    """Media ranges of the header and how much each is liked, 0 to 1."""
    wishes: dict[str, float] = {}
    for wish in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in wish.split(";"))
        wishes[kind] = next((_number(text[2:]) for text in parameters if text.startswith("q=")), 1.0)
    return wishes


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _liking(media_type: str, wishes: Mapping[str, float]) -> float:
    """By the most exact range that fits."""
    group = media_type.split("/", maxsplit=1)[0]
    ranges = (media_type, f"{group}/*", "*/*")
    return next((wishes[kind] for kind in ranges if kind in wishes), 0.0)

"""Formats of a response: choice by name or by the header ``Accept``, and encoding."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Literal, TypeAlias

from pydantic_core import to_json

from facegeom.errors import OutputError
from facegeom.export import glb, images, obj, ply
from facegeom.image.reading import UInt8Array
from facegeom.results import Face, Faces
from facegeom.serve.problems import RefusedError

FormatName: TypeAlias = Literal["json", "overlay", "png", "glb", "obj", "ply"]
Pixels: TypeAlias = Callable[[], UInt8Array]
Encoder: TypeAlias = Callable[[Faces, Pixels, int], bytes]
"""Function of the faces, of a function that returns the photo, and of the index of the face in a mesh."""


@dataclass(frozen=True)
class Format:
    """A format of the response.

    Attributes:
        media_type: of the body.
        encode: makes the body.
        cost: time for a pixel of a large photo as a multiple of that for JSON.
    """

    media_type: str
    encode: Encoder
    cost: int = 1


def _json(faces: Faces, pixels: Pixels, index: int) -> bytes:
    return to_json(faces.to_dict())  # several times faster than the standard library


def _overlay_jpeg(faces: Faces, pixels: Pixels, index: int) -> bytes:
    try:
        return images.encode(faces.draw(pixels()), ".jpg")
    except OutputError as error:
        raise RefusedError(422, f"format: {error}") from error


def _overlay_png(faces: Faces, pixels: Pixels, index: int) -> bytes:
    stream = BytesIO()
    faces.draw(pixels()).save(stream, "PNG", compress_level=3)  # the usual level takes twice the time
    return stream.getvalue()


def _mesh(encode_face: Callable[[Face, Pixels], bytes]) -> Encoder:
    def encode(faces: Faces, pixels: Pixels, index: int) -> bytes:
        if index >= len(faces):
            raise RefusedError(
                404, f"face: {index} is not there, the photo has {len(faces)}; ask for JSON first"
            )
        return encode_face(faces[index], pixels)

    return encode


FORMATS: dict[FormatName, Format] = {
    "json": Format("application/json", _json),
    "overlay": Format("image/jpeg", _overlay_jpeg),
    "png": Format("image/png", _overlay_png, cost=6),
    "glb": Format(
        "model/gltf-binary", _mesh(lambda face, pixels: glb.encode(face.mesh_mm, face.mesh_px, pixels()))
    ),
    "obj": Format("model/obj", _mesh(lambda face, pixels: obj.encode(face.mesh_mm))),
    "ply": Format("model/ply", _mesh(lambda face, pixels: ply.encode(face.mesh_mm, face.mesh_confidence))),
}
"""Formats by name, in order of preference where a client accepts several equally."""


def choose_format(name: FormatName | None, accept: str) -> FormatName:
    """Return the format's name: the given one, else the best for the header ``Accept``.

    Raises:
        RefusedError: 406, the client accepts no available format.
    """
    if name is not None:
        return name
    ranges = _media_ranges(accept or "*/*")
    best = max(FORMATS, key=lambda name: _quality(FORMATS[name].media_type, ranges))
    if _quality(FORMATS[best].media_type, ranges) <= 0:
        offers = ", ".join(each.media_type for each in FORMATS.values())
        raise RefusedError(406, f"Accept: expected one of {offers}, got {accept!r}")
    return best


def _media_ranges(accept: str) -> dict[str, float]:
    """Return the media ranges of the header with their quality values in [0, 1]."""
    ranges: dict[str, float] = {}
    for item in accept.lower().split(","):
        media_range, *parameters = (part.strip() for part in item.split(";"))
        qualities = (_number(text[2:]) for text in parameters if text.startswith("q="))
        ranges[media_range] = next(qualities, 1.0)
    return ranges


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _quality(media_type: str, ranges: Mapping[str, float]) -> float:
    """Return the quality value of a media type, from the most specific range that matches."""
    group = media_type.split("/", maxsplit=1)[0]
    matching = (media_type, f"{group}/*", "*/*")
    return next((ranges[each] for each in matching if each in ranges), 0.0)

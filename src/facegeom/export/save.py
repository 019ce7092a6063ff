"""One photo's answer to its files; what each file is called."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facegeom.errors import InputError
from facegeom.export import glb, json_io, obj, pictures, ply
from facegeom.export.files import write
from facegeom.results import Face, Faces

if TYPE_CHECKING:
    from facegeom.imaging import Source, UInt8Array

_MESHES: "dict[str, Callable[[Face, UInt8Array | None], bytes]]" = {
    "obj": lambda face, image: obj.encode(face),
    "ply": lambda face, image: ply.encode(face),
    "glb": glb.encode,
}

FORMATS = ("json", "overlay", *_MESHES)
"""What :func:`save` can write. "obj", "ply" and "glb" give one file for each face."""


def save(
    faces: Faces,
    directory: Path,
    formats: Sequence[str],
    image: "Source | None" = None,
    name: str | None = None,
) -> list[Path]:
    """Write ``name.json``, ``name.overlay.jpg``, ``name.0.obj``, ``name.0.glb`` … into a folder.

    Each file appears whole or not at all. The arguments are those of :meth:`facegeom.results.Faces.save`.
    """
    _check(formats)
    stem = directory / (name or Path(faces.file or "faces").stem)
    pixels = _photo(faces, formats, image)
    contents: dict[Path, bytes] = {}
    for kind in formats:
        if kind == "json":
            contents[_path(stem, ".json")] = json_io.encode(faces)
        elif kind == "overlay":
            contents[_path(stem, ".overlay.jpg")] = _overlay(faces, pixels)
        else:
            for number, face in enumerate(faces):
                contents[_path(stem, f".{number}.{kind}")] = _MESHES[kind](face, pixels)
    for path, content in contents.items():
        write(path, content)
    return list(contents)


def _check(formats: Sequence[str]) -> None:
    unknown = [kind for kind in formats if kind not in FORMATS]
    if unknown or isinstance(formats, str):
        raise InputError(f"expected formats from {', '.join(FORMATS)}, got {formats!r}")


def _path(stem: Path, ending: str) -> Path:
    return stem.with_name(stem.name + ending)  # with_suffix would cut "a.b" to "a"


def _photo(faces: Faces, formats: Sequence[str], image: "Source | None") -> "UInt8Array | None":
    """The pixels of the photo, if a format shows them and they are to be had."""
    source = faces.file if image is None else image
    if source is None or not {"overlay", "glb"} & set(formats):
        return None
    from facegeom.draw import photo_of

    return photo_of(faces, source)


def _overlay(faces: Faces, pixels: "UInt8Array | None") -> bytes:
    if pixels is None:
        raise InputError(
            "an overlay shows the photo: pass it as image=..., or leave out the format 'overlay'"
        )
    return pictures.encode(faces.draw(pixels), ".jpg")

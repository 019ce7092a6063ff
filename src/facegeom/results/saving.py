"""One photo's answer to its files; what each file is called."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from facegeom.depth.depth_map import DepthMap
from facegeom.depth.surface import surface_of
from facegeom.errors import InputError
from facegeom.export import depth_png, faces_json, glb, obj, pictures, ply
from facegeom.export.files import write
from facegeom.results import Face, Faces

if TYPE_CHECKING:
    from facegeom.image.reading import Source, UInt8Array

_Encode: TypeAlias = "Callable[[Face, UInt8Array | None], bytes]"

_MESHES: dict[str, _Encode] = {
    "obj": lambda face, image: obj.encode(face),
    "ply": lambda face, image: ply.encode(face),
    "glb": glb.encode,
}

_DEPTHS: dict[str, dict[str, _Encode]] = {
    "depth": {"depth.png": lambda face, image: depth_png.encode(_depth(face))},
    "surface": {
        "surface.glb": lambda face, image: glb.encode_surface(surface_of(face, _depth(face)), image),
        "points.ply": lambda face, image: ply.encode_cloud(surface_of(face, _depth(face)), image),
    },
}
"""Formats that need a depth map: the endings of their files."""

_FILES = {kind: {kind: encode} for kind, encode in _MESHES.items()} | _DEPTHS

FORMATS = ("json", "overlay", *_FILES)
"""What :func:`save` can write. All but "json" and "overlay" give files for each face."""


def save(
    faces: Faces,
    directory: Path,
    formats: Sequence[str],
    image: "Source | None" = None,
    name: str | None = None,
) -> list[Path]:
    """Write ``name.json``, ``name.overlay.jpg``, ``name.0.obj``, ``name.0.depth.png`` … into a folder.

    Each file appears whole or not at all. The arguments are those of :meth:`facegeom.results.Faces.save`.
    """
    _check(faces, formats)
    stem = directory / (name or Path(faces.file or "faces").stem)
    pixels = _photo(faces, formats, image)
    contents: dict[Path, bytes] = {}
    for kind in formats:
        if kind == "json":
            contents[_path(stem, ".json")] = faces_json.encode(faces, _depth_files(faces, stem, formats))
        elif kind == "overlay":
            contents[_path(stem, ".overlay.jpg")] = _overlay(faces, pixels)
        else:
            for number, face in enumerate(faces):
                for ending, encode in _FILES[kind].items():
                    contents[_path(stem, f".{number}.{ending}")] = encode(face, pixels)
    for path, content in contents.items():
        write(path, content)
    return list(contents)


def _check(faces: Faces, formats: Sequence[str]) -> None:
    unknown = [kind for kind in formats if kind not in FORMATS]
    if unknown or isinstance(formats, str):
        raise InputError(f"expected formats from {', '.join(FORMATS)}, got {formats!r}")
    if faces.depth is None and len(faces) and set(_DEPTHS) & set(formats):
        raise InputError(
            "the formats depth and surface show depth maps, which these faces lack: FaceAnalyzer(depth=True)"
        )


def _depth(face: Face) -> DepthMap:
    if face.depth is None:
        raise InputError("expected a face with a depth map: FaceAnalyzer(depth=True)")
    return face.depth


def _depth_files(faces: Faces, stem: Path, formats: Sequence[str]) -> list[str] | None:
    """Names of the faces' depth pictures, if they are written too."""
    if "depth" not in formats:
        return None
    return [_path(stem, f".{number}.depth.png").name for number in range(len(faces))]


def _path(stem: Path, ending: str) -> Path:
    return stem.with_name(stem.name + ending)  # with_suffix would cut "a.b" to "a"


def _photo(faces: Faces, formats: Sequence[str], image: "Source | None") -> "UInt8Array | None":
    """The pixels of the photo, if a format shows them and they are to be had."""
    source = faces.file if image is None else image
    if source is None or not {"overlay", "glb", "surface"} & set(formats):
        return None
    from facegeom.drawing import photo_of

    return photo_of(faces, source)


def _overlay(faces: Faces, pixels: "UInt8Array | None") -> bytes:
    if pixels is None:
        raise InputError(
            "an overlay shows the photo: pass it as image=..., or leave out the format 'overlay'"
        )
    return pictures.encode(faces.draw(pixels), ".jpg")

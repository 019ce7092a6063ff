"""One photo's faces to files, and the names of the files."""

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL.Image import fromarray

from facegeom.depth.surface import Surface, surface_of
from facegeom.errors import FacegeomError, ImageError, InputError, OutputError, shown
from facegeom.export import depth_png, faces_json, glb, images, obj, ply
from facegeom.export.files import write
from facegeom.geometry.alignment import Template, crop_from_photo
from facegeom.image.reading import Source, UInt8Array
from facegeom.results import rows

_log = logging.getLogger(__name__)


_Encode: TypeAlias = Callable[[Any, UInt8Array | None], bytes]
"""Function of a :class:`facegeom.Face`, whose module imports this one, and of its photo."""

_MESH: dict[str, _Encode] = {
    "obj": lambda face, image: obj.encode(face.mesh_mm),
    "ply": lambda face, image: ply.encode(face.mesh_mm, face.mesh_confidence),
    "glb": lambda face, image: glb.encode(face.mesh_mm, face.mesh_px, image),
}

_DEPTH: dict[str, dict[str, _Encode]] = {
    "depth": {"depth.png": lambda face, image: depth_png.encode(face.depth)},
    "surface": {
        "surface.glb": lambda face, image: glb.encode_surface(_surface(face), image),
        "points.ply": lambda face, image: ply.encode_cloud(_surface(face), image),
    },
}
"""Formats that need a depth map, with the endings of their files."""

_FILES = {kind: {kind: encode} for kind, encode in _MESH.items()} | _DEPTH

FORMATS = ("json", "csv", "overlay", *_FILES, "aligned")
"""Formats of :func:`save`. All but "json", "csv" and "overlay" give files for each face."""

_SHOWING = {"overlay", "glb", "surface", "aligned"}
"""Formats that show the photo's pixels."""

_OF_PIXELS = {"overlay", "aligned"}
"""Formats that are nothing without them."""

_OWN_PICTURE_OF_A_FACE = re.compile(r"\.\d+\.(depth|aligned)\.png$")


def is_own_picture(name: str) -> bool:
    """Return whether a file's name is that of a picture that :func:`save` writes, which is no photo."""
    if name.endswith((".depth.png", ".aligned.png")):  # a search of each name would take most of a listing
        return _OWN_PICTURE_OF_A_FACE.search(name) is not None
    return name.endswith(".overlay.jpg")


def save(
    faces: Any,
    directory: str | os.PathLike[str],
    formats: Sequence[str],
    image: Source | None = None,
    name: str | None = None,
    size: int = 112,
    template: Template = "arcface",
) -> list[Path]:
    """Write ``name.json``, ``name.overlay.jpg``, ``name.0.obj``, ``name.0.depth.png`` … into a folder.

    Each file appears whole or not at all. A format that fails leaves the others' files, then its error is
    raised. ``faces`` are :class:`facegeom.Faces`; the arguments are those of their method ``save``.
    """
    photo = faces.file if image is None else image
    kinds, problems = _check(faces, formats, photo), list[FacegeomError]()
    folder = _path_of(directory)
    if folder is None:
        raise InputError(f"directory: expected the path of a folder, got {shown(directory)}")
    stem = folder / _checked_name(Path(faces.file or "faces").stem if name is None else name)
    crop_from_photo(template, size, faces.landmarks_px[:0], faces.box_xyxy[:0])  # checks the arguments
    pixels = None
    if photo is not None and ("overlay" in kinds or (len(faces) and _SHOWING & set(kinds))):
        try:
            pixels = faces.read_photo(image)
        except (ImageError, MemoryError) as error:
            problems.append(_explained(error, stem))
            kinds = [kind for kind in kinds if kind not in _SHOWING]
    written = []
    for kind in kinds:
        try:
            for path, content in _encoded(faces, kind, stem, pixels, (size, template), kinds):
                write(path, content)
                written.append(path)
        except (FacegeomError, MemoryError) as error:
            problems.append(_explained(error, stem))
    if problems:
        raise problems[0]
    return written


def _explained(error: FacegeomError | MemoryError, stem: Path) -> FacegeomError:
    if isinstance(error, FacegeomError):
        return error
    return OutputError(f"not enough memory for every file of {str(stem)!r}; make the photo smaller")


def _encoded(
    faces: Any, kind: str, stem: Path, pixels: UInt8Array | None, crop: tuple[int, Template], kinds: list[str]
) -> Iterator[tuple[Path, bytes]]:
    """Yield the files of one format."""
    if kind == "json":
        fields = faces.arrays
        pictures = {key: list(_DESCRIBE[key](faces, stem, crop)) for key in _DESCRIBE if key in kinds}
        yield _path(stem, ".json"), faces_json.encode(fields, faces.about, pictures)
    elif kind == "csv":
        yield _path(stem, ".csv"), rows.to_csv(faces)
    elif kind == "overlay" and pixels is not None:
        path = _path(stem, ".overlay.jpg")
        picture, note = images.fitted(faces.draw(pixels), ".jpg")
        if note:
            _log.warning("%r: %s", str(path), note)
        yield path, images.encode(picture, ".jpg")
    elif kind == "aligned":
        for number, each in enumerate(faces.aligned(pixels, *crop)):
            yield _path(stem, f".{number}.aligned.png"), images.encode(fromarray(each.pixels), ".png")
    else:
        for number in range(len(faces)):
            for ending, encode in _FILES[kind].items():
                yield _path(stem, f".{number}.{ending}"), encode(faces[number], pixels)


def _describe_depth(faces: Any, stem: Path, crop: tuple[int, Template]) -> Iterator[dict[str, Any]]:
    for number, each in enumerate(faces.depth or ()):
        yield depth_png.describe(each, _path(stem, f".{number}.depth.png").name)


def _describe_crops(faces: Any, stem: Path, crop: tuple[int, Template]) -> Iterator[dict[str, Any]]:
    size, template = crop
    maps = crop_from_photo(template, size, faces.landmarks_px, faces.box_xyxy)
    for number, each in enumerate(np.round(maps, 6).tolist()):
        file = _path(stem, f".{number}.aligned.png").name
        yield {"file": file, "size_px": int(size), "crop_from_photo": each}


_DESCRIBE = {"depth": _describe_depth, "aligned": _describe_crops}
"""Functions that return the entries of the JSON for each face's picture."""


def _checked_name(name: Any) -> str:
    """Return the name of output files, which may lead into sub-folders, never out of the folder."""
    path = _path_of(name) if isinstance(name, str) else None
    if path is not None and path.name and not path.anchor and ".." not in path.parts:
        return str(name)
    raise InputError(
        f"name: expected a name of files inside the folder, without '..', got {shown(name)}; the folder"
        " itself is the first argument"
    )


def _path_of(text: Any) -> Path | None:
    """Return a path; None where no file can be called so."""
    with suppress(TypeError, ValueError):
        path = Path(text)
        return None if b"\0" in os.fsencode(path) else path
    return None


def _check(faces: Any, formats: Sequence[str], photo: Source | None) -> list[str]:
    """Return the wanted formats."""
    kinds = list(formats) if isinstance(formats, Iterable) and not isinstance(formats, str) else [formats]
    if isinstance(formats, str) or any(not isinstance(kind, str) or kind not in FORMATS for kind in kinds):
        raise InputError(f"expected formats from {', '.join(FORMATS)}, got {shown(formats)}")
    if faces.depth is None and len(faces) and set(_DEPTH) & set(kinds):
        raise InputError(
            "the formats depth and surface show depth maps, which these faces lack: FaceAnalyzer(depth=True)"
        )
    for kind in sorted(_OF_PIXELS & set(kinds)) if photo is None else ():
        raise InputError(
            f"{kind} shows the photo's pixels: pass it as image=..., or leave out the format {kind!r}"
        )
    return kinds


def _surface(face: Any) -> Surface:
    return surface_of(face.depth, face.mesh_px, face.mesh_mm)


def _path(stem: Path, ending: str) -> Path:
    return stem.with_name(stem.name + ending)  # with_suffix would cut "a.b" to "a"

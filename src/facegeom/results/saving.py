"""One photo's faces to files, and the names of the files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from PIL.Image import Image

from facegeom.depth.depth_map import DepthMap
from facegeom.depth.surface import Surface, surface_of
from facegeom.errors import InputError
from facegeom.export import depth_png, faces_json, glb, images, obj, ply
from facegeom.export.files import write
from facegeom.image.reading import Source, UInt8Array
from facegeom.results.base import FACE_SHAPES, Float32Array


class SavableFace(Protocol):
    """What is saved of one face; :class:`facegeom.Face` has it."""

    @property
    def mesh_px(self) -> Float32Array:
        """Mesh (478, 3) in pixels."""

    @property
    def mesh_mm(self) -> Float32Array:
        """Mesh (478, 3) in the camera frame."""

    @property
    def mesh_confidence(self) -> Float32Array:
        """Confidence (478,) of its points."""

    @property
    def depth(self) -> DepthMap | None:
        """Depth map, if there is one."""


class SavableFaces(Protocol):
    """What is saved of one photo; :class:`facegeom.Faces` has it."""

    @property
    def file(self) -> str | None:
        """Name of the photo."""

    @property
    def about(self) -> dict[str, Any]:
        """Name, size and angle of view of the photo."""

    @property
    def depth(self) -> tuple[DepthMap, ...] | None:
        """Depth maps, if there are any."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> SavableFace: ...

    def read_photo(self, image: Source | None = None) -> UInt8Array:
        """Read the photo of the faces."""

    def draw(self, image: Source) -> Image:
        """Draw the faces over their photo."""


_Encode: TypeAlias = Callable[[SavableFace, UInt8Array | None], bytes]

_MESH: dict[str, _Encode] = {
    "obj": lambda face, image: obj.encode(face.mesh_mm),
    "ply": lambda face, image: ply.encode(face.mesh_mm, face.mesh_confidence),
    "glb": lambda face, image: glb.encode(face.mesh_mm, face.mesh_px, image),
}

_DEPTH: dict[str, dict[str, _Encode]] = {
    "depth": {"depth.png": lambda face, image: depth_png.encode(_depth(face))},
    "surface": {
        "surface.glb": lambda face, image: glb.encode_surface(_surface(face), image),
        "points.ply": lambda face, image: ply.encode_cloud(_surface(face), image),
    },
}
"""Formats that need a depth map, with the endings of their files."""

_FILES = {kind: {kind: encode} for kind, encode in _MESH.items()} | _DEPTH

FORMATS = ("json", "overlay", *_FILES)
"""Formats of :func:`save`. All but "json" and "overlay" give files for each face."""


def save(
    faces: SavableFaces,
    directory: Path,
    formats: Sequence[str],
    image: Source | None = None,
    name: str | None = None,
) -> list[Path]:
    """Write ``name.json``, ``name.overlay.jpg``, ``name.0.obj``, ``name.0.depth.png`` … into a folder.

    Each file appears whole or not at all. The arguments are those of :meth:`facegeom.results.Faces.save`.
    """
    _check(faces, formats)
    stem = directory / (name or Path(faces.file or "faces").stem)
    photo = faces.file if image is None else image
    shown = {"overlay", "glb", "surface"} & set(formats)
    pixels = faces.read_photo(image) if shown and photo is not None else None
    contents: dict[Path, bytes] = {}
    for kind in formats:
        if kind == "json":
            contents[_path(stem, ".json")] = _json(faces, stem, with_depth="depth" in formats)
        elif kind == "overlay":
            contents[_path(stem, ".overlay.jpg")] = _overlay(faces, pixels)
        else:
            for number in range(len(faces)):
                for ending, encode in _FILES[kind].items():
                    contents[_path(stem, f".{number}.{ending}")] = encode(faces[number], pixels)
    for path, content in contents.items():
        write(path, content)
    return list(contents)


def _check(faces: SavableFaces, formats: Sequence[str]) -> None:
    unknown = [kind for kind in formats if kind not in FORMATS]
    if unknown or isinstance(formats, str):
        raise InputError(f"expected formats from {', '.join(FORMATS)}, got {formats!r}")
    if faces.depth is None and len(faces) and set(_DEPTH) & set(formats):
        raise InputError(
            "the formats depth and surface show depth maps, which these faces lack: FaceAnalyzer(depth=True)"
        )


def _depth(face: SavableFace) -> DepthMap:
    if face.depth is None:
        raise InputError("expected a face with a depth map: FaceAnalyzer(depth=True)")
    return face.depth


def _surface(face: SavableFace) -> Surface:
    return surface_of(_depth(face), face.mesh_px, face.mesh_mm)


def _json(faces: SavableFaces, stem: Path, with_depth: bool) -> bytes:
    """Encode the JSON; with entries for the depth images where these are written, too."""
    depth = [
        depth_png.describe(each, _path(stem, f".{number}.depth.png").name)
        for number, each in enumerate(faces.depth or () if with_depth else ())
    ]
    return faces_json.encode({name: getattr(faces, name) for name in FACE_SHAPES}, faces.about, depth)


def _path(stem: Path, ending: str) -> Path:
    return stem.with_name(stem.name + ending)  # with_suffix would cut "a.b" to "a"


def _overlay(faces: SavableFaces, pixels: UInt8Array | None) -> bytes:
    if pixels is None:
        raise InputError(
            "an overlay shows the photo: pass it as image=..., or leave out the format 'overlay'"
        )
    return images.encode(faces.draw(pixels), ".jpg")

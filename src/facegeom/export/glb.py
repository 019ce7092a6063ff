"""The mesh, or the surface of a depth map, as binary glTF 2.0: metres, y up, z towards the camera."""

import json
import struct
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.depth.surface import Surface
from facegeom.export import images
from facegeom.geometry import boxes, topology
from facegeom.geometry.camera import to_viewer_frame

FloatArray: TypeAlias = npt.NDArray[np.floating]
Float32Array: TypeAlias = npt.NDArray[np.float32]
UInt8Array: TypeAlias = npt.NDArray[np.uint8]

_METRES = 0.001
_TEXTURE_SIZE = 1024  # longer side of the texture at most, pixels
_ARRAY_BUFFER, _ELEMENT_BUFFER = 34962, 34963
_FLOAT, _UINT16 = 5126, 5123
_CLAMP_TO_EDGE = 33071


def encode(mesh_mm: FloatArray, mesh_px: FloatArray, image: UInt8Array | None = None) -> bytes:
    """Encode a mesh: all 478 vertices in their order with normals, and the triangles.

    Args:
        mesh_mm: (478, 3) camera frame, millimetres.
        mesh_px: (478, 3) pixels of the photo.
        image: (H, W, 3) uint8 RGB, the photo of the face; without it the mesh is grey.
    """
    return encode_surface(Surface(mesh_mm, topology.triangles(), mesh_px[:, :2]), image)


def encode_surface(surface: Surface, image: UInt8Array | None = None) -> bytes:
    """Encode a surface of at most 65,536 vertices with normals and the triangles.

    Args:
        surface: in the camera frame.
        image: (H, W, 3) uint8 RGB, the photo; without it the surface is grey.
    """
    vertices = to_viewer_frame(surface.points_mm) * np.float32(_METRES)
    scene = _Scene()
    limits = {"min": vertices.min(0).tolist(), "max": vertices.max(0).tolist()}
    attributes = {
        "POSITION": scene.add_array(vertices, "VEC3", **limits),
        "NORMAL": scene.add_array(_normals(vertices, surface.triangles), "VEC3"),
    }
    if image is not None:
        height, width = image.shape[:2]
        low, high = np.split(boxes.from_points(surface.pixels_xy), 2)
        low = np.clip(np.floor(low), 0, (width, height)).astype(int)
        high = np.clip(np.ceil(high) + 1, 0, (width, height)).astype(int)
        if (low < high).all():
            # 0 to 1 across the visible part, u right, v down as in glTF
            places = np.asarray((surface.pixels_xy + 0.5 - low) / (high - low), np.float32)
            attributes["TEXCOORD_0"] = scene.add_array(places, "VEC2")
            scene.add_photo(image[low[1] : high[1], low[0] : high[0]])
    indices = scene.add_array(surface.triangles.astype(np.uint16).reshape(-1), "SCALAR")
    return scene.encode({"attributes": attributes, "indices": indices, "material": 0})


def _normals(vertices: Float32Array, triangles: npt.NDArray[np.integer]) -> Float32Array:
    """Return unit normals (V, 3), weighted by area; vertices without triangles face the camera."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    normals = np.zeros(vertices.shape)
    np.add.at(normals, triangles, np.cross(b - a, c - a)[:, None])
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(length > 0, normals / np.where(length > 0, length, 1), (0, 0, 1)).astype(np.float32)


class _Scene:
    """A glTF document of one mesh in one buffer, built step by step."""

    def __init__(self) -> None:
        self._binary = bytearray()
        rough = {"metallicFactor": 0, "roughnessFactor": 0.9}
        self._document: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": "facegeom"},
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [{"mesh": 0, "name": "face"}],
            "materials": [{"pbrMetallicRoughness": rough, "doubleSided": True}],
            "accessors": [],
            "bufferViews": [],
        }

    def add_array(self, array: npt.NDArray[Any], kind: str, **limits: Any) -> int:
        """Append an accessor of float32 vertices or uint16 indices; return its number."""
        floats = array.dtype == np.float32
        content = array.astype(array.dtype.newbyteorder("<")).tobytes()
        view = self._add_view(content, target=_ARRAY_BUFFER if floats else _ELEMENT_BUFFER)
        component = _FLOAT if floats else _UINT16
        accessor = {"bufferView": view, "componentType": component, "count": len(array), "type": kind}
        self._document["accessors"].append(accessor | limits)
        return len(self._document["accessors"]) - 1

    def _add_view(self, content: bytes, **target: int) -> int:
        view = {"buffer": 0, "byteOffset": len(self._binary), "byteLength": len(content), **target}
        self._document["bufferViews"].append(view)
        self._binary += _padded(content, b"\0")
        return len(self._document["bufferViews"]) - 1

    def add_photo(self, part: UInt8Array) -> None:
        """Texture the mesh with a part of the photo, unlit."""
        texture = Image.fromarray(np.ascontiguousarray(part))
        texture.thumbnail((_TEXTURE_SIZE, _TEXTURE_SIZE))
        view = self._add_view(images.encode(texture, ".jpg"))
        material = self._document["materials"][0]
        material["pbrMetallicRoughness"]["baseColorTexture"] = {"index": 0}
        material["extensions"] = {"KHR_materials_unlit": {}}
        self._document |= {
            "extensionsUsed": ["KHR_materials_unlit"],
            "images": [{"bufferView": view, "mimeType": "image/jpeg"}],
            "samplers": [{"wrapS": _CLAMP_TO_EDGE, "wrapT": _CLAMP_TO_EDGE}],
            "textures": [{"source": 0, "sampler": 0}],
        }

    def encode(self, primitive: dict[str, Any]) -> bytes:
        """Encode header, JSON chunk and binary chunk."""
        meshes = [{"name": "face", "primitives": [primitive]}]
        document = self._document | {"meshes": meshes, "buffers": [{"byteLength": len(self._binary)}]}
        text = _padded(json.dumps(document, separators=(",", ":")).encode("ascii"), b" ")
        chunks = _chunk(b"JSON", text) + _chunk(b"BIN\0", bytes(self._binary))
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack("<I4s", len(content), kind) + content


def _padded(content: bytes, filler: bytes) -> bytes:
    return content + filler * (-len(content) % 4)

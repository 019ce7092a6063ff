"""The mesh, still or moving, or the surface of a depth map, as binary glTF 2.0: metres, y up, z nearer."""

import json
import struct
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.depth.surface import Surface
from facegeom.export import images
from facegeom.geometry import boxes, topology
from facegeom.geometry.camera import to_viewer_frame
from facegeom.geometry.rotation import rotation_to_quaternion

FloatArray: TypeAlias = npt.NDArray[np.floating]
Float32Array: TypeAlias = npt.NDArray[np.float32]
UInt8Array: TypeAlias = npt.NDArray[np.uint8]

_ASSET = {"version": "2.0", "generator": "facegeom"}
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
    if not len(surface.points_mm):
        return encode_nothing()
    scene = _Scene()
    return scene.encode(_add_surface(scene, surface, image))


@dataclass(frozen=True, eq=False)
class MovingMesh:
    """A mesh that moves as a whole and changes its shape: points_mm + Σ weights · shapes_mm, then the pose.

    Attributes:
        surface: the mesh at rest in the head frame, and its pixels in the photo of its texture.
        shapes_mm: (K, V, 3) what a weight of 1 adds, head frame.
        times_s: (N,) times of the frames, ascending.
        weights: (N, K).
        rotations: (N, 3, 3) from the head frame to the camera frame.
        translations_mm: (N, 3) of the head's origin in the camera frame.
    """

    surface: Surface
    shapes_mm: FloatArray
    times_s: FloatArray
    weights: FloatArray
    rotations: FloatArray
    translations_mm: FloatArray


def encode_animation(mesh: MovingMesh, image: UInt8Array | None = None) -> bytes:
    """Encode a moving mesh as one node with an animation of translation, rotation and morph weights.

    Args:
        mesh: of at most 65,536 vertices.
        image: (H, W, 3) uint8 RGB, the photo of its texture; without it the mesh is grey.
    """
    scene = _Scene()
    primitive = _add_surface(scene, mesh.surface, image)
    targets = [{"POSITION": scene.add_points(_vertices(shape))} for shape in mesh.shapes_mm]
    quaternions = rotation_to_quaternion(mesh.rotations) * (1, -1, -1, 1)  # of a frame half a turn about x
    flips = np.where((quaternions[1:] * quaternions[:-1]).sum(axis=1) < 0, -1, 1)
    quaternions[1:] *= np.cumprod(flips)[:, None]  # so that no step between two frames goes the long way
    curves: dict[str, tuple[FloatArray, str]] = {
        "translation": (to_viewer_frame(mesh.translations_mm) * _METRES, "VEC3"),
        "rotation": (quaternions, "VEC4"),
        "weights": (mesh.weights.reshape(-1), "SCALAR"),
    }
    if not targets:
        del curves["weights"]
    scene.add_animation(mesh.times_s, curves)
    return scene.encode(primitive | ({"targets": targets} if targets else {}), shapes=len(targets))


def encode_nothing() -> bytes:
    """Encode an empty scene."""
    return _document_bytes({"asset": _ASSET, "scene": 0, "scenes": [{}]}, b"")


def _add_surface(scene: "_Scene", surface: Surface, image: UInt8Array | None) -> dict[str, Any]:
    """Add the arrays of a surface, and the part of the photo that shows it; return the primitive."""
    vertices = _vertices(surface.points_mm)
    attributes = {
        "POSITION": scene.add_points(vertices),
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
    return {"attributes": attributes, "indices": indices, "material": 0}


def _vertices(points_mm: FloatArray) -> Float32Array:
    """Return points (V, 3) of the camera's or the head's frame as glTF has them: metres, viewer frame."""
    return np.asarray(to_viewer_frame(points_mm) * np.float32(_METRES), np.float32)


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
            "asset": _ASSET,
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [{"mesh": 0, "name": "face"}],
            "materials": [{"pbrMetallicRoughness": rough, "doubleSided": True}],
            "accessors": [],
            "bufferViews": [],
        }

    def add_points(self, points: Float32Array) -> int:
        """Append an accessor of points (V, 3), whose limits glTF wants."""
        return self.add_array(points, "VEC3", min=points.min(0).tolist(), max=points.max(0).tolist())

    def add_array(
        self, array: npt.NDArray[Any], kind: str, *, is_geometry: bool = True, **limits: Any
    ) -> int:
        """Append an accessor of float32 vertices or keys, or of uint16 indices; return its number."""
        floats = array.dtype == np.float32
        content = array.astype(array.dtype.newbyteorder("<")).tobytes()
        target = {"target": _ARRAY_BUFFER if floats else _ELEMENT_BUFFER} if is_geometry else {}
        view = self._add_view(content, **target)
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

    def add_animation(self, times_s: FloatArray, curves: dict[str, tuple[FloatArray, str]]) -> None:
        """Animate the node: values at times (N,), linear between them, by glTF's names of what changes."""
        keys = times_s.astype(np.float32)
        limits = {"min": [float(keys[0])], "max": [float(keys[-1])]}
        times = self.add_array(keys, "SCALAR", is_geometry=False, **limits)
        samplers = [
            {"input": times, "output": self.add_array(values.astype(np.float32), kind, is_geometry=False)}
            for values, kind in curves.values()
        ]
        channels = [
            {"sampler": number, "target": {"node": 0, "path": path}} for number, path in enumerate(curves)
        ]
        self._document["animations"] = [{"name": "face", "samplers": samplers, "channels": channels}]

    def encode(self, primitive: dict[str, Any], shapes: int = 0) -> bytes:
        """Encode header, JSON chunk and binary chunk; ``shapes`` counts the mesh's morph targets."""
        mesh: dict[str, Any] = {"name": "face", "primitives": [primitive]}
        if shapes:
            names = [f"shape{number}" for number in range(shapes)]
            mesh |= {"weights": [0] * shapes, "extras": {"targetNames": names}}
        meshes = [mesh]
        document = self._document | {"meshes": meshes, "buffers": [{"byteLength": len(self._binary)}]}
        return _document_bytes(document, bytes(self._binary))


def _document_bytes(document: dict[str, Any], binary: bytes) -> bytes:
    text = _padded(json.dumps(document, separators=(",", ":")).encode("ascii"), b" ")
    chunks = _chunk(b"JSON", text) + (_chunk(b"BIN\0", binary) if binary else b"")
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack("<I4s", len(content), kind) + content


def _padded(content: bytes, filler: bytes) -> bytes:
    return content + filler * (-len(content) % 4)

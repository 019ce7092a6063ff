"""A mask to print: write the 3D face of a photo as a solid OBJ with its texture, and a preview.

    python examples/print_mask.py src/facegeom/data/astronaut.jpg -o mask

Writes mask/mask.obj (millimetres, y up, watertight), mask/mask.mtl, mask/mask.png and mask/preview.jpg.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from facegeom import Face, analyze
from facegeom.geometry import topology
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.image.reading import read
from warp import TEXTURE_PX, rim_of, texture_px, visible_triangles, warp

THICKNESS_MM = 2.0
SURFACE = 468  # points of the mesh; the rest are irises
Y_UP = np.array([1, -1, -1])


def upright_mm(face: Face) -> np.ndarray:
    """Return the frontal face (468, 3) in the head frame: x right, y down, z away, millimetres."""
    return ((face.mesh_mm - face.translation_mm) @ face.camera_rotation)[:SURFACE]


def solid(front: np.ndarray, thickness_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a closed shell of even thickness around the front surface (468, 3).

    The second half of the vertices lies behind the first; walls close the rim, the eyes and the mouth.

    Returns:
        Vertices (936, 3) and triangles (T, 3), counter-clockwise from outside.
    """
    triangles = topology.triangles()
    vertices = np.concatenate([front, front - thickness_mm * normals(front, triangles)])
    rim = rim_of(triangles)
    a, b, a_back, b_back = rim[:, 0], rim[:, 1], rim[:, 0] + SURFACE, rim[:, 1] + SURFACE
    walls = [np.stack([b, a, a_back], axis=1), np.stack([b, a_back, b_back], axis=1)]
    return vertices, np.concatenate([triangles, triangles[:, ::-1] + SURFACE, *walls])


def normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return the unit normals (468, 3), pointing out of the face."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    sums = np.zeros_like(vertices)
    np.add.at(sums, triangles, np.cross(b - a, c - a)[:, None])
    return sums / np.linalg.norm(sums, axis=1, keepdims=True)


def obj_text(vertices: np.ndarray, triangles: np.ndarray) -> str:
    """Return the Wavefront OBJ; front and back share the texture."""
    flat = np.tile(topology.uv()[:SURFACE], (2, 1))
    lines = ["mtllib mask.mtl", "usemtl face"]
    lines += [f"v {x:.3f} {y:.3f} {z:.3f}" for x, y, z in (vertices * Y_UP).tolist()]
    lines += [f"vt {u:.5f} {1 - v:.5f}" for u, v in flat.tolist()]
    lines += [f"f {a}/{a} {b}/{b} {c}/{c}" for a, b, c in (triangles + 1).tolist()]
    return "\n".join([*lines, ""])


def skin(pixels: np.ndarray, face: Face) -> Image.Image:
    """Unroll the photo into the texture; hidden skin gets the colour of what hides it."""
    size = (TEXTURE_PX, TEXTURE_PX)
    return warp(Image.fromarray(pixels), face.mesh_px[:, :2], texture_px(), size, topology.triangles())


def preview(front: np.ndarray, texture: Image.Image) -> Image.Image:
    """Draw the mask from three sides."""
    sheet = Image.new("RGB", (960, 360), (236, 236, 232))
    for number, yaw in enumerate((-40, 0, 40)):
        rotated = front @ rotation_from_angles(yaw, 0, 0).T
        points = np.zeros((478, 3))
        points[:SURFACE] = rotated * 1.45 + (160, 150, 0)
        view = warp(texture, texture_px(), points[:, :2], (320, 360), visible_triangles(points))
        sheet.paste(view, (320 * number, 0), view)
    return sheet


def make_mask(photo: Path, out: Path, thickness_mm: float = THICKNESS_MM) -> None:
    """Write all four files for the photo's best face."""
    pixels, faces = read(photo), analyze(photo)
    if not len(faces):
        raise SystemExit(f"no face in {photo}")
    out.mkdir(parents=True, exist_ok=True)
    front, texture = upright_mm(faces[0]), skin(pixels, faces[0])
    (out / "mask.obj").write_text(obj_text(*solid(front, thickness_mm)), encoding="ascii")
    (out / "mask.mtl").write_text("newmtl face\nKd 1 1 1\nmap_Kd mask.png\n", encoding="ascii")
    texture.convert("RGB").save(out / "mask.png")
    preview(front, texture).save(out / "preview.jpg", quality=90)
    print(f"wrote mask.obj, mask.mtl, mask.png, preview.jpg in {out}")


def main() -> None:
    """Make the mask that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photo", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("mask"), help="folder of the files")
    parser.add_argument("--thickness", type=float, default=THICKNESS_MM, metavar="MM")
    arguments = parser.parse_args()
    make_mask(arguments.photo, arguments.out, arguments.thickness)


if __name__ == "__main__":
    main()

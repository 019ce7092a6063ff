"""Draw ``docs/images/angles.png``: the canonical head, turned by one angle at a time, with its axes.

Run ``python docs/make_images.py`` after a change of the canonical head, the angles or the drawing.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from facegeom import Face, Faces
from facegeom.geometry import boxes, topology
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import rotation_from_angles, rotation_in_camera

OUT = Path(__file__).with_name("images") / "angles.png"
SIDE, CAPTION = 240, 52  # pixels
FOV_DEG = 25.0
PLACE_MM = np.array([0.0, -28.0, 600.0])
LIGHT = np.array([0.35, -0.45, -0.82])  # from the head towards the light: right, above, in front
PANELS = {
    "frontal\nR is the identity": (0, 0, 0),
    "yaw +30°\nnose to the picture's right": (30, 0, 0),
    "pitch +30°\nnose lifted": (0, 30, 0),
    "roll +30°\ntilted clockwise": (0, 0, 30),
}


def head(angles_deg: tuple[float, float, float], camera: Camera) -> Faces:
    """Return the canonical head, turned as seen by so many degrees, as the result for a photo."""
    rotation = rotation_from_angles(*angles_deg)
    mesh_mm = topology.canonical_mm() @ rotation_in_camera(rotation, PLACE_MM).T + PLACE_MM
    mesh_px = np.concatenate([camera.project(mesh_mm), mesh_mm[:, 2:] - PLACE_MM[2]], axis=1)
    face = Face(
        box_xyxy=boxes.from_points(mesh_px),
        score=1,
        landmarks_px=np.tile(camera.project(PLACE_MM), (68, 1)),  # the axes start at their eyes' middle
        landmarks_confidence=np.ones(68),
        mesh_px=mesh_px,
        mesh_confidence=np.ones(478),
        mesh_mm=mesh_mm,
        rotation=rotation,
        translation_mm=PLACE_MM,
    )
    fields = {name: np.asarray(value)[None] for name, value in vars(face).items()}
    return Faces(**fields, width=camera.width, height=camera.height)


def shaded(mesh_mm: np.ndarray, mesh_px: np.ndarray, camera: Camera) -> Image.Image:
    """Draw the mesh as a matt surface under one light, far triangles first."""
    picture = Image.new("RGB", (camera.width, camera.height), (245, 245, 242))
    pen = ImageDraw.Draw(picture)
    corners = mesh_mm[topology.triangles()]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    brightness = 0.35 + 0.65 * np.abs(normals @ LIGHT)
    for index in np.argsort(-corners[:, :, 2].mean(axis=1)):
        outline = [tuple(point) for point in mesh_px[topology.triangles()[index], :2].tolist()]
        red, green, blue = (round(float(brightness[index]) * channel) for channel in (214, 196, 184))
        pen.polygon(outline, fill=(red, green, blue))
    return picture


def panel(caption: str, angles_deg: tuple[float, float, float]) -> Image.Image:
    """Draw one head with its axes and its caption."""
    camera = Camera(SIDE, SIDE, FOV_DEG)
    faces = head(angles_deg, camera)
    picture = shaded(faces.mesh_mm[0], faces.mesh_px[0], camera)
    picture = faces.draw(picture, box=False, landmarks=False, mesh=False)
    sheet = Image.new("RGB", (SIDE, SIDE + CAPTION), "white")
    sheet.paste(picture, (0, CAPTION))
    font = ImageFont.load_default(16)
    where = (SIDE / 2, CAPTION / 2)
    ImageDraw.Draw(sheet).multiline_text(where, caption, fill="black", font=font, anchor="mm", align="center")
    return sheet


def main() -> None:
    """Draw all panels side by side."""
    sheets = [panel(caption, angles) for caption, angles in PANELS.items()]
    strip = Image.new("RGB", (SIDE * len(sheets), SIDE + CAPTION))
    for number, sheet in enumerate(sheets):
        strip.paste(sheet, (number * SIDE, 0))
    OUT.parent.mkdir(exist_ok=True)
    strip.save(OUT, optimize=True)


if __name__ == "__main__":
    main()

"""One rendered image: a dressed head, a camera, a light, a background, and the ground truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageFilter

from facegeom.errors import InputError
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import rotation_from_angles, rotation_to_line_of_sight
from facegeom_lab.synth.anatomy import face_depth, find_anatomy
from facegeom_lab.synth.appearance import Masks, clothes, find_masks, glasses, grow_hair, linear, paint
from facegeom_lab.synth.lights import choose, probe_backdrop, probe_light
from facegeom_lab.synth.mesh import Floats, Mesh, join
from facegeom_lab.synth.model import HeadModel, sample_expression, sample_identity
from facegeom_lab.synth.rasterise import rasterise
from facegeom_lab.synth.shade import openness, sample_light, shade
from facegeom_lab.synth.wardrobe import Studio, dress

Image = NDArray[np.uint8]
Range = tuple[float, float]

OVERSAMPLING = 2
"""Subpixels per pixel on each axis; they are averaged against aliasing."""

NEAR_YAW_DEG = 22.0
"""Standard deviation of the yaw of the heads of a studio that look nearly into the lens."""

VISIBLE_SLACK_MM = 4.0
"""How far behind the drawn surface a point still counts as visible."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One rendered image and its ground truth.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        landmarks_px: (68, 2) projected vertices. The jaw (0 to 16) is the head's own, not its outline: on
            the far side of a rotated head it lies under the surface.
        rotation: (3, 3) head frame to camera frame.
        translation_mm: (3,) head origin in the camera frame.
        visible68: (68,) bool, False where another surface hides the point.
        fov_deg: field of view across the longer side of the image; the principal point is its middle.
        depth_mm: (H, W) z of the bare face in the camera frame, 0 elsewhere; None if not asked for.
        mesh_mm: (478, 3) points of the mesh in the camera frame; None in sets made without.
        expression: (E,) coefficients of the model, 0 to 1.
        identity: (K,) coefficients of the model.
    """

    image: Image
    landmarks_px: Floats
    rotation: Floats
    translation_mm: Floats
    visible68: NDArray[np.bool_]
    fov_deg: float
    depth_mm: Floats | None = None
    mesh_mm: Floats | None = None
    expression: Floats | None = None
    identity: Floats | None = None


Expressions = Callable[[np.random.Generator, HeadModel], Floats]
"""Draws expression coefficients (E,) of a model, 0 to 1."""


def render(
    rng: np.random.Generator,
    model: HeadModel,
    backgrounds: Sequence[Image],
    size: int = 224,
    *,
    yaw_deg: Range = (-90, 90),
    pitch_deg: Range = (-40, 40),
    roll_deg: Range = (-35, 35),
    extent: Range = (0.36, 0.6),
    depth: bool = False,
    expressions: Expressions = sample_expression,
    studio: Studio | None = None,
) -> Sample:
    """Render one random person near the middle of a square image.

    Args:
        rng: source of all random numbers.
        model: the head.
        backgrounds: (h, w, 3) uint8 RGB photos without faces, at least one.
        size: side of the image, pixels.
        yaw_deg: range of a uniform distribution.
        pitch_deg: range of a clipped normal distribution, four standard deviations wide.
        roll_deg: like pitch_deg.
        extent: range of the longer side of the box of the 68 points, relative to `size`.
        depth: whether the sample has a depth map.
        expressions: draws the expression.
        studio: light of real places and things to wear; half of its heads look nearly into the lens.
    """
    yaw = rng.uniform(*yaw_deg)
    if studio and rng.random() < 0.5:
        yaw = np.clip(rng.normal(0, NEAR_YAW_DEG), *yaw_deg)
    rotation = rotation_from_angles(yaw, _clipped_normal(rng, pitch_deg), _clipped_normal(rng, roll_deg))
    camera = Camera(size, size, float(rng.uniform(15, 60)))
    target = camera.centre_px + rng.uniform(-0.06, 0.06, 2) * size
    background = backdrop(rng, backgrounds, (size, size))
    extent_px = rng.uniform(*extent) * size
    return _draw(
        *(rng, model, background, camera, rotation, target, extent_px, depth),
        expressions=expressions,
        studio=studio,
    )


def render_scene(
    rng: np.random.Generator,
    model: HeadModel,
    backgrounds: Sequence[Image],
    size_wh: tuple[int, int] = (640, 480),
    *,
    yaw_deg: Range = (-45, 45),
    pitch_deg: Range = (-30, 30),
    roll_deg: Range = (-30, 30),
    face_px: Range = (60, 250),
    depth: bool = False,
) -> Sample:
    """Render one random person of random size anywhere in a whole photo; angles are uniform.

    Args:
        rng: source of all random numbers.
        model: the head.
        backgrounds: (h, w, 3) uint8 RGB photos without faces, at least one.
        size_wh: of the image, pixels.
        yaw_deg: range.
        pitch_deg: range.
        roll_deg: range.
        face_px: range of the longer side of the box of the 68 points, pixels.
        depth: whether the sample has a depth map.
    """
    width, height = size_wh
    rotation = rotation_from_angles(rng.uniform(*yaw_deg), rng.uniform(*pitch_deg), rng.uniform(*roll_deg))
    face = min(rng.uniform(*face_px), 0.6 * min(size_wh))
    margin = 0.75 * face
    target = rng.uniform([margin, margin], [width - margin, height - margin])
    background = backdrop(rng, backgrounds, size_wh)
    camera = Camera(width, height, float(rng.uniform(30, 60)))
    return _draw(rng, model, background, camera, rotation, target, face, depth)


def render_seen(
    rng: np.random.Generator,
    model: HeadModel,
    backgrounds: Sequence[Image],
    *,
    camera: Camera,
    seen: Floats,
    target_px: Floats,
    face_px: float,
    tone: float | None = None,
) -> Sample:
    """Render one random person at a known place of a whole photo; equal random numbers repeat the person.

    Args:
        rng: source of all random numbers.
        model: the head.
        backgrounds: (h, w, 3) uint8 RGB photos without faces, at least one.
        camera: of the photo.
        seen: (3, 3) the head's rotation as seen, the identity for a look into the lens.
        target_px: (2,) middle of the box of the 68 points.
        face_px: its longer side.
        tone: place on the ramp of skin tones; None for the person's own.
    """
    background = backdrop(rng, backgrounds, (camera.width, camera.height))
    return _draw(rng, model, background, camera, seen, target_px, face_px, False, as_seen=True, tone=tone)


def _draw(
    rng: np.random.Generator,
    model: HeadModel,
    background: Floats,
    camera: Camera,
    rotation: Floats,
    target_px: Floats,
    extent_px: float,
    with_depth: bool,
    as_seen: bool = False,
    expressions: Expressions = sample_expression,
    tone: float | None = None,
    studio: Studio | None = None,
) -> Sample:
    """Dress, place, light and rasterise a head, and blend it over the linear `background` (H, W, 3).

    Its rotation is in the camera frame, or as seen.
    """
    mesh, bare, expression, identity = dressed_head(rng, model, expressions, tone, studio)
    marks = bare[model.landmarks]
    if as_seen:
        rotation = _in_camera(rotation, marks, camera, target_px, extent_px)
    translation = place(marks @ rotation.T, camera, target_px, extent_px)
    if studio and rng.random() < studio.share:
        probe = choose(rng, studio.probes)
        light, azimuth_deg = probe_light(rng, probe)
        if rng.random() < studio.backdrops:
            background = probe_backdrop(rng, probe, azimuth_deg, (camera.width, camera.height))
    else:
        light = sample_light(rng)
    colours = shade(mesh, light, rotation, exposure=_meter(rng, len(bare)) if studio else None)
    points = mesh.vertices @ rotation.T + translation
    layer, drawn = _oversampled(points, mesh, colours, camera)
    image = develop(rng, layer[..., :3] + (1 - layer[..., 3:]) * background)
    skin = bare @ rotation.T + translation
    marks_px = camera.project(skin[model.landmarks])
    return Sample(
        image=image,
        landmarks_px=marks_px.astype(np.float32),
        rotation=rotation.astype(np.float32),
        translation_mm=translation.astype(np.float32),
        visible68=_visible(_subpixels(marks_px), skin[model.landmarks, 2], drawn),
        fov_deg=camera.fov_deg,
        depth_mm=face_depth(skin, model, camera) if with_depth else None,
        mesh_mm=find_anatomy(model).mesh(skin).astype(np.float32),
        expression=expression,
        identity=identity,
    )


def _meter(rng: np.random.Generator, count: int) -> Callable[[Floats, Floats], float]:
    """Return a camera's meter that exposes mostly for the first ``count`` vertices, the head's."""
    target, trust = float(np.exp(rng.normal(np.log(0.3), 0.4))), float(rng.uniform(0.5, 0.95))

    def factor(colours: Floats, normals: Floats) -> float:
        seen = np.clip(-normals[:count, 2], 0, 1)
        level = float((colours[:count].mean(axis=1) * seen).sum() / max(float(seen.sum()), 1e-6))
        return float((target / max(level, 1e-3)) ** trust)

    return factor


def dressed_head(
    rng: np.random.Generator,
    model: HeadModel,
    expressions: Expressions = sample_expression,
    tone: float | None = None,
    studio: Studio | None = None,
) -> tuple[Mesh, Floats, Floats, Floats]:
    """Make a random person, head frame, millimetres; of one skin tone, or with more to wear, if asked for.

    Returns:
        The dressed mesh; vertices (V, 3) of the bare head; coefficients (E,) of its expression, (K,) of its
        identity.
    """
    masks, open_share = _fixed(model)
    identity, expression = sample_identity(rng, model), expressions(rng, model)
    bare = model.vertices(identity, expression)
    albedo, hair, gloss = paint(rng, masks, model.neutral_mm, tone)
    head = Mesh(bare.copy(), model.triangles, albedo, gloss, open_share)
    parts = [head, *grow_hair(rng, head, model.neutral_mm, hair), clothes(rng)]
    if rng.random() < 0.2:
        parts += glasses(rng, bare[model.landmarks[36:48]])
    if studio:
        parts += dress(rng, head, model.neutral_mm, bare[model.landmarks], masks.skin)
    return join(parts), bare, expression, identity


def place(marks_mm: Floats, camera: Camera, target_px: Floats, extent_px: float) -> NDArray[np.float64]:
    """Return the translation (3,) that puts the box of the points (68, 3) at `target_px`, `extent_px` long.

    Raises:
        InputError: the head would be too near to the camera.
    """
    span = np.ptp(marks_mm[:, :2], axis=0).max()
    translation = np.array([0, 0, camera.focal_px * span / extent_px])
    for _ in range(8):
        points = camera.project(marks_mm + translation)
        low, high = points.min(axis=0), points.max(axis=0)
        translation[2] *= (high - low).max() / extent_px
        translation[:2] += (target_px - (low + high) / 2) * translation[2] / camera.focal_px
    if translation[2] + marks_mm[:, 2].min() < 50:
        raise InputError(
            f"a face of {extent_px:.0f} px does not fit before a camera of {camera.fov_deg:.0f} degrees"
        )
    return translation


def _in_camera(seen: Floats, marks_mm: Floats, camera: Camera, target_px: Floats, extent_px: float) -> Floats:
    """Return the rotation (3, 3) in the camera frame of a head with a rotation (3, 3) as seen."""
    rotation = seen
    for _ in range(8):  # the place depends a little on the rotation
        sight = rotation_to_line_of_sight(place(marks_mm @ rotation.T, camera, target_px, extent_px))
        rotation = sight @ seen
    return rotation


def _oversampled(points: Floats, mesh: Mesh, colours: Floats, camera: Camera) -> tuple[Floats, Floats]:
    """Return linear colour and alpha (H, W, 4), and the depth map of the subpixels."""
    fine = _subpixels(camera.project(points))
    attributes = np.concatenate([colours, np.ones((len(colours), 1))], axis=1)
    size = (camera.width * OVERSAMPLING, camera.height * OVERSAMPLING)
    drawn, depth = rasterise(fine, points[:, 2], mesh.triangles, attributes, size)
    steps = range(OVERSAMPLING)  # a sum of slices: several times faster than a mean over two axes
    cells = [drawn[dy::OVERSAMPLING, dx::OVERSAMPLING] for dy in steps for dx in steps]
    return np.sum(cells, axis=0) / OVERSAMPLING**2, depth


def _subpixels(points_px: Floats) -> Floats:
    """Convert pixels to subpixels."""
    return (points_px + 0.5) * OVERSAMPLING - 0.5


def _visible(fine_px: Floats, depth_mm: Floats, depth_map: Floats) -> NDArray[np.bool_]:
    """Return (N,) whether points are inside the image and not behind the surfaces within one subpixel."""
    height, width = depth_map.shape
    column, row = np.rint(fine_px).astype(int).T
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    seen = np.zeros(len(depth_mm), dtype=bool)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            near = depth_map[np.clip(row + dy, 0, height - 1), np.clip(column + dx, 0, width - 1)]
            seen |= depth_mm <= near + VISIBLE_SLACK_MM
    return seen & inside


def _clipped_normal(rng: np.random.Generator, limits: Range) -> float:
    middle, half = (limits[0] + limits[1]) / 2, (limits[1] - limits[0]) / 2
    return float(np.clip(rng.normal(middle, half / 2), *limits))


@lru_cache(maxsize=2)
def _fixed(model: HeadModel) -> tuple[Masks, Floats]:
    """Return what all images of a model share: masks of its parts and each vertex's openness to light."""
    return find_masks(model), openness(model.neutral_mm, model.triangles)


def backdrop(rng: np.random.Generator, photos: Sequence[Image], size_wh: tuple[int, int]) -> Floats:
    """Return a random crop of a random photo as linear light (H, W, 3), often out of focus.

    Raises:
        InputError: `photos` is empty.
    """
    if len(photos) == 0:
        raise InputError("expected at least one background photo, got none")
    photo = PillowImage.fromarray(photos[int(rng.integers(len(photos)))])
    fraction = rng.uniform(0.4, 1)
    aspect = size_wh[0] / size_wh[1]
    width = fraction * min(photo.width, photo.height * aspect)
    left, top = rng.uniform(0, photo.width - width), rng.uniform(0, photo.height - width / aspect)
    box = (left, top, left + width, top + width / aspect)
    crop = photo.resize(size_wh, PillowImage.Resampling.BILINEAR, box=box)
    if rng.random() < 0.5:
        crop = crop.transpose(PillowImage.Transpose.FLIP_LEFT_RIGHT)
    radius = rng.exponential(0.008) * max(size_wh) * (rng.random() < 0.6)
    return linear(np.asarray(crop.filter(ImageFilter.GaussianBlur(radius)))) * rng.uniform(0.5, 1.2)


def develop(rng: np.random.Generator, light: Floats) -> Image:
    """Turn linear light (H, W, 3) into a uint8 RGB photo: exposure, tone, colour, blur, noise, JPEG."""
    light = light * rng.uniform(0.75, 1.35)
    tone = np.clip(light, 0, 1) ** (1 / rng.uniform(1.9, 2.6)) * 255
    if rng.random() < 0.08:
        tone = np.repeat(tone @ np.array([[0.3], [0.59], [0.11]]), 3, axis=2)
    photo = PillowImage.fromarray(np.clip(tone, 0, 255).astype(np.uint8))
    photo = photo.filter(ImageFilter.GaussianBlur(rng.exponential(0.45)))
    noisy = np.asarray(photo, dtype=np.float32) + rng.normal(0, rng.exponential(4), light.shape)
    photo = PillowImage.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
    buffer = BytesIO()
    photo.save(buffer, format="JPEG", quality=int(rng.integers(35, 96)))
    return np.array(PillowImage.open(buffer).convert("RGB"))

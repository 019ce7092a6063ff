"""Errors by group: how light a face is, where the head points, and which tone its skin is painted in."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from facegeom.geometry.rotation import angles_from_rotation, geodesic_deg
from facegeom.image import reading
from facegeom_lab.bench.context import Bench
from facegeom_lab.bench.matching import match_landmarks
from facegeom_lab.bench.rotation.errors import match_rotations
from facegeom_lab.bench.rotation.rendered import PlacedHeads, Scene, render_heads
from facegeom_lab.datasets.published.pack import LabelledPhoto
from facegeom_lab.fitting.pose_fit import rotation_under_points
from facegeom_lab.measures.tables import Cell, Table, percent
from facegeom_lab.synth.appearance import SKIN_RAMP

FloatArray = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]

OUTLINE = (*range(17), *range(26, 16, -1))
"""Jaw from ear to ear, then the brows back: the face's outline among the 68 points."""

FRONTAL_DEG = 15.0
_YAW = {"below 15°": (0, 15), "15° to 30°": (15, 30), "30° to 45°": (30, 45), "beyond 45°": (45, 181)}
_PITCH = {"up, beyond 10°": (10, 181), "level": (-10, 10), "down, beyond 10°": (-181, -10)}
_PHOTOS_PROTOCOL = (
    "Faces that people labelled in `val` and AFW scenes; own detection, matching and NME as in the "
    "end-to-end table; grouped by labels alone. Luminance: median L* (CIELAB, 0 black to 100 white) of the "
    "pixels between jaw and brows, thirds of all these faces; it is that of skin and light together, no skin "
    "colour. Yaw and pitch: of the canonical head under people's points. ±: standard error of the mean. Of "
    "the box: mean distance in % of the root of the labelled box's area, since turning shortens the distance "
    "of the eyes in the picture."
)
_PAINTED_PROTOCOL = (
    "The same rendered heads (people and backgrounds not used in training) in the same light and pose, each "
    "painted in seven skin tones, from the lightest to the darkest of those that training draws from; all "
    "else is equal. Images of 640 x 480, faces of 60 to 250 px, yaw within ±45°, pitch and roll within ±20°. "
    "Points 17 to 67 against the head's own, in % of the distance of the outer eye corners; rotation: "
    "geodesic. Differences: to the same heads in the first tone, of those found in both, with their standard "
    "error."
)


@dataclass(frozen=True)
class PaintedHeads(PlacedHeads):
    """Heads of which each is drawn in every tone of the skin ramp, all else equal."""

    def scenes(self) -> Iterator[Scene]:
        """Yield the scenes tone by tone."""
        for tone in range(len(SKIN_RAMP)):
            for rng, scene in super().scenes():
                yield rng, {**scene, "tone": float(tone)}


PAINTED = PaintedHeads(
    seed=31,
    count=40,
    size_wh=(640, 480),
    fov_deg=(50.0,),
    places=((0.0, 0.0),),
    face_px=(60, 250),
    yaw_deg=(-45, 45),
    pitch_deg=(-20, 20),
    roll_deg=(-20, 20),
)


@dataclass(frozen=True, eq=False)
class _Labelled:
    """What is known of F labelled faces of one set, found or not.

    Attributes:
        errors: (F, 2) mean distance of the 68 points in % of eye distance and of the box; NaN if not found.
        luminance: (F,) L*.
        yaw_deg, pitch_deg: (F,) of the head under the labels.
    """

    errors: FloatArray
    luminance: FloatArray
    yaw_deg: FloatArray
    pitch_deg: FloatArray


def people(bench: Bench, painted: PaintedHeads = PAINTED) -> list[Table]:
    """Measure errors by luminance and direction on photos, and by painted skin tone, two tables."""
    sets = {name: _labelled(bench, photos) for name, photos in bench.scene_sets().items()}
    edges = np.quantile(np.concatenate([each.luminance for each in sets.values()]), [1 / 3, 2 / 3])
    rows: list[tuple[Cell, ...]] = []
    for name, faces in sets.items():
        for (by, group), chosen in _groups(faces, edges).items():
            rows.append((name, by, group, *_summary(faces.errors[chosen])))
    columns = ("set", "by", "group", "NME, %", "±, %", "median, %", "of the box, %", "found, %", "faces")
    return [Table("People: photos", _PHOTOS_PROTOCOL, columns, rows), _painted(bench, painted)]


def _labelled(bench: Bench, photos: list[LabelledPhoto]) -> _Labelled:
    matched = match_landmarks(bench.predictions(photos), photos)
    truth = np.concatenate([photo.landmarks_px for photo in photos])
    box = np.concatenate([photo.box_xyxy for photo in photos])
    first = np.cumsum([0, *(len(photo.landmarks_px) for photo in photos)])
    at = first[matched.faces[:, 0]] + matched.faces[:, 1]
    errors = np.full((len(truth), 2), np.nan)
    apart = np.linalg.norm(matched.points_px - matched.truth_px, axis=2).mean(axis=1)
    errors[at, 0] = 100 * matched.errors().mean(axis=1)
    errors[at, 1] = 100 * apart / np.sqrt(np.prod(box[at, 2:] - box[at, :2], axis=1))
    light = np.concatenate([luminance(photo) for photo in photos])
    return _Labelled(errors, light, *angles(truth.astype(np.float64)))


def angles(points_px: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return yaw and pitch (N,), degrees, of the canonical head under 68 points (N, 68, 2)."""
    found = angles_from_rotation(rotation_under_points(points_px))
    return found[:, 0], found[:, 1]


def luminance(photo: LabelledPhoto) -> FloatArray:
    """Return the median L* (N,) of the pixels inside the outline of each labelled face."""
    linear = (np.asarray(reading.read(photo.path)) / 255) ** 2.2 @ np.array([0.2126, 0.7152, 0.0722])
    lightness = np.where(linear > 0.008856, 116 * np.cbrt(linear) - 16, 903.3 * linear)
    found = []
    for points in photo.landmarks_px:
        inside = Image.new("1", lightness.shape[::-1])
        ImageDraw.Draw(inside).polygon([tuple(point) for point in points[list(OUTLINE)].tolist()], fill=1)
        pixels = lightness[np.asarray(inside)]
        found.append(float(np.median(pixels)) if len(pixels) else np.nan)
    return np.array(found)


def _groups(faces: _Labelled, edges: FloatArray) -> dict[tuple[str, str], BoolArray]:
    """Return which faces (F,) belong to each group, by what is grouped and the group's name."""
    third = np.searchsorted(edges, faces.luminance)
    low, high = edges
    titles = (f"dark, L* below {low:.0f}", f"middle, {low:.0f} to {high:.0f}", f"light, above {high:.0f}")
    frontal = np.abs(faces.yaw_deg) < FRONTAL_DEG
    groups = {("luminance", title): third == index for index, title in enumerate(titles)}
    groups |= {("luminance, yaw below 15°", title): (third == i) & frontal for i, title in enumerate(titles)}
    for by, angle, bands in (("yaw", np.abs(faces.yaw_deg), _YAW), ("pitch", faces.pitch_deg, _PITCH)):
        groups |= {(by, name): (angle >= least) & (angle < most) for name, (least, most) in bands.items()}
    return groups


def _summary(errors: FloatArray) -> tuple[Cell, ...]:
    """Summarize errors (F, 2) of one group."""
    found = errors[np.isfinite(errors[:, 0])]
    counts = (percent(len(found), len(errors)), len(errors))
    if not len(found):
        return (*[None] * 4, *counts)
    nme = found[:, 0]
    return float(nme.mean()), _standard_error(nme), float(np.median(nme)), float(found[:, 1].mean()), *counts


def _standard_error(values: FloatArray) -> float | None:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def _painted(bench: Bench, wanted: PaintedHeads) -> Table:
    """Measure the same heads in each tone, one row a tone."""
    heads = render_heads(bench.data, wanted, bench.cache)
    predictions = bench.predictions(heads.photos)
    matched = match_landmarks(predictions, heads.photos)
    nme = np.full(len(heads.photos), np.nan)
    nme[matched.faces[:, 0]] = 100 * matched.errors()[:, 17:].mean(axis=1)
    rotations = match_rotations(predictions, [faces.rotation for faces in predictions], heads.photos)
    turned = np.where(rotations.found, geodesic_deg(rotations.rotation, heads.rotation), np.nan)
    by_tone = [each.reshape(len(SKIN_RAMP), wanted.count) for each in (nme, turned)]
    rows = [
        (str(tone + 1), str(tuple(SKIN_RAMP[tone].tolist())), *_painted_cells(by_tone, tone))
        for tone in range(len(SKIN_RAMP))
    ]
    columns = (
        *("tone", "sRGB", "points, %", "difference, %", "±, %"),
        *("rotation °", "difference °", "±, °", "found, %", "pictures"),
    )
    return Table("People: painted skin", _PAINTED_PROTOCOL, columns, rows)


def _painted_cells(by_tone: list[FloatArray], tone: int) -> tuple[Cell, ...]:
    """Return one tone's cells from errors (tones, heads) of points and of rotations, NaN if not found."""
    cells: list[Cell] = []
    for errors in by_tone:
        found = errors[tone][np.isfinite(errors[tone])]
        change = errors[tone] - errors[0]
        change = change[np.isfinite(change)]
        cells += [float(each.mean()) if len(each) else None for each in (found, change)]
        cells.append(_standard_error(change))
    return (
        *cells,
        percent(int(np.isfinite(by_tone[0][tone]).sum()), by_tone[0].shape[1]),
        by_tone[0].shape[1],
    )

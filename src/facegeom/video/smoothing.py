"""Smooth tracked faces over time, each point by the error that the network expects of it.

A Kalman filter for values that drift slowly, whose drift is raised to whatever the noise cannot explain: a
move beyond three standard deviations passes at once, and what lies below is averaged over more and more
frames. So a face at rest is calm, and a blink keeps its depth.
"""

from dataclasses import dataclass, replace
from math import log, sqrt

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError, shown
from facegeom.geometry.camera import Camera
from facegeom.geometry.placement import place
from facegeom.geometry.rotation import rotation_from_6d, rotation_to_6d
from facegeom.geometry.schemes import IBUG68_EYE_CORNERS, MESH478_EYE_CORNERS
from facegeom.models.face import NEAR
from facegeom.results import Faces
from facegeom.video.tracking import TrackedFaces

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True)
class SmoothingSettings:
    """The trade-off between jitter and lag.

    Attributes:
        drift_per_s: variance by which a value at rest drifts in a second, in variances of its noise; lower
            values average over more frames.
        gate: a difference is taken for noise while its square is below so many variances; higher values
            reduce jitter, lower ones lag.
    """

    drift_per_s: float = 0.008
    gate: float = 10.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (isinstance(value, (int, float, np.number)) and 0 < value < np.inf):
                raise InputError(f"{name}: expected a finite number above 0, got {shown(value)}")


class AdaptiveKalman:
    """Filter of P vectors; the components of each share one gain.

    Args:
        settings: of the filter.
    """

    def __init__(self, settings: SmoothingSettings) -> None:
        self.settings = settings
        self.time_s = 0.0
        self._value: FloatArray | None = None
        self._variance: FloatArray = np.zeros(0)  # in variances of the noise

    def __call__(
        self, values: FloatArray, noise: FloatArray, time_s: float, count: "FloatArray | None" = None
    ) -> FloatArray:
        """Filter the next values (P, D); the first, and those that are not later than the last, pass.

        Args:
            values: (P, D).
            noise: (P,) standard deviation of a component, above 0, in the unit of the values.
            time_s: time of the values, seconds.
            count: (P,) components that are used; all D by default.
        """
        step_s, self.time_s = time_s - self.time_s, time_s
        if self._value is None or not 0 < step_s < np.inf:
            self._value, self._variance = values, np.ones_like(values[:, 0])
            return values
        change = values - self._value
        squares = np.einsum("pd,pd->p", change, change) / (values.shape[1] if count is None else count)
        drifted = self._variance + self.settings.drift_per_s * step_s
        drifted = np.maximum(drifted, squares / (noise**2 * self.settings.gate) - 1)
        self._variance = gain = drifted / (drifted + 1)
        self._value = self._value + gain[:, None] * change
        return self._value


NOISE_LEVEL, NOISE_LEVELS, NOISE_LEVEL_S = 0.12, (0.04, 0.5), 0.7
"""Noise from frame to frame, as a fraction of the expected error: of good frames, at least and at most, and
the time constant with which it is learned for each face."""

_MEDIAN_BEND = 2 * log(2) * 0.65
"""Median of squared differences, in variances of a difference: two normal components, and the part of it that
the points do not share."""

UNEVEN_STEPS = 3.0
"""Of frames whose distances in time differ by more, nothing is learned."""

CONFIDENCES = (0.2, 0.9999)
"""Confidences beyond these say nothing of noise."""

RESET_AFTER_S = 0.5
"""A face that was absent for longer starts with a new filter."""

_LANDMARKS, _MESH, _BOX, _ROTATION = slice(0, 68), slice(68, 546), slice(546, 548), slice(548, 550)
_GAZE, _EXPRESSION = slice(550, 552), slice(552, 604)
_LEARNED = slice(68, 546, 4)  # enough points of the mesh to learn the noise from
_KINDS = [68, 478, 2, 2, 2, 52]
_COUNT = np.repeat(np.array([2, 3, 2, 3, 3, 1], np.float32), _KINDS)
_SHARE = np.repeat(np.array([0.55, 1.1, 1.5, 2.2, 5.5, 5.5], np.float32), _KINDS)
"""Noise of landmarks, mesh, box, rotation, gaze and expression over that of the mesh's x and y, on clips of
noisy frames; for the last three that as a fraction of the eye distance."""


class _FaceFilter:
    """The filter of one face, and the level of its noise."""

    def __init__(self, settings: SmoothingSettings) -> None:
        self._filter = AdaptiveKalman(settings)
        self._seen: list[tuple[float, FloatArray]] = []  # times and meshes of the last frames
        self._level = NOISE_LEVEL**2

    @property
    def time_s(self) -> float:
        """Time of the last frame."""
        return self._filter.time_s

    def __call__(self, rows: FloatArray, error_px: FloatArray, eyes_px: float, time_s: float) -> FloatArray:
        """Filter the next rows (604, 3) of a face with expected errors (546,), pixels."""
        self._learn(rows[_LEARNED, :2], error_px[_LEARNED], time_s)
        typical = error_px[_LEARNED].mean()
        free = _SHARE[_ROTATION.start :]
        noise = np.concatenate([error_px, [typical] * 2, np.full(len(free), typical / eyes_px)])
        return self._filter(rows, noise * (_SHARE * sqrt(self._level)), time_s, _COUNT)

    def _learn(self, mesh_px: FloatArray, error_px: FloatArray, time_s: float) -> None:
        """Follow the level of the noise: what a steady motion does not explain of three frames."""
        self._seen = [*self._seen[-2:], (time_s, mesh_px)]
        if len(self._seen) < 3:
            return
        (first_s, first), (second_s, second), (_, third) = self._seen
        before_s, step_s = second_s - first_s, time_s - second_s
        if not 0 < before_s <= UNEVEN_STEPS * step_s <= UNEVEN_STEPS**2 * before_s:
            return
        ratio = step_s / before_s
        bend = third - (1 + ratio) * second + ratio * first
        bend -= bend.mean(axis=0)
        variance = 1 + (1 + ratio) ** 2 + ratio**2
        squares = np.einsum("pd,pd->p", bend, bend) / (error_px**2 * variance)
        level = float(np.partition(squares, len(squares) // 2)[len(squares) // 2]) / _MEDIAN_BEND
        self._level += min(1.0, step_s / NOISE_LEVEL_S) * (level - self._level)
        self._level = min(max(self._level, NOISE_LEVELS[0] ** 2), NOISE_LEVELS[1] ** 2)


class FaceSmoother:
    """Smooth positions and rotations of tracked faces over time.

    Landmarks, mesh and box are filtered in pixels, each point by its own expected error, coefficients and
    looks by that of the mesh. Millimetres are computed from the smoothed mesh, with the angle of view of the
    faces. A rotation, of the head as seen, is filtered as its first two columns (6D) and made orthonormal
    again. Depth maps are left as they are. A track id that was not seen before, as after a cut, starts with a
    new filter.

    Args:
        settings: of the filter.
    """

    def __init__(self, settings: SmoothingSettings = SmoothingSettings()) -> None:
        self.settings = settings
        self._filters: dict[int, _FaceFilter] = {}

    def __call__(self, tracked: TrackedFaces, time_s: float) -> TrackedFaces:
        """Return the faces of the next frame, at its time in seconds, smoothed."""
        known = self._filters.items()
        self._filters = {id_: one for id_, one in known if time_s - one.time_s <= RESET_AFTER_S}
        if not len(tracked.ids):
            return tracked
        faces = tracked.faces
        rows, (errors, eyes) = _stack_fields(faces), _expected_errors_px(faces)
        for id_, row, error, eye in zip(tracked.ids.tolist(), rows, errors, eyes, strict=True):
            one = self._filters.setdefault(id_, _FaceFilter(self.settings))
            row[:] = one(row.copy(), error, float(eye), time_s)
        return replace(tracked, faces=_unstack_fields(faces, rows))


def _expected_errors_px(faces: Faces) -> tuple[FloatArray, FloatArray]:
    """Return the expected errors (N, 546) behind confidences, and the distances (N,) of outer eye corners."""
    errors = []
    for points, confidence, (first, second) in (
        (faces.landmarks_px, faces.landmarks_confidence, IBUG68_EYE_CORNERS),
        (faces.mesh_px[..., :2], faces.mesh_confidence, MESH478_EYE_CORNERS),
    ):
        eyes = np.maximum(np.linalg.norm(points[:, first] - points[:, second], axis=1), 1.0)
        share = -NEAR / np.log1p(-np.clip(confidence, *CONFIDENCES))
        errors.append((share * eyes[:, None]).astype(np.float32))
    return np.concatenate(errors, axis=1), eyes


def _stack_fields(faces: Faces) -> FloatArray:
    """Stack all filtered fields as (N, 604, 3).

    They are 68 landmarks, mesh, box corners, columns of the rotation, looks of both eyes, and coefficients,
    one component each.
    """
    rows = np.zeros((len(faces), len(_COUNT), 3), np.float32)
    rows[:, _LANDMARKS, :2] = faces.landmarks_px
    rows[:, _MESH] = faces.mesh_px
    rows[:, _BOX, :2] = faces.box_xyxy.reshape(-1, 2, 2)
    rows[:, _ROTATION] = rotation_to_6d(faces.rotation).reshape(-1, 2, 3)
    if faces.gaze is not None and faces.expression is not None:
        rows[:, _GAZE], rows[:, _EXPRESSION, 0] = faces.gaze, faces.expression
    return rows


def _unstack_fields(faces: Faces, rows: FloatArray) -> Faces:
    """Return the faces with the smoothed fields (N, 604, 3) and the millimetres that follow from them."""
    mesh_mm, translation_mm = place(rows[:, _MESH], Camera(faces.width, faces.height, faces.fov_deg))
    gaze = rows[:, _GAZE]
    return replace(
        faces,
        box_xyxy=rows[:, _BOX, :2].reshape(-1, 4),
        landmarks_px=rows[:, _LANDMARKS, :2],
        mesh_px=rows[:, _MESH],
        mesh_mm=mesh_mm,
        rotation=rotation_from_6d(rows[:, _ROTATION].reshape(-1, 6)),
        translation_mm=translation_mm,
        gaze=None
        if faces.gaze is None
        else gaze / np.maximum(np.linalg.norm(gaze, axis=-1, keepdims=True), 1e-6),
        expression=None if faces.expression is None else np.clip(rows[:, _EXPRESSION, 0], 0, 1),
    )

"""One-euro smoothing of tracked faces: strong at rest, weak in motion.

Casiez, Roussel and Vogel, "1 € Filter", CHI 2012: a first-order low-pass whose cut-off frequency grows with
the speed of its input. Speeds are measured in face sizes per second, so one setting serves near and far
faces, every resolution and every frame rate.
"""

from dataclasses import dataclass, replace
from math import pi

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError
from facegeom.geometry.camera import Camera
from facegeom.geometry.placement import place
from facegeom.geometry.rotation import rotation_from_6d, rotation_to_6d
from facegeom.results import Faces
from facegeom.video.tracking import TrackedFaces

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True)
class OneEuroSettings:
    """Parameters of a one-euro filter: the trade-off between jitter and lag.

    Attributes:
        min_cutoff_hz: cut-off frequency at rest; lower values reduce jitter.
        beta: increase of the cut-off frequency with speed, Hz per unit of the filtered values per second;
            higher values reduce lag.
        derivative_cutoff_hz: cut-off frequency of the low-pass on the speed.
    """

    min_cutoff_hz: float
    beta: float
    derivative_cutoff_hz: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < np.inf or (name != "beta" and value == 0):
                raise InputError(f"{name}: expected a finite number above 0, got {value!r}")


DEFAULT_SETTINGS = OneEuroSettings(min_cutoff_hz=0.2, beta=15.0, derivative_cutoff_hz=1.0)
"""Settings for faces: speeds in face sizes per second for points, in radians per second for rotations."""


class OneEuro:
    """One-euro filter of P vectors; each vector has its own speed, its components share one cut-off."""

    def __init__(self, settings: OneEuroSettings) -> None:
        self.settings = settings
        self.time_s = 0.0
        self._value: FloatArray | None = None
        self._speed: FloatArray = np.zeros(0)

    def __call__(self, values: FloatArray, time_s: float, unit: "FloatArray | float" = 1.0) -> FloatArray:
        """Filter the next values (P, D); the first, and those that are not later than the last, pass.

        Speeds are measured in the ``unit``, a length in the unit of the values: one number, or (P, 1).
        """
        step_s = time_s - self.time_s
        if self._value is None or step_s <= 0:
            self._value, self._speed = values, np.zeros_like(values)
        else:
            change = values - self._value
            speed_weight = _low_pass_weight(self.settings.derivative_cutoff_hz, step_s)
            self._speed = self._speed + speed_weight * (change / (unit * step_s) - self._speed)
            speed = np.sqrt(np.einsum("pd,pd->p", self._speed, self._speed))
            cutoff = self.settings.min_cutoff_hz + self.settings.beta * speed
            self._value = self._value + _low_pass_weight(cutoff, step_s)[:, None] * change
        self.time_s = time_s
        return self._value


def _low_pass_weight(cutoff_hz: "FloatArray | float", step_s: float) -> FloatArray:
    """Return the weight in (0, 1) of a new value in a first-order low-pass."""
    phase_rad = 2 * pi * np.asarray(cutoff_hz) * step_s
    return np.asarray(phase_rad / (phase_rad + 1))


RESET_AFTER_S = 0.5
"""A face that was absent for longer starts with a new filter."""

_LANDMARKS, _MESH, _BOX, _ROTATION = slice(0, 68), slice(68, 546), slice(546, 548), slice(548, 550)
_ROWS = 550


class FaceSmoother:
    """Smooth positions and rotations of tracked faces over time.

    Landmarks, mesh and box are filtered in pixels, each point by its own speed. Millimetres are computed
    from the smoothed mesh, with the angle of view of the faces. A rotation, of the head as seen, is filtered
    as its first two columns (6D) and made orthonormal again. Depth maps are left as they are. A track id that
    was not seen before, as after a cut, starts with a new filter.

    Args:
        settings: parameters of the filter.
    """

    def __init__(self, settings: OneEuroSettings = DEFAULT_SETTINGS) -> None:
        self.settings = settings
        self._filters: dict[int, OneEuro] = {}

    def __call__(self, tracked: TrackedFaces, time_s: float) -> TrackedFaces:
        """Return the faces of the next frame, at its time in seconds, smoothed."""
        known = self._filters.items()
        self._filters = {id_: one for id_, one in known if time_s - one.time_s <= RESET_AFTER_S}
        if not len(tracked.ids):
            return tracked
        rows = _stack_fields(tracked.faces)
        units = np.ones((_ROWS, 1), np.float32)
        for id_, row, box in zip(tracked.ids.tolist(), rows, tracked.faces.box_xyxy, strict=True):
            units[: _ROTATION.start] = (box[2:] - box[:2]).max()
            row[:] = self._filters.setdefault(id_, OneEuro(self.settings))(row.copy(), time_s, units)
        return replace(tracked, faces=_unstack_fields(tracked.faces, rows))


def _stack_fields(faces: Faces) -> FloatArray:
    """Stack all filtered fields as (N, 550, 3): 68 landmarks, mesh, box corners, rotation columns."""
    rows = np.zeros((len(faces), _ROWS, 3), np.float32)
    rows[:, _LANDMARKS, :2] = faces.landmarks_px
    rows[:, _MESH] = faces.mesh_px
    rows[:, _BOX, :2] = faces.box_xyxy.reshape(-1, 2, 2)
    rows[:, _ROTATION] = rotation_to_6d(faces.rotation).reshape(-1, 2, 3)
    return rows


def _unstack_fields(faces: Faces, rows: FloatArray) -> Faces:
    """Return the faces with the smoothed fields (N, 550, 3) and the millimetres that follow from them."""
    mesh_mm, translation_mm = place(rows[:, _MESH], Camera(faces.width, faces.height, faces.fov_deg))
    return replace(
        faces,
        box_xyxy=rows[:, _BOX, :2].reshape(-1, 4),
        landmarks_px=rows[:, _LANDMARKS, :2],
        mesh_px=rows[:, _MESH],
        mesh_mm=mesh_mm,
        rotation=rotation_from_6d(rows[:, _ROTATION].reshape(-1, 6)),
        translation_mm=translation_mm,
    )

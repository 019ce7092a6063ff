"""One-euro smoothing of tracked faces: strong while a face is still, weak while it moves.

Casiez, Roussel and Vogel, "1 € Filter", CHI 2012: a low-pass of first order whose cut-off frequency grows
with the speed of what it filters. Speeds are measured in sizes of the face per second, so that one setting
serves near and far faces, and every resolution and frame rate.
"""

from dataclasses import dataclass, replace
from math import pi

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError
from facegeom.geometry.camera import DEFAULT_FOV_DEG, Camera
from facegeom.geometry.placement import place
from facegeom.geometry.rotation import rotation_from_6d, rotation_to_6d
from facegeom.results import Faces
from facegeom.video.tracking import TrackedFaces

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True)
class OneEuroSettings:
    """How a one-euro filter weighs calm against delay.

    Attributes:
        min_cutoff_hz: cut-off at rest; lower is calmer.
        beta: growth of the cut-off with speed, Hz for one unit of the filtered values per second; higher
            follows faster.
        derivative_cutoff_hz: cut-off of the speed's own low-pass.
    """

    min_cutoff_hz: float
    beta: float
    derivative_cutoff_hz: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < np.inf or (name != "beta" and value == 0):
                raise InputError(f"{name}: expected a finite number above 0, got {value!r}")


FACES = OneEuroSettings(min_cutoff_hz=0.2, beta=15.0, derivative_cutoff_hz=1.0)
"""Speeds are sizes of the face per second for its points, radians per second for its rotation."""


class OneEuro:
    """The filter for P vectors at once; each has its own speed, its components share one cut-off.

    Attributes:
        settings: of all vectors.
        time_s: of the last call.
    """

    def __init__(self, settings: OneEuroSettings) -> None:
        self.settings = settings
        self.time_s = 0.0
        self._value: FloatArray | None = None
        self._speed: FloatArray = np.zeros(0)

    def __call__(self, values: FloatArray, time_s: float, unit: "FloatArray | float" = 1.0) -> FloatArray:
        """The filtered values at a time; the first ones, and those of a time that stands still, pass.

        Args:
            values: (P, D).
            time_s: seconds, of any origin.
            unit: what counts as 1 in speeds, in the unit of the values; one number, or (P, 1).

        Returns:
            (P, D).
        """
        step_s = time_s - self.time_s
        if self._value is None or step_s <= 0:
            self._value, self._speed = values, np.zeros_like(values)
        else:
            change = values - self._value
            known = _share(self.settings.derivative_cutoff_hz, step_s)
            self._speed = self._speed + known * (change / (unit * step_s) - self._speed)
            speed = np.sqrt(np.einsum("pd,pd->p", self._speed, self._speed))
            cutoff = self.settings.min_cutoff_hz + self.settings.beta * speed
            self._value = self._value + _share(cutoff, step_s)[:, None] * change
        self.time_s = time_s
        return self._value


def _share(cutoff_hz: "FloatArray | float", step_s: float) -> FloatArray:
    """Weight in (0, 1) of a new value in a low-pass of first order."""
    turn = 2 * pi * np.asarray(cutoff_hz) * step_s
    return np.asarray(turn / (turn + 1))


FORGET_S = 0.5
"""A face that was away for longer starts anew."""

_LANDMARKS, _MESH, _BOX, _ROTATION = slice(0, 68), slice(68, 546), slice(546, 548), slice(548, 550)
_ROWS = 550


class FaceSmoother:
    """Smooths every field of tracked faces that is a place or a direction.

    Points, mesh and box are filtered in pixels, each point by its own speed; millimetres follow from the
    smoothed mesh. The rotation is filtered as its first two columns (6D), which are made orthonormal again.

    Args:
        fov_deg: angle of view that the faces were placed with.
        settings: of the filter.
    """

    def __init__(self, fov_deg: float = DEFAULT_FOV_DEG, settings: OneEuroSettings = FACES) -> None:
        self.fov_deg, self.settings = fov_deg, settings
        self._filters: dict[int, OneEuro] = {}

    def __call__(self, tracked: TrackedFaces, time_s: float) -> TrackedFaces:
        """The same faces, calmer.

        Args:
            tracked: of the next frame.
            time_s: of that frame.
        """
        known = self._filters.items()
        self._filters = {name: one for name, one in known if time_s - one.time_s <= FORGET_S}
        if not len(tracked.ids):
            return tracked
        rows = _stacked(tracked.faces)
        units = np.ones((_ROWS, 1), np.float32)
        for name, row, box in zip(tracked.ids.tolist(), rows, tracked.faces.box_xyxy, strict=True):
            units[: _ROTATION.start] = (box[2:] - box[:2]).max()
            row[:] = self._filters.setdefault(name, OneEuro(self.settings))(row.copy(), time_s, units)
        return TrackedFaces(tracked.ids, self._unstacked(tracked.faces, rows))

    def _unstacked(self, faces: Faces, rows: FloatArray) -> Faces:
        mesh_mm, translation_mm = place(rows[:, _MESH], Camera(faces.width, faces.height, self.fov_deg))
        return replace(
            faces,
            box_xyxy=rows[:, _BOX, :2].reshape(-1, 4),
            landmarks_px=rows[:, _LANDMARKS, :2],
            mesh_px=rows[:, _MESH],
            mesh_mm=mesh_mm,
            rotation=rotation_from_6d(rows[:, _ROTATION].reshape(-1, 6)),
            translation_mm=translation_mm,
        )


def _stacked(faces: Faces) -> FloatArray:
    """(N, 550, 3) all that is filtered: 68 points, mesh, corners of the box, columns of the rotation."""
    rows = np.zeros((len(faces), _ROWS, 3), np.float32)
    rows[:, _LANDMARKS, :2] = faces.landmarks_px
    rows[:, _MESH] = faces.mesh_px
    rows[:, _BOX, :2] = faces.box_xyxy.reshape(-1, 2, 2)
    rows[:, _ROTATION] = rotation_to_6d(faces.rotation).reshape(-1, 2, 3)
    return rows

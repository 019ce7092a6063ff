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


POINTS = OneEuroSettings(min_cutoff_hz=0.2, beta=10.0, derivative_cutoff_hz=1.0)
"""Of points, in sizes of the face."""

ROTATION = OneEuroSettings(min_cutoff_hz=0.2, beta=10.0, derivative_cutoff_hz=1.0)
"""Of rotations, in radians."""


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

    def __call__(self, values: FloatArray, time_s: float, unit: float = 1.0) -> FloatArray:
        """The filtered values at a time; the first ones, and those of a time that stands still, pass.

        Args:
            values: (P, D).
            time_s: seconds, of any origin.
            unit: what counts as 1 in speeds, in the unit of the values.

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
            cutoff = self.settings.min_cutoff_hz + self.settings.beta * np.linalg.norm(self._speed, axis=1)
            self._value = self._value + _share(cutoff, step_s)[:, None] * change
        self.time_s = time_s
        return self._value


def _share(cutoff_hz: "FloatArray | float", step_s: float) -> FloatArray:
    """Weight in (0, 1) of a new value in a low-pass of first order."""
    turn = 2 * pi * np.asarray(cutoff_hz) * step_s
    return np.asarray(turn / (turn + 1))


FORGET_S = 0.5
"""A face that was away for longer starts anew."""


class FaceSmoother:
    """Smooths every field of tracked faces that is a place or a direction.

    Points, mesh and box are filtered in pixels, each point by its own speed; millimetres follow from the
    smoothed mesh. The rotation is filtered as its first two columns (6D), which are made orthonormal again.

    Args:
        fov_deg: angle of view that the faces were placed with.
    """

    def __init__(self, fov_deg: float = DEFAULT_FOV_DEG) -> None:
        self.fov_deg = fov_deg
        self._filters: dict[int, tuple[OneEuro, OneEuro]] = {}

    def __call__(self, tracked: TrackedFaces, time_s: float) -> TrackedFaces:
        """The same faces, calmer.

        Args:
            tracked: of the next frame.
            time_s: of that frame.
        """
        self._filters = {
            number: filters
            for number, filters in self._filters.items()
            if time_s - filters[0].time_s <= FORGET_S
        }
        if not len(tracked.ids):
            return tracked
        return TrackedFaces(tracked.ids, self._smoothed(tracked, time_s))

    def _smoothed(self, tracked: TrackedFaces, time_s: float) -> Faces:
        faces = tracked.faces
        points, rotation6d = _points(faces), rotation_to_6d(faces.rotation)
        sizes = (faces.box_xyxy[:, 2:] - faces.box_xyxy[:, :2]).max(axis=1)
        for row, number in enumerate(tracked.ids.tolist()):
            place_filter, turn_filter = self._filters.setdefault(number, (OneEuro(POINTS), OneEuro(ROTATION)))
            points[row] = place_filter(points[row], time_s, float(sizes[row]))
            rotation6d[row] = turn_filter(rotation6d[row, None], time_s)[0]
        return self._with(faces, points, rotation_from_6d(rotation6d))

    def _with(self, faces: Faces, points: FloatArray, rotation: FloatArray) -> Faces:
        mesh_px = points[:, _MESH]
        mesh_mm, translation_mm = place(mesh_px, Camera(faces.width, faces.height, self.fov_deg))
        return replace(
            faces,
            box_xyxy=points[:, _BOX, :2].reshape(-1, 4),
            landmarks_px=points[:, _LANDMARKS, :2],
            mesh_px=mesh_px,
            mesh_mm=mesh_mm,
            rotation=rotation,
            translation_mm=translation_mm,
        )


_LANDMARKS, _MESH, _BOX = slice(0, 68), slice(68, 546), slice(546, 548)


def _points(faces: Faces) -> FloatArray:
    """(N, 548, 3) all that is filtered as points: the 68, the mesh, the corners of the box."""
    points = np.zeros((len(faces), 548, 3), np.float32)
    points[:, _LANDMARKS, :2] = faces.landmarks_px
    points[:, _MESH] = faces.mesh_px
    points[:, _BOX, :2] = faces.box_xyxy.reshape(-1, 2, 2)
    return points

"""What follows from the points and the pose of a face: other schemes, lengths, matrices for other programs.

The leading axes (...) are none for a :class:`facegeom.Face`, whose single numbers are floats, and N for
:class:`facegeom.Faces`. Pairs are the person's right and left.
"""

from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError
from facegeom.geometry import schemes
from facegeom.geometry.camera import pose_matrix
from facegeom.geometry.gaze import gaze_angles_deg
from facegeom.geometry.rotation import rotation_in_camera
from facegeom.results.base import Float32Array

_LIDS, _CORNERS = np.array(schemes.MESH478_LIDS), np.array(schemes.MESH478_EYE_ENDS)
_LIPS, _OUTER_CORNERS = np.array([(13, 14)]), np.array([schemes.MESH478_EYE_CORNERS])
_IRISES = np.array(schemes.MESH478_IRISES)

Scalar = TypeVar("Scalar", float, Float32Array)
"""A number of each face: of one face a float of Python, which JSON holds."""


class Measures(Generic[Scalar]):
    """Points, lengths and matrices that follow from the fields of a face."""

    landmarks_px: Float32Array
    mesh_px: Float32Array
    mesh_mm: Float32Array
    rotation: Float32Array
    translation_mm: Float32Array
    expression: Float32Array | None
    gaze: Float32Array | None
    gaze_confidence: Float32Array | None

    @property
    def coefficients(self) -> dict[str, Scalar]:
        """The expression coefficients (...) by ARKit's names, each in [0, 1].

        Raises:
            InputError: the faces come from a file of an older version, without them.
        """
        values = np.moveaxis(known(self.expression, "expression"), -1, 0)
        return dict(zip(schemes.ARKIT52, map(self._scalar, values), strict=True))

    @property
    def gaze_yaw_deg(self) -> Scalar:
        """Degrees (...) of both eyes' look as seen: 0 into the lens, positive to the picture's right edge.

        Raises:
            InputError: the faces come from a file of an older version, without gaze.
        """
        return self._gaze_deg(0)

    @property
    def gaze_pitch_deg(self) -> Scalar:
        """Degrees (...) of both eyes' look as seen: 0 into the lens, positive upwards.

        Raises:
            InputError: the faces come from a file of an older version, without gaze.
        """
        return self._gaze_deg(1)

    def _gaze_deg(self, axis: int) -> Scalar:
        gaze, confidence = known(self.gaze, "gaze"), known(self.gaze_confidence, "gaze_confidence")
        return self._scalar(gaze_angles_deg(self.rotation, gaze, confidence)[..., axis].astype(np.float32))

    @property
    def camera_rotation(self) -> Float32Array:
        """Rotations (..., 3, 3) from the head frame to the camera frame, which depend on the angle of view.

        A point of the head lies at camera_rotation · x_head + translation_mm.
        """
        return rotation_in_camera(self.rotation, self.translation_mm)

    def points(self, scheme: str) -> Float32Array:
        """Return points (..., K, 2), pixels, in another scheme.

        Args:
            scheme: "ibug68", "mesh478"; "five": eye centres, nose tip, mouth corners, left to right; "eyes":
                the first two; "inner51": the 68 points without the jaw; "mouth20": the lips' of the 68;
                "mesh468": the mesh without irises; "irises": centre and four rim points of each.

        Raises:
            InputError: an unknown scheme.
        """
        return schemes.convert(scheme, self.landmarks_px, self.mesh_px[..., :2])

    @property
    def iris_px(self) -> Float32Array:
        """Centres (..., 2, 2) of the irises, pixels."""
        return self.mesh_px[..., _IRISES[:, 0], :2]

    @property
    def iris_radius_px(self) -> Float32Array:
        """Mean distances (..., 2) of the irises' rims from their centres, pixels."""
        rims = self.mesh_px[..., _IRISES[:, 1:], :2] - self.iris_px[..., None, :]
        return np.asarray(np.linalg.norm(rims, axis=-1).mean(axis=-1), np.float32)

    @property
    def eye_open_mm(self) -> Float32Array:
        """Distances (..., 2) of the lids in the middle of each eye, millimetres of a head of average size."""
        return np.asarray(self._distance_mm(_LIDS).mean(axis=-1))

    @property
    def eye_open(self) -> Float32Array:
        """Distances (..., 2) of the lids, as fractions of the eye's width, in 3D: free of the head's turn."""
        return np.asarray(self.eye_open_mm / np.maximum(self._distance_mm(_CORNERS), 1e-6))

    @property
    def mouth_open_mm(self) -> Scalar:
        """Distance (...) of the lips' inner edges in the middle, millimetres of a head of average size."""
        return self._scalar(self._distance_mm(_LIPS)[..., 0])

    @property
    def mouth_open(self) -> Scalar:
        """The same as a fraction of the distance of the outer eye corners, in 3D."""
        lips_mm, eyes_mm = self._distance_mm(_LIPS)[..., 0], self._distance_mm(_OUTER_CORNERS)[..., 0]
        return self._scalar(lips_mm / np.maximum(eyes_mm, 1e-6))

    def _scalar(self, values: Any) -> Scalar:
        """Return the values (N,) of several faces as they are, that of one face as a float."""
        scalar: Scalar = values if np.ndim(values) else values.item()
        return scalar

    def _distance_mm(self, pairs: npt.NDArray[np.intp]) -> Float32Array:
        """Return the distances (...) between pairs (..., 2) of mesh points."""
        ends = self.mesh_mm[..., pairs, :]
        return np.asarray(np.linalg.norm(ends[..., 0, :] - ends[..., 1, :], axis=-1), np.float32)

    def matrix(self, convention: str = "opencv") -> npt.NDArray[np.float64]:
        """Return the 4 x 4 pose, head frame to camera frame, in the axes and the unit of another program.

        Points are columns: ``p_camera = M @ (x, y, z, 1)``. The head's origin is midway between the eyes.

        Args:
            convention: "opencv": x right, y down, z away, millimetres, as solvePnP gives it; "opengl": y up,
                z towards the viewer, millimetres; "arkit": the axes of "opengl", metres; "unity": y up,
                z away, left-handed, metres.

        Returns:
            (..., 4, 4) float64; its rotation is the identity for a frontal face on the optical axis.

        Raises:
            InputError: an unknown convention.
        """
        return pose_matrix(convention, self.camera_rotation, self.translation_mm)


def known(array: Float32Array | None, name: str) -> Float32Array:
    """Return an array of faces; raise an InputError if it is None."""
    if array is None:
        raise InputError(
            f"{name}: these faces have none: they come from a file of an older version; analyze again"
        )
    return array

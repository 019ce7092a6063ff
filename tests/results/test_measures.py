"""Schemes, lengths of eyes and mouth, irises, and matrices for other programs, with worked numbers."""

import json
from dataclasses import replace

import numpy as np
import pytest

from facegeom import Face, Faces
from facegeom.errors import InputError
from facegeom.geometry.schemes import DERIVED

COUNTS = {
    **{"ibug68": 68, "mesh478": 478, "five": 5, "eyes": 2},
    **{"inner51": 51, "mouth20": 20, "mesh468": 468, "irises": 10},
}


def test_schemes(faces: Faces) -> None:
    assert set(COUNTS) == {"ibug68", "mesh478", *DERIVED}
    for scheme, count in COUNTS.items():
        points = faces.points(scheme)
        assert points.shape == (3, count, 2) and points.dtype == np.float32
        np.testing.assert_array_equal(faces[1].points(scheme), points[1])
    face = faces[0]
    right, left, nose, corner, other = face.points("five")
    np.testing.assert_allclose(right, face.landmarks_px[36:42].mean(axis=0), atol=1e-4)
    np.testing.assert_array_equal((nose, corner, other), face.landmarks_px[[30, 48, 54]])
    np.testing.assert_array_equal(face.points("eyes"), (right, left))
    np.testing.assert_array_equal(face.points("inner51"), face.landmarks_px[17:])
    np.testing.assert_array_equal(face.points("mouth20"), face.landmarks_px[48:])
    np.testing.assert_array_equal(face.points("irises"), face.mesh_px[468:, :2])
    with pytest.raises(InputError, match=r"scheme: expected one of ibug68, mesh478, five, .* got 'wflw98'"):
        face.points("wflw98")
    with pytest.raises(InputError, match="scheme: expected one of"):
        face.points(["five"])


def opened(face: Face, lids_mm: float, lips_mm: float) -> Face:
    """Return the face with eyes 30 mm wide and so far open, and a mouth between eye corners 90 mm apart."""
    mesh = face.mesh_mm.copy()
    for corners, pairs in (
        ((33, 133), ((160, 144), (159, 145), (158, 153))),
        ((263, 362), ((387, 373), (386, 374), (385, 380))),
    ):
        sign = 1 if corners[0] == 263 else -1
        mesh[list(corners)] = [(sign * 45, 0, 500), (sign * 15, 0, 500)]
        for upper, lower in pairs:
            mesh[[upper, lower]] = [(sign * 30, -lids_mm / 2, 500), (sign * 30, lids_mm / 2, 500)]
    mesh[[13, 14]] = [(0, 60 - lips_mm / 2, 500), (0, 60 + lips_mm / 2, 500)]
    return replace(face, mesh_mm=mesh)


def test_how_far_eyes_and_mouth_are_open(faces: Faces) -> None:
    face = opened(faces[0], lids_mm=9, lips_mm=18)
    np.testing.assert_allclose(face.eye_open_mm, (9, 9), rtol=1e-5)
    np.testing.assert_allclose(face.eye_open, (0.3, 0.3), rtol=1e-5)
    assert face.mouth_open_mm == pytest.approx(18) and face.mouth_open == pytest.approx(0.2)
    shut = opened(faces[0], 0, 0)
    assert (*shut.eye_open, shut.mouth_open) == (0, 0, 0)
    assert faces.eye_open.shape == faces.eye_open_mm.shape == (3, 2)
    assert faces.mouth_open.shape == faces.mouth_open_mm.shape == (3,)


def test_numbers_of_one_face_are_floats(faces: Faces) -> None:
    names = ("gaze_yaw_deg", "gaze_pitch_deg", "mouth_open", "mouth_open_mm", "yaw_deg", "score")
    one = {name: getattr(faces[1], name) for name in names} | faces[1].coefficients
    assert json.loads(json.dumps(one)) == one
    all_of_them = {name: getattr(faces, name) for name in names} | faces.coefficients
    assert {name: values[1] for name, values in all_of_them.items()} == pytest.approx(one, rel=1e-6)
    assert {values.dtype for values in all_of_them.values()} == {np.dtype(np.float32)}


def test_the_turn_of_the_head_does_not_close_the_eyes(faces: Faces) -> None:
    """All three heads are the canonical one, turned by up to 60 degrees."""
    np.testing.assert_allclose(faces.eye_open, np.tile(faces.eye_open[0], (3, 1)), rtol=1e-4)
    np.testing.assert_allclose(faces.mouth_open, np.tile(faces.mouth_open[0], 3), rtol=1e-3)


def test_irises(faces: Faces) -> None:
    mesh = faces[0].mesh_px.copy()
    mesh[473:478, :2] = np.array([(100, 50), (106, 50), (100, 45), (94, 50), (100, 55)])
    face = replace(faces[0], mesh_px=mesh)
    np.testing.assert_array_equal(face.iris_px[1], (100, 50))
    assert face.iris_radius_px[1] == pytest.approx(5.5)
    assert faces.iris_px.shape == (3, 2, 2) and faces.iris_radius_px.shape == (3, 2)


BELOW = np.array([0.0, 200, 600])
"""A head below the axis that looks into the lens; 0.9487 and 0.3162 are 600 and 200 over 632.5."""

TILTED = [[1, 0, 0], [0, 0.9487, 0.3162], [0, -0.3162, 0.9487]]


@pytest.mark.parametrize(
    ("convention", "rotation", "translation", "nose_own", "nose"),
    [
        ("opencv", TILTED, (0, 200, 600), (0, 0, -100), (0, 168.4, 505.1)),
        ("opengl", TILTED, (0, -200, -600), (0, 0, 100), (0, -168.4, -505.1)),
        ("arkit", TILTED, (0, -0.2, -0.6), (0, 0, 0.1), (0, -0.1684, -0.5051)),
        ("unity", np.transpose(TILTED), (0, -0.2, 0.6), (0, 0, -0.1), (0, -0.1684, 0.5051)),
    ],
)
def test_a_worked_number_for_each_program(
    faces: Faces,
    convention: str,
    rotation: np.ndarray,
    translation: tuple[float, float, float],
    nose_own: tuple[float, float, float],
    nose: tuple[float, float, float],
) -> None:
    face = replace(faces[0], rotation=np.eye(3), translation_mm=BELOW)
    matrix = face.matrix(convention)
    np.testing.assert_allclose(matrix[:3, :3], rotation, atol=5e-5)
    np.testing.assert_allclose(matrix[:, 3], (*translation, 1), rtol=1e-6)
    np.testing.assert_allclose((matrix @ (*nose_own, 1))[:3], nose, rtol=2e-4)


def test_matrices_of_turned_heads(faces: Faces) -> None:
    np.testing.assert_allclose(faces.matrix()[:, :3, :3], faces.camera_rotation, atol=1e-7)
    for convention, signs, unit in (("opengl", (1, -1, -1), 1), ("unity", (1, -1, 1), 1e-3)):
        mesh = np.concatenate([faces.mesh_mm * signs * unit, np.ones((3, 478, 1))], axis=2)
        own = mesh @ np.swapaxes(np.linalg.inv(faces.matrix(convention)), 1, 2)
        np.testing.assert_allclose(own[1], own[0], atol=0.01 * unit)  # one head in its own frame
    with pytest.raises(InputError, match="convention: expected one of opencv, opengl, arkit, unity, got"):
        faces[0].matrix("blender")

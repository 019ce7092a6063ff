"""Boxes, rotations, placement and rounding equal facegeom.geometry and numpy."""

from typing import Any

import numpy as np
import pytest

from facegeom.geometry import boxes, rotation
from facegeom.geometry.camera import Camera
from facegeom.geometry.gaze import gaze_angles_deg, gaze_from_angles
from facegeom.geometry.placement import in_canonical_frame, place
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.geometry.topology import canonical_mm

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

ANGLES = [(0, 0, 0), (20, 10, -15), (-85, 40, 170), (90, 25, 0), (-90, -30, 0), (60, -100, -120)]
# A ``Camera`` cannot leave the browser, so one call makes and uses it.
_PLACE = """async ([mesh, head, width, height, fov]) => {
  const { Camera } = await import("/static/local/camera.js");
  const { place } = await import("/static/local/placement.js");
  return place(mesh, head, new Camera(width, height, fov));
}"""


@pytest.fixture
def boxes_xyxy() -> FloatArray:
    rng = np.random.default_rng(5)
    corner = rng.uniform(0, 60, (40, 2))
    return np.concatenate([corner, corner + rng.uniform(-2, 50, (40, 2))], axis=1)  # a few are inverted


@pytest.mark.parametrize("name", ["iou", "overlapOfSmaller"])
def test_overlap_of_pairs(call_each: Any, boxes_xyxy: FloatArray, name: str) -> None:
    found = call_each("boxes.js", name, list(zip(boxes_xyxy[:8], boxes_xyxy[8:16], strict=True)))
    expected = boxes.overlap(
        boxes_xyxy[:8], boxes_xyxy[8:16], over_smaller=name == "overlapOfSmaller"
    ).diagonal()
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.6, 1.0])
def test_suppression(call: Any, boxes_xyxy: FloatArray, threshold: float) -> None:
    scores = np.round(np.random.default_rng(6).uniform(0, 1, len(boxes_xyxy)), 1)  # with equal ones
    expected = boxes.nms(boxes_xyxy, scores, threshold)
    assert call("boxes.js", "nms", boxes_xyxy, scores, threshold) == expected.tolist()


@pytest.mark.parametrize("scale", [1.0, 1.3])
def test_square(call_each: Any, boxes_xyxy: FloatArray, scale: float) -> None:
    found = call_each("boxes.js", "square", [(box, scale) for box in boxes_xyxy[:8]])
    np.testing.assert_allclose(found, boxes.square(boxes_xyxy[:8], scale), atol=1e-12)


@pytest.mark.parametrize("vectors", [(1, 0, 0, 0, 1, 0), (2, -1, 0.5, 0.3, 4, -2), (-3, 0.1, 2, 5, 5, 5)])
def test_matrix_from_six_numbers(call: Any, vectors: tuple[float, ...]) -> None:
    expected = rotation.rotation_from_6d(np.array(vectors, float))
    np.testing.assert_allclose(call("rotation.js", "rotationFrom6d", vectors), expected, atol=1e-12)


@pytest.mark.parametrize("angles", ANGLES)
def test_angles(call: Any, angles: tuple[float, float, float]) -> None:
    matrix = rotation_from_angles(*angles)
    expected = rotation.angles_from_rotation(matrix)
    np.testing.assert_allclose(call("rotation.js", "anglesFromRotation", matrix), expected, atol=1e-9)


@pytest.mark.parametrize("direction", [(0, 0, 5), (300, -200, 600), (-50, 80, 20)])
def test_line_of_sight(call: Any, direction: tuple[float, float, float]) -> None:
    expected = rotation.rotation_to_line_of_sight(np.array(direction, float))
    np.testing.assert_allclose(call("rotation.js", "rotationToLineOfSight", direction), expected, atol=1e-12)


@pytest.mark.parametrize("angles", ANGLES)
@pytest.mark.parametrize("noise_mm", [0.0, 6.0])
def test_alignment(call: Any, angles: tuple[float, float, float], noise_mm: float) -> None:
    head = canonical_mm().astype(float)
    target = 1.7 * head @ rotation_from_angles(*angles).T + (300, 200, -20)
    target += np.random.default_rng(1).normal(0, noise_mm, target.shape)
    found, expected = call("rotation.js", "procrustes", head, target), rotation.procrustes(head, target)
    assert found["scale"] == pytest.approx(float(expected.scale), rel=1e-9)
    np.testing.assert_allclose(found["rotation"], expected.rotation, atol=1e-9)
    np.testing.assert_allclose(found["translation"], expected.translation, atol=1e-6)


def test_alignment_never_mirrors(call: Any) -> None:
    head = canonical_mm().astype(float)
    found = call("rotation.js", "procrustes", head, head * (-1, 1, 1))
    np.testing.assert_allclose(
        found["rotation"], rotation.procrustes(head, head * (-1, 1, 1)).rotation, atol=1e-6
    )
    assert np.linalg.det(found["rotation"]) == pytest.approx(1)


def test_largest_eigenpair(call: Any) -> None:
    half = np.random.default_rng(2).normal(size=(4, 4))
    values, vectors = np.linalg.eigh(half + half.T)
    found = call("eigen.js", "largestEigenpair", half + half.T)
    assert found["value"] == pytest.approx(values[-1])
    assert abs(np.dot(found["vector"], vectors[:, -1])) == pytest.approx(1)


@pytest.mark.parametrize(
    ("angles", "centre", "size"),
    [((0, 0, 0), (320, 240), 1.5), ((40, -20, 15), (30, 400), 0.4), ((-80, 5, 0), (600, 20), 4)],
)
def test_place(
    module_page: Any, angles: tuple[float, float, float], centre: tuple[float, float], size: float
) -> None:
    mesh = size * canonical_mm() @ rotation_from_angles(*angles).T + (*centre, 3)
    mesh += np.random.default_rng(4).normal(0, 2 * size, mesh.shape)
    expected = place(mesh[None], Camera(640, 480, 60))
    found = module_page.evaluate(_PLACE, [mesh.tolist(), canonical_mm().tolist(), 640, 480, 60])
    np.testing.assert_allclose(found["meshMm"], expected.mesh_mm[0], rtol=1e-6)
    np.testing.assert_allclose(found["translationMm"], expected.translation_mm[0], rtol=1e-6)


@pytest.mark.parametrize("angles", ANGLES)
def test_canonical_frame(call: Any, angles: tuple[float, float, float]) -> None:
    mesh = 1.2 * canonical_mm() @ rotation_from_angles(*angles).T + (30, -200, 600)
    mesh += np.random.default_rng(3).normal(0, 2, mesh.shape)
    found = call("placement.js", "inCanonicalFrame", mesh, canonical_mm())
    np.testing.assert_allclose(found, in_canonical_frame(mesh), atol=1e-4)


@pytest.mark.parametrize("angles", ANGLES)
@pytest.mark.parametrize("confidence", [(0.9, 0.8), (1.0, 0.0), (0.0, 0.0)])
def test_gaze_angles(call: Any, angles: tuple[float, float, float], confidence: tuple[float, float]) -> None:
    matrix, eyes = rotation_from_angles(*angles), gaze_from_angles((12, 30), (-8, 3))
    expected = gaze_angles_deg(matrix, eyes, np.array(confidence))
    np.testing.assert_allclose(
        call("expression.js", "gazeAngles", matrix, eyes, confidence), expected, atol=1e-6
    )


@pytest.mark.parametrize("value", [0.5, 1.5, 2.5, -0.5, -1.5, 2.4999, 2.5001, -2.6, 7.0, 1e15 + 0.5])
def test_halves_go_to_the_even_number(call: Any, value: float) -> None:
    assert call("numbers.js", "rint", value) == np.rint(value)


def test_order_of_equal_values_is_kept(call: Any) -> None:
    assert call("numbers.js", "descending", [1, 3, 2, 3, 1]) == [1, 3, 2, 0, 4]

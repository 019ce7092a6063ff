"""Maps to aligned crops: published templates, FFHQ's procedure step by step, similarities that are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facegeom.errors import InputError
from facegeom.geometry import alignment, transforms
from facegeom.geometry.schemes import five_from_68
from facegeom.results import Faces

LIMITS = {"min_value": -300, "max_value": 300}


def similarity(scale: float, roll_deg: float, x: float, y: float) -> np.ndarray:
    roll = np.deg2rad(roll_deg)
    linear = scale * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    return np.column_stack([linear, (x, y)])


@given(
    st.floats(0.05, 20), st.floats(-180, 180), st.floats(**LIMITS), st.floats(**LIMITS), st.integers(0, 99)
)
def test_a_known_similarity_is_found(scale: float, roll_deg: float, x: float, y: float, seed: int) -> None:
    source, known = np.random.default_rng(seed).normal(0, 50, (5, 2)), similarity(scale, roll_deg, x, y)
    found = alignment.fit_similarity(source, transforms.apply(known, source))
    np.testing.assert_allclose(found, known, atol=1e-7)


def test_no_other_similarity_is_nearer() -> None:
    random = np.random.default_rng(2)
    source, target = random.normal(0, 30, (2, 5, 2))
    best = alignment.fit_similarity(source, target)

    def error(matrix: np.ndarray) -> float:
        return float(((transforms.apply(matrix, source) - target) ** 2).sum())

    for _ in range(200):
        a, b, x, y = random.normal(0, 0.1, 4)
        assert error(best) <= error(best + np.array([[a, -b, x], [b, a, y]]))


def test_mirrored_points_are_not_mirrored_back() -> None:
    source = np.random.default_rng(3).normal(0, 30, (5, 2))
    assert np.linalg.det(alignment.fit_similarity(source, source * (-1, 1))[:, :2]) > 0


def test_arcface_in_other_sizes_shows_the_same() -> None:
    np.testing.assert_array_equal(alignment.template_points("arcface", 112), alignment.ARCFACE_XY)
    double = alignment.template_points("arcface", 224)
    np.testing.assert_allclose((double + 0.5) / 2 - 0.5, alignment.ARCFACE_XY)  # the centre of pixel pairs


def test_the_worked_numbers() -> None:
    np.testing.assert_allclose(alignment.template_points("arcface", 224)[0], (77.0892, 103.8926))
    points = np.zeros((1, 68, 2))
    points[0, 36:42], points[0, 42:48], points[0, [48, 54]] = (100, 100), (160, 100), (130, 160)
    matrix = alignment.crop_from_photo("ffhq", 240, points, np.zeros((1, 4)))[0]
    np.testing.assert_allclose(matrix, [[1, 0, 119.5 - 130], [0, 1, 119.5 - 106]], atol=1e-9)


def ffhq_corners(points: np.ndarray) -> np.ndarray:
    """Return the quad (4, 2) as the authors' script computes it: upper left, lower left and on."""
    eye_left, eye_right = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    eye_avg, eye_to_eye = (eye_left + eye_right) * 0.5, eye_right - eye_left
    eye_to_mouth = (points[48] + points[54]) * 0.5 - eye_avg
    x = eye_to_eye - np.flipud(eye_to_mouth) * [-1, 1]
    x /= np.hypot(*x)
    x *= max(np.hypot(*eye_to_eye) * 2.0, np.hypot(*eye_to_mouth) * 1.8)
    y = np.flipud(x) * [-1, 1]
    c = eye_avg + eye_to_mouth * 0.1
    return np.stack([c - x - y, c - x + y, c + x + y, c + x - y])


def test_ffhq_is_the_published_square(faces: Faces) -> None:
    maps = alignment.crop_from_photo("ffhq", 1024, faces.landmarks_px, faces.box_xyxy)
    edges = np.array([(0, 0), (0, 1024), (1024, 1024), (1024, 0)]) - 0.5
    for matrix, points in zip(maps, faces.landmarks_px.astype(float), strict=True):
        np.testing.assert_allclose(transforms.apply(matrix, ffhq_corners(points)), edges, atol=1e-6)


def test_the_box_fills_the_crop(faces: Faces) -> None:
    matrix = alignment.crop_from_photo("box", 50, faces.landmarks_px, faces.box_xyxy)[0]
    left, top, right, bottom = faces.box_xyxy[0]
    middle = transforms.apply(matrix, np.array([[(left + right) / 2, (top + bottom) / 2]]))
    np.testing.assert_allclose(middle, [[24.5, 24.5]], atol=1e-4)
    assert matrix[0, 0] * max(right - left, bottom - top) == pytest.approx(50)


def test_ones_own_points(faces: Faces) -> None:
    own = five_from_68(faces.landmarks_px[1].astype(float)) * 0.5 + 7
    found = alignment.crop_from_photo(own, 64, faces.landmarks_px[1:2], faces.box_xyxy[1:2])[0]
    np.testing.assert_allclose(found, [[0.5, 0, 7], [0, 0.5, 7]], atol=1e-5)


@pytest.mark.parametrize("template", ["dlib", "", 3, None, [(0, 0)] * 4, [(np.nan, 0)] * 5, [(1, 1)] * 5])
def test_bad_templates(faces: Faces, template: object) -> None:
    with pytest.raises(InputError, match=r"template|five points"):
        alignment.crop_from_photo(template, 64, faces.landmarks_px, faces.box_xyxy)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, -1, 2049, 1.5, "112", None])
def test_bad_sizes(faces: Faces, size: object) -> None:
    with pytest.raises(InputError, match="size: expected a whole number from 1 to 2048"):
        alignment.crop_from_photo("box", size, faces.landmarks_px, faces.box_xyxy)  # type: ignore[arg-type]


@pytest.mark.parametrize("template", alignment.TEMPLATES)
def test_a_face_of_one_point_is_refused(template: alignment.Template) -> None:
    with pytest.raises(InputError, match="lie apart"):
        alignment.crop_from_photo(template, 64, np.ones((1, 68, 2)), np.ones((1, 4)))

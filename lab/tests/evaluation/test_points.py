"""Measures on hand-computed numbers, and properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from facegeom.errors import InputError
from facegeom_lab.datasets.schemes import SCHEMES
from facegeom_lab.evaluation import points

IBUG68 = SCHEMES["ibug68"]
errors_of_faces = arrays(np.float64, st.integers(1, 20), elements=st.floats(0, 0.5))


def face68(eyes_apart: float = 100.0) -> np.ndarray:
    """(68, 2): everything at the origin but the eyes, whose outer corners are so far apart."""
    face = np.zeros((68, 2))
    face[36, 0], face[45, 0] = -eyes_apart / 2, eyes_apart / 2
    face[37:42, 0], face[[42, 43, 44, 46, 47], 0] = -20, 20
    return face


def test_nme_by_hand() -> None:
    truth = np.stack([face68(100), face68(50)])
    predicted = truth.copy()
    predicted[0] += (3, 4)  # 5 pixels everywhere
    predicted[1, :34] += (6, 8)  # 10 pixels in one half of the points
    figures = points.measure(predicted, truth, "ibug68")
    assert figures["nme_interocular"] == pytest.approx((5 / 100 + 5 / 50) / 2)
    first, second = 2 * (50 + 5 * 20) / 6, 2 * (25 + 5 * 20) / 6  # means of the six points of each eye
    assert figures["nme_interpupil"] == pytest.approx((5 / first + 5 / second) / 2)
    assert figures["nme_box"] == pytest.approx((5 / 100 + 5 / 50) / 2)  # the boxes are flat
    assert figures["faces"] == 2
    assert figures["normaliser"] == "interocular"
    assert figures["failure_rate"] == 0.5
    assert figures["auc"] == pytest.approx((1 - 5 / 8) / 2)
    assert figures["regions"]["lips_inner"] == pytest.approx((5 / 100 + 0) / 2)
    assert figures["regions"]["jaw"] == pytest.approx((5 / 100 + 10 / 50) / 2)
    assert "mse" not in figures and "error_100x100" not in figures


def test_points_that_are_not_annotated_count_nowhere() -> None:
    truth = np.stack([face68()] * 3)
    predicted = truth + np.array([0, 2])
    predicted[0, 0] += 1000
    truth[0, 0] = np.nan
    truth[1, 36] = np.nan  # without this corner there is no inter-ocular distance, nor a pupil
    truth[2] = np.nan
    scales = points.scales(truth, IBUG68)
    assert {name: np.isnan(scale).tolist() for name, scale in scales.items()} == {
        "interocular": [False, True, True],
        "interpupil": [False, True, True],
        "box": [False, False, True],
    }
    assert points.measure(predicted, truth, "ibug68")["nme_interocular"] == pytest.approx(0.02)


def test_figures_that_no_face_allows_are_none() -> None:
    truth = np.full((2, 68, 2), np.nan)
    figures = points.measure(truth, truth, "ibug68")
    assert figures["nme_interocular"] is figures["auc"] is figures["regions"]["jaw"] is None


def test_eyes_in_one_place_are_no_scale() -> None:
    assert np.isnan(points.interocular(np.zeros((1, 68, 2)), IBUG68)).all()


def test_a_scheme_without_eye_corners_is_normalised_by_the_pupils() -> None:
    truth = np.array([[[0, 0], [40, 0], [20, 10], [5, 30], [35, 30]]], float)
    figures = points.measure(truth + np.array([0, 2]), truth, "celeba5")
    assert figures["normaliser"] == "interpupil"
    assert "nme_interocular" not in figures
    assert figures["nme_interpupil"] == pytest.approx(2 / 40)
    assert figures["nme_box"] == pytest.approx(2 / 50)


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([0.0, 0.0], 1.0),
        ([0.04], 0.5),  # half of the interval lies above it
        ([0.02, 0.06, 0.5, np.nan], (0.75 + 0.25 + 0) / 3),
        ([0.08, 0.2], 0.0),
    ],
)
def test_auc_of_known_curves(errors: list[float], expected: float) -> None:
    assert points.auc(np.array(errors)) == pytest.approx(expected)


@given(errors_of_faces, st.floats(0.01, 0.4))
def test_auc_is_the_area_under_the_curve(errors: np.ndarray, threshold: float) -> None:
    levels, shares = points.ced(errors)
    ends = np.clip(np.append(levels[1:], np.inf), None, threshold)
    area = (np.clip(ends - levels, 0, None) * shares).sum() / threshold
    assert points.auc(errors, threshold) == pytest.approx(area)


@given(errors_of_faces, st.floats(0.01, 0.4))
def test_failures_are_what_the_curve_does_not_reach(errors: np.ndarray, threshold: float) -> None:
    levels, shares = points.ced(errors)
    assert (np.diff(shares) > 0).all() and (np.diff(levels) >= 0).all()
    reached = shares[np.searchsorted(levels, threshold, side="right") - 1]
    assert points.failure_rate(errors, threshold) == pytest.approx(1 - reached)


@given(arrays(np.float64, (3, 68, 2), elements=st.floats(-9, 9)), st.floats(0.1, 10))
def test_nme_does_not_depend_on_the_size_of_the_picture(offsets: np.ndarray, zoom: float) -> None:
    truth = np.stack([face68(100), face68(80), face68(60)])
    figures = points.measure(truth + offsets, truth, "ibug68")
    zoomed = points.measure((truth + offsets) * zoom, truth * zoom, "ibug68")
    assert zoomed["nme_interocular"] == pytest.approx(figures["nme_interocular"])
    assert zoomed["auc"] == pytest.approx(figures["auc"])


def test_mse_of_the_mesh_by_hand() -> None:
    truth = np.zeros((1, 478, 3))
    truth[0, 263, 0] = 100
    predicted = truth.copy()
    predicted[0, :, 0] += 20  # of 200: 0.1
    predicted[0, :239, 1] += 20  # of 100: 0.2, for one half of the points
    predicted[0, :, 2] -= 60  # of the width: 0.3
    figures = points.measure(predicted, truth, "mesh478", np.array([[200, 100]]))
    assert figures["mse"] == pytest.approx((0.1**2 + 0.2**2 / 2 + 0.3**2) / 3)


def test_error_on_100x100_by_hand() -> None:
    truth = np.random.default_rng(0).uniform(0, 50, (2, 14, 2))
    predicted = truth.copy()
    predicted[0] += (4, 0)  # of 200 wide: 2 of 100
    predicted[1] += (0, 3)  # of 50 high: 6 of 100
    truth[1, 5] = np.nan
    sizes = np.array([[200, 100], [100, 50]])
    figures = points.measure(predicted, truth, "facepoints14", sizes)
    assert figures["error_100x100"] == pytest.approx((28 / 2 * 2**2 + 26 / 2 * 6**2) / (28 + 26))


FACE = np.stack([face68()])


@pytest.mark.parametrize(
    ("predicted", "truth", "scheme", "sizes", "message"),
    [
        (FACE, FACE, "ibug86", None, "one of the point schemes celeba5"),
        (FACE, FACE, "wflw98", None, r"true points \(F, 98, 2 or 3\) of wflw98, got \(1, 68, 2\)"),
        (FACE[0], FACE[0], "ibug68", None, "true points"),
        (FACE[:, :5], FACE, "ibug68", None, r"like the true ones \(1, 68, 2\), got \(1, 5, 2\)"),
        (FACE, FACE, "ibug68", np.ones((2, 2)), r"sizes \(1, 2\)"),
        (FACE * np.nan, FACE, "ibug68", None, "1 of 1 faces have none"),
    ],
)
def test_what_does_not_fit_is_an_input_error(
    predicted: np.ndarray, truth: np.ndarray, scheme: str, sizes: np.ndarray | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        points.measure(predicted, truth, scheme, sizes)

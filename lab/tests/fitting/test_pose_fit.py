"""Pose from points: projected heads come back, also with noise, outliers and missing points."""

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import geodesic_deg, rotation_from_angles
from facegeom_lab.datasets.schemes import SCHEMES
from facegeom_lab.fitting.pose_fit import MODELS, fit_pose

CAMERA = Camera(640, 480, fov_deg=60)
COUNT = 33
YAW = np.linspace(-80, 80, COUNT)
DENSE = ("ibug68", "mesh478")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture
def rotation(rng: np.random.Generator) -> np.ndarray:
    return rotation_from_angles(YAW, rng.uniform(-30, 30, COUNT), rng.uniform(-45, 45, COUNT))


@pytest.fixture
def translation(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform((-150, -100, 350), (150, 100, 1200), (COUNT, 3))


def projected(scheme: str, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    return CAMERA.project(MODELS[scheme]() @ np.swapaxes(rotation, 1, 2) + translation[:, None])


def with_outliers(points: np.ndarray, rng: np.random.Generator, shift: float) -> np.ndarray:
    """Move a fifth of each face's points by up to ``shift`` pixels."""
    wrong = rng.permuted(np.tile(np.arange(points.shape[1]) < points.shape[1] // 5, (len(points), 1)), axis=1)
    return points + wrong[..., None] * rng.uniform(-shift, shift, points.shape)


@pytest.mark.parametrize("scheme", MODELS)
def test_projected_heads_come_back(scheme: str, rotation: np.ndarray, translation: np.ndarray) -> None:
    fit = fit_pose(projected(scheme, rotation, translation), scheme, CAMERA)
    assert geodesic_deg(fit.rotation, rotation).max() < 1e-4
    np.testing.assert_allclose(fit.translation_mm, translation, atol=1e-5)
    assert fit.residual_px.max() < 1e-7


@pytest.mark.parametrize(("scheme", "mean_deg"), [("ibug68", 0.6), ("mesh478", 0.2), ("celeba5", 3)])
def test_noise_of_half_a_pixel_rotates_the_head_a_little(
    scheme: str, mean_deg: float, rotation: np.ndarray, translation: np.ndarray, rng: np.random.Generator
) -> None:
    points = projected(scheme, rotation, translation)
    fit = fit_pose(points + rng.normal(0, 0.5, points.shape), scheme, CAMERA)
    assert geodesic_deg(fit.rotation, rotation).mean() < mean_deg
    assert 0.1 < fit.residual_px.mean() < 0.8


@pytest.mark.parametrize("scheme", DENSE)
@pytest.mark.parametrize("shift", [5, 80, 1000])
def test_a_fifth_of_outliers_is_ignored(
    scheme: str, shift: float, rotation: np.ndarray, translation: np.ndarray, rng: np.random.Generator
) -> None:
    points = with_outliers(projected(scheme, rotation, translation), rng, shift)
    fit = fit_pose(points, scheme, CAMERA)
    assert geodesic_deg(fit.rotation, rotation).max() < 0.01
    np.testing.assert_allclose(fit.translation_mm, translation, atol=0.1)


@pytest.mark.parametrize("scheme", DENSE)
def test_noise_and_outliers_together(
    scheme: str, rotation: np.ndarray, translation: np.ndarray, rng: np.random.Generator
) -> None:
    points = with_outliers(projected(scheme, rotation, translation), rng, 80)
    fit = fit_pose(points + rng.normal(0, 0.5, points.shape), scheme, CAMERA)
    error = geodesic_deg(fit.rotation, rotation)
    assert error.mean() < 0.7 and error.max() < 3


def test_unknown_points_are_left_out(rotation: np.ndarray, translation: np.ndarray) -> None:
    points = projected("ibug68", rotation, translation)
    points[:, 36:48] = np.nan
    points[:, 20] = 0, np.nan
    fit = fit_pose(points, "ibug68", CAMERA)
    assert geodesic_deg(fit.rotation, rotation).max() < 1e-4


def test_the_jaw_is_ignored(rotation: np.ndarray, translation: np.ndarray) -> None:
    points = projected("ibug68", rotation, translation)
    points[:, :17] += 30
    fit = fit_pose(points, "ibug68", CAMERA)
    assert geodesic_deg(fit.rotation, rotation).max() < 1e-4


def test_a_narrow_view_is_a_parallel_projection(rotation: np.ndarray) -> None:
    """A head seen in parallel projection, 1 px a mm, comes back from a camera that is far away."""
    points = (MODELS["ibug68"]() @ np.swapaxes(rotation, 1, 2))[..., :2] + 320
    fit = fit_pose(points, "ibug68", Camera(640, 640, fov_deg=0.5))
    assert geodesic_deg(fit.rotation, rotation).max() < 0.1


def test_faces_do_not_touch_one_another(rotation: np.ndarray, translation: np.ndarray) -> None:
    points = projected("ibug68", rotation, translation)
    alone = [fit_pose(points[[index]], "ibug68", CAMERA).rotation[0] for index in (0, 16, 32)]
    np.testing.assert_allclose(fit_pose(points, "ibug68", CAMERA).rotation[[0, 16, 32]], alone, atol=1e-9)


def test_no_faces() -> None:
    fit = fit_pose(np.zeros((0, 68, 2)), "ibug68", CAMERA)
    assert fit.rotation.shape == (0, 3, 3) and fit.translation_mm.shape == (0, 3)
    assert fit.residual_px.shape == (0,)


def test_the_points_are_not_changed(rotation: np.ndarray, translation: np.ndarray) -> None:
    points = projected("ibug68", rotation, translation)
    before = points.copy()
    fit_pose(points, "ibug68", CAMERA)
    np.testing.assert_array_equal(points, before)


@pytest.mark.parametrize("scheme", MODELS)
def test_models_have_the_schemes_points(scheme: str) -> None:
    model = MODELS[scheme]()
    mirrored = model[SCHEMES[scheme].mirror] * (-1, 1, 1)
    assert model.shape == (SCHEMES[scheme].count, 3)
    np.testing.assert_allclose(model, mirrored, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "scheme", "message"),
    [
        ((2, 98, 2), "wflw98", "expected points of a scheme among ibug68, .*, got 'wflw98'"),
        ((2, 68, 3), "ibug68", r"expected points of the shape \(N, 68, 2\), got \(2, 68, 3\)"),
        ((68, 2), "ibug68", r"expected points of the shape \(N, 68, 2\), got \(68, 2\)"),
        ((2, 5, 2), "ibug68", r"expected points of the shape \(N, 68, 2\), got \(2, 5, 2\)"),
    ],
)
def test_wrong_points_are_an_error(shape: tuple[int, ...], scheme: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_pose(np.zeros(shape), scheme, CAMERA)


def test_too_few_points_are_an_error(rotation: np.ndarray, translation: np.ndarray) -> None:
    points = projected("ibug68", rotation, translation)
    points[3, 20:] = np.nan
    with pytest.raises(InputError, match="expected at least 4 known points in each face, got 3"):
        fit_pose(points, "ibug68", CAMERA)

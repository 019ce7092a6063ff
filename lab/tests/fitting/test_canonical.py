"""The canonical head: triangles from edges, mean of shapes, placing into the head frame, the whole file."""

from pathlib import Path

import numpy as np
import pytest

from facegeom.geometry import topology
from facegeom.geometry.rotation import procrustes, rotation_from_angles
from facegeom.geometry.schemes import IBUG68_MIRROR
from facegeom_lab.files import save_npz
from facegeom_lab.fitting import canonical
from facegeom_lab.teachers.linear_map import LinearMap

MIRROR = topology.mirror()
NEAR68 = LinearMap(np.arange(68)[:, None], np.ones((68, 1)))  # the first 68 points of the mesh


def head() -> np.ndarray:
    return topology.canonical_mm().astype(np.float64)


def turned_heads(count: int, noise: float = 0.3) -> np.ndarray:
    """Return canonical heads (count, 478, 3), rotated a little, scaled, moved and with noise."""
    rng = np.random.default_rng(11)
    rotation = rotation_from_angles(*rng.uniform(-12, 12, (3, count)))
    scale = rng.uniform(0.5, 3, (count, 1, 1))
    shift = rng.uniform(-100, 300, (count, 1, 3))
    meshes = (head() + rng.normal(0, noise, (count, 478, 3))) @ np.swapaxes(rotation, 1, 2)
    return scale * meshes + shift


def test_triangles_of_a_fan() -> None:
    """A hexagon with its centre: 6 triangles; the rim's edges belong to one each."""
    angle = np.arange(6) * np.pi / 3
    points = np.concatenate([[[0, 0]], np.stack([np.cos(angle), np.sin(angle)], axis=1)])
    rim = [(k, k % 6 + 1) for k in range(1, 7)]
    edges = np.array([*rim, *((0, k) for k in range(1, 7))])
    triangles = canonical.triangles_from_edges(edges, points)
    assert {frozenset(corners) for corners in triangles.tolist()} == {frozenset((0, *side)) for side in rim}


def test_three_edges_around_other_triangles_are_no_triangle() -> None:
    """A point joined to a triangle's corners, within a wider triangle: the inner outline is no face."""
    points = np.array([[0, 0], [0, -1], [1, 1], [-1, 1], [0, -3], [3, 3], [-3, 3]], float)
    inner, outer = [(1, 2), (2, 3), (3, 1)], [(4, 5), (5, 6), (6, 4)]
    spokes = [(0, 1), (0, 2), (0, 3)]
    bridge = [(1, 4), (2, 5), (3, 6), (1, 5), (2, 6), (3, 4)]
    triangles = canonical.triangles_from_edges(np.array(inner + outer + spokes + bridge), points)
    found = {tuple(sorted(corners)) for corners in triangles.tolist()}
    assert (1, 2, 3) not in found
    assert {(0, 1, 2), (0, 2, 3), (0, 1, 3)} <= found


def test_triangles_turn_counter_clockwise_where_y_points_down() -> None:
    points = np.array([[0, 0], [1, 0], [0, 1]], float)
    edges = np.array([[0, 1], [1, 2], [2, 0]])
    for flipped in (points, points * (1, -1)):
        a, b, c = flipped[canonical.triangles_from_edges(edges, flipped)[0]]
        assert np.linalg.det([b - a, c - a]) == -1


def test_packaged_triangles_follow_from_their_edges() -> None:
    found = canonical.triangles_from_edges(topology.edges(), head()[:, :2])
    assert _directed(found) == _directed(topology.triangles())


def _directed(triangles: np.ndarray) -> set[tuple[int, int]]:
    return {(corners[k], corners[(k + 1) % 3]) for corners in triangles.tolist() for k in range(3)}


def test_symmetric_leaves_a_symmetric_shape() -> None:
    np.testing.assert_allclose(canonical.symmetric(head(), MIRROR), head(), atol=1e-3)


def test_symmetric_of_a_turned_shape_is_symmetric_about_x() -> None:
    rng = np.random.default_rng(2)
    rotation = rotation_from_angles(20, 5, -15)
    lopsided = (head() + rng.normal(0, 1, (478, 3))) @ rotation.T
    shape = canonical.symmetric(lopsided, MIRROR)
    image = shape[MIRROR] * (-1, 1, 1)
    np.testing.assert_allclose(image - image.mean(axis=0), shape - shape.mean(axis=0), atol=0.01)


def test_mean_head_recovers_the_shape() -> None:
    mean = canonical.mean_head(turned_heads(60), MIRROR)
    np.testing.assert_allclose(mean.mean(axis=0), 0, atol=1e-9)
    assert np.linalg.norm(mean) == pytest.approx(1)
    size = np.linalg.norm(head() - head().mean(axis=0))
    aligned = procrustes(mean, head()).apply(mean)
    assert np.sqrt(((aligned - head()) ** 2).sum(axis=1).mean()) < 0.005 * size


def test_into_head_frame_undoes_any_similarity() -> None:
    moved = 0.02 * head() @ rotation_from_angles(15, -8, 4).T + (3, -1, 7)
    found = canonical.into_head_frame(moved, NEAR68.apply(head()), NEAR68, MIRROR)
    np.testing.assert_allclose(found, head(), atol=1e-3)


def test_write_topology(tmp_path: Path) -> None:
    """From labels to the packaged file: the points of the markup are mesh points here."""
    meshes = turned_heads(120)
    chosen = np.linspace(0, 467, 68).astype(int)
    chosen[36], chosen[45] = 33, 263
    save_npz(
        tmp_path / "labels.npz",
        mesh=meshes.astype(np.float32),
        keep=np.ones(len(meshes), bool),
        fitted=np.ones(len(meshes), bool),
        landmarks=meshes[:, chosen, :2].astype(np.float32),
        mirror=MIRROR.astype(np.int16),
        edges=topology.edges(),
    )
    figures = canonical.write_topology(tmp_path / "labels.npz", head()[chosen], tmp_path / "mesh.npz")
    with np.load(tmp_path / "mesh.npz") as arrays:
        assert arrays["triangles"].shape == (852, 3)
        np.testing.assert_array_equal(arrays["mirror"], MIRROR)
        np.testing.assert_allclose(arrays["canonical_mm"], head(), atol=1.5)
        np.testing.assert_array_equal(
            arrays["canonical68_mm"], arrays["canonical68_mm"][IBUG68_MIRROR] * (-1, 1, 1)
        )
        assert arrays["canonical68_mm"].shape == (68, 3)
    assert figures["triangles"] == 852
    assert figures["rms_mm"] < 1
    assert figures["pupils_mm"] == pytest.approx(67.4, abs=1)

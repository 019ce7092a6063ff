"""The packaged mesh: triangles, edges, mirror map, canonical head."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import WeightsError
from facegeom.geometry import topology
from facegeom.geometry.schemes import IBUG68_MIRROR, MESH478_EYE_CORNERS, MESH478_IRISES

EYES_AND_MOUTH_AND_RIM = 4  # closed borders of the surface
NOSE_TIP, CHIN, FOREHEAD = 4, 152, 10


def test_triangles_use_the_face_and_no_iris() -> None:
    triangles = topology.triangles()
    assert triangles.shape == (852, 3)
    assert np.unique(triangles).tolist() == list(range(468))
    assert len({tuple(sorted(corners)) for corners in triangles.tolist()}) == 852


def test_triangles_turn_counter_clockwise_in_the_picture() -> None:
    a, b, c = (topology.canonical_mm()[topology.triangles()[:, corner], :2] for corner in range(3))
    turn = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    assert (
        turn < 0
    ).sum() == 850  # y points down, so counter-clockwise is negative; two are folded under the nose


def test_triangles_are_one_surface_with_four_borders() -> None:
    directed = Counter(side for corners in topology.triangles().tolist() for side in _sides(corners))
    assert set(directed.values()) == {1}  # neighbours run their common side in opposite ways
    sides = Counter(frozenset(side) for side in directed)
    assert set(sides.values()) == {1, 2}
    assert 468 - len(sides) + 852 == 2 - EYES_AND_MOUTH_AND_RIM  # Euler's formula


def _sides(corners: list[int]) -> list[tuple[int, int]]:
    a, b, c = corners
    return [(a, b), (b, c), (c, a)]


def test_edges_are_those_of_the_triangles() -> None:
    edges, triangles = topology.edges(), topology.triangles()
    assert (edges[:, 0] < edges[:, 1]).all()
    expected = {tuple(sorted(side)) for corners in triangles.tolist() for side in _sides(corners)}
    assert {tuple(edge) for edge in edges.tolist()} == expected
    assert len(edges) == len(expected) == 1322


def test_mirror_is_an_involution_that_keeps_the_triangles() -> None:
    mirror = topology.mirror()
    np.testing.assert_array_equal(mirror[mirror], np.arange(478))
    triangles = {frozenset(corners) for corners in topology.triangles().tolist()}
    kept = sum(frozenset(mirror[list(corners)].tolist()) in triangles for corners in triangles)
    assert kept >= 0.95 * len(triangles)  # a few quadrilaterals are cut along the other diagonal
    assert tuple(mirror[list(MESH478_EYE_CORNERS)]) == MESH478_EYE_CORNERS[::-1]


def test_mirror_swaps_the_irises() -> None:
    right, left = MESH478_IRISES
    assert set(topology.mirror()[list(right)]) == set(left)
    assert topology.mirror()[right[0]] == left[0]


def test_canonical_head_equals_its_mirror_image() -> None:
    head = topology.canonical_mm()
    np.testing.assert_allclose(head[topology.mirror()] * (-1, 1, 1), head, atol=1e-3)


def test_canonical_head_looks_into_the_camera() -> None:
    head = topology.canonical_mm()
    assert head.shape == (478, 3)
    assert head[:, 2].argmin() in (1, NOSE_TIP)  # the nose is nearest to the camera
    assert head[FOREHEAD, 1] < 0 < head[CHIN, 1]  # y points down
    assert head[MESH478_EYE_CORNERS[0], 0] < 0 < head[MESH478_EYE_CORNERS[1], 0]  # his right on the left


def test_canonical_head_has_the_size_of_a_person() -> None:
    head = topology.canonical_mm()
    right, left = head[MESH478_IRISES[0][0]], head[MESH478_IRISES[1][0]]
    assert 55 < np.linalg.norm(right - left) < 75
    assert 100 < head[CHIN, 1] < 140  # from the eyes' line to the chin
    np.testing.assert_allclose((right + left)[:2] / 2, 0, atol=5)


def test_arrays_are_of_their_types_and_safe_to_change() -> None:
    topology.canonical_mm()[:] = 0
    topology.triangles()[:] = 0
    assert topology.canonical_mm().any() and topology.triangles().any()
    assert topology.canonical_mm().dtype == np.float32
    assert topology.mirror().dtype == np.intp and topology.edges().dtype == np.int32


def test_the_68_points_lie_on_the_canonical_head() -> None:
    points, head = topology.canonical68_mm(), topology.canonical_mm()
    assert points.shape == (68, 3)
    np.testing.assert_allclose(points, points[IBUG68_MIRROR] * (-1, 1, 1), atol=1e-5)
    inner = points[17:]
    apart = np.linalg.norm(inner[:, None] - head[None], axis=2).min(axis=1)
    assert apart.max() < 8  # the mesh's points are about as far from one another
    eyes = np.linalg.norm(points[36] - points[45]), np.linalg.norm(head[33] - head[263])
    assert abs(eyes[0] - eyes[1]) < 6


def test_openings_are_the_oval_the_lips_and_the_lids() -> None:
    rims = topology.openings()
    assert [len(rim) for rim in rims] == [36, 20, 16, 16]
    assert {10, 152} <= set(rims[0])  # forehead and chin
    assert {13, 14} <= set(rims[1])  # inner lips
    assert {33, 133} <= set(rims[2]) and {263, 362} <= set(
        rims[3]
    )  # corners of the right and of the left eye
    sides = {tuple(sorted(side)) for side in topology.edges().tolist()}
    assert all(
        tuple(sorted(side)) in sides for rim in rims for side in zip(rim, rim[1:] + rim[:1], strict=True)
    )


def test_the_unrolled_mesh_has_no_folds() -> None:
    flat, triangles = topology.uv(), topology.triangles()
    assert flat.shape == (478, 2) and not flat.flags.writeable
    np.testing.assert_allclose([flat.min(axis=0), flat.max(axis=0)], [[0.02] * 2, [0.98] * 2])
    np.testing.assert_allclose(flat[1], (0.5, 0.540), atol=5e-4)
    np.testing.assert_allclose(flat[topology.mirror()], flat * (-1, 1) + (1, 0), atol=1e-4)
    a, b, c = (flat[triangles[:, corner]] for corner in range(3))
    signed_area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    assert (signed_area < 0).all()
    for rim in topology.openings()[1:]:  # eyes and mouth stay open
        x, y = flat[list(rim)].T
        assert (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() > 0


def test_any_flipped_bit_of_the_mesh_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the archive's checksums; bits that carry nothing may change."""
    whole = Path(topology.__file__).with_name("mesh478.npz").read_bytes()
    expected, found, random = topology._table(), 0, np.random.default_rng(0)
    monkeypatch.setattr(topology, "files", lambda _: tmp_path)
    for place in random.integers(0, 8 * len(whole), 60).tolist():
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        (tmp_path / "mesh478.npz").write_bytes(content)
        try:
            table = topology._table.__wrapped__()
        except WeightsError as error:
            assert "install facegeom again" in str(error)
            found += 1
        else:
            assert all(np.array_equal(table[name], expected[name]) for name in expected)
    assert found > 40

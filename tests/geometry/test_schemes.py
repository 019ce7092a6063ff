"""Point schemes of every face: regions, mirror maps, lines, conversions."""

import numpy as np
import pytest

from facegeom.geometry import schemes, topology
from facegeom.geometry.schemes import SCHEMES, Scheme

COUNTS = {"ibug68": 68, "mesh478": 478}


@pytest.fixture(params=list(COUNTS))
def scheme(request: pytest.FixtureRequest) -> Scheme:
    return SCHEMES[request.param]


def test_registry_holds_the_two() -> None:
    assert {name: scheme.count for name, scheme in SCHEMES.items()} == COUNTS
    assert SCHEMES["mesh478"] is SCHEMES["mesh478"] and "ibug69" not in SCHEMES
    with pytest.raises(KeyError):
        SCHEMES["ibug69"]


def test_regions_divide_the_points(scheme: Scheme) -> None:
    listed = [index for region in scheme.regions.values() for index in region]
    assert sorted(listed) == list(range(scheme.count))


def test_mirror_is_a_read_only_involution(scheme: Scheme) -> None:
    assert scheme.mirror.shape == (scheme.count,) and scheme.mirror.dtype == np.intp
    np.testing.assert_array_equal(scheme.mirror[scheme.mirror], np.arange(scheme.count))
    with pytest.raises(ValueError, match="read-only"):
        scheme.mirror[0] = 1


def test_eye_corners_mirror_onto_one_another(scheme: Scheme) -> None:
    assert scheme.eye_corners is not None
    assert tuple(scheme.mirror[list(scheme.eye_corners)]) == scheme.eye_corners[::-1]


def test_mesh_mirrors_as_the_topology_does() -> None:
    np.testing.assert_array_equal(SCHEMES["mesh478"].mirror, topology.mirror())


def test_lines_of_the_68_stay_inside_regions_and_touch_every_point() -> None:
    scheme = SCHEMES["ibug68"]
    assert len(scheme.lines) == 63  # 59 along the regions, 4 that close eyes and lips
    assert {index for line in scheme.lines for index in line} == set(range(68))
    for line in scheme.lines:
        assert any(set(line) <= set(region) for region in scheme.regions.values())


def test_five_points() -> None:
    landmarks = np.zeros((2, 68, 3))
    landmarks[:, 36:42] = np.arange(6)[:, None]  # mean 2.5
    landmarks[:, 42:48] = np.arange(10, 16)[:, None]  # mean 12.5
    landmarks[:, [30, 48, 54]] = np.array([30, 48, 54])[:, None]
    five = schemes.five_from_68(landmarks)
    assert five.shape == (2, 5, 3)
    np.testing.assert_allclose(five[1, :, 0], [2.5, 12.5, 30, 48, 54])


def test_irises_end_the_mesh() -> None:
    assert [index for iris in schemes.MESH478_IRISES for index in iris] == list(range(468, 478))

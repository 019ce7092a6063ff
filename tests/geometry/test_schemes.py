"""Point schemes: regions, mirror map, lines."""

import numpy as np

from facegeom.geometry import schemes


def test_regions_divide_the_68_points() -> None:
    listed = [index for region in schemes.IBUG68_REGIONS.values() for index in region]
    assert listed == list(range(68))


def test_mirror_is_an_involution() -> None:
    mirror = schemes.IBUG68_MIRROR
    np.testing.assert_array_equal(mirror[mirror], np.arange(68))


def test_middle_of_the_face_is_its_own_mirror() -> None:
    own = np.flatnonzero(np.arange(68) == schemes.IBUG68_MIRROR).tolist()
    assert own == [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]


def test_mirror_swaps_the_sides() -> None:
    mirror, regions = schemes.IBUG68_MIRROR, schemes.IBUG68_REGIONS
    for right, left in (("brow_right", "brow_left"), ("eye_right", "eye_left")):
        assert set(mirror[list(regions[right])]) == set(regions[left])
    for name in ("jaw", "nose_bridge", "nose_base", "lips_outer", "lips_inner"):
        assert set(mirror[list(regions[name])]) == set(regions[name])
    assert tuple(mirror[list(schemes.IBUG68_EYE_CORNERS)]) == schemes.IBUG68_EYE_CORNERS[::-1]


def test_lines_stay_inside_regions_and_touch_every_point() -> None:
    lines = schemes.ibug68_lines()
    assert len(lines) == len(set(lines)) == 63  # 59 along the regions, 4 that close eyes and lips
    assert {index for line in lines for index in line} == set(range(68))
    for line in lines:
        assert any(set(line) <= set(region) for region in schemes.IBUG68_REGIONS.values())


def test_lines_are_symmetric() -> None:
    lines = {frozenset(line) for line in schemes.ibug68_lines()}
    assert {frozenset(schemes.IBUG68_MIRROR[list(line)].tolist()) for line in lines} == lines


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

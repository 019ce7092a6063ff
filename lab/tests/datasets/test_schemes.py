"""Point schemes: counts, regions, mirror maps, lines; conversions between schemes."""

from collections.abc import Callable

import numpy as np
import pytest

from facegeom.geometry.schemes import IBUG68_MIRROR, Scheme, five_from_68
from facegeom_lab.datasets.schemes import SCHEMES, facepoints14_from_68

COUNTS = {
    "celeba5": 5,
    "facepoints14": 14,
    "aflw19": 19,
    "aflw21": 21,
    "cofw29": 29,
    "ibug68": 68,
    "wflw98": 98,
    "lapa106": 106,
    "mesh478": 478,
}


@pytest.fixture(params=list(COUNTS))
def scheme(request: pytest.FixtureRequest) -> Scheme:
    return SCHEMES[request.param]


def test_registry_holds_the_nine() -> None:
    assert {name: scheme.count for name, scheme in SCHEMES.items()} == COUNTS
    assert all(SCHEMES[name].name == name for name in SCHEMES)
    assert len(SCHEMES) == 9 and "ibug68" in SCHEMES and "ibug69" not in SCHEMES
    assert SCHEMES["mesh478"] is SCHEMES["mesh478"]
    with pytest.raises(KeyError):
        SCHEMES["ibug69"]


def test_regions_hold_every_index(scheme: Scheme) -> None:
    listed = {index for region in scheme.regions.values() for index in region}
    assert listed == set(range(scheme.count))


def test_regions_divide_the_points(scheme: Scheme) -> None:
    listed = [index for region in scheme.regions.values() for index in region]
    assert len(listed) == scheme.count


def test_mirror_is_an_involution(scheme: Scheme) -> None:
    assert scheme.mirror.shape == (scheme.count,) and scheme.mirror.dtype == np.intp
    np.testing.assert_array_equal(scheme.mirror[scheme.mirror], np.arange(scheme.count))


def test_mirror_is_read_only(scheme: Scheme) -> None:
    with pytest.raises(ValueError, match="read-only"):
        scheme.mirror[0] = 1


def test_mirror_swaps_right_and_left_regions(scheme: Scheme) -> None:
    for name, indices in scheme.regions.items():
        other = name.replace("_right", "_LEFT").replace("_left", "_right").replace("_LEFT", "_left")
        assert set(scheme.mirror[list(indices)]) == set(scheme.regions[other]), name


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("celeba5", [2]),
        ("facepoints14", [10, 12]),
        ("aflw19", [13, 16, 18]),
        ("aflw21", [14, 18, 20]),
        ("cofw29", [20, 21, 24, 25, 26, 27, 28]),
        ("ibug68", [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]),
        ("wflw98", [16, 51, 52, 53, 54, 57, 79, 85, 90, 94]),
        ("lapa106", [16, 51, 52, 53, 54, 60, 87, 93, 98, 102]),
    ],
)
def test_middle_of_the_face_is_its_own_mirror(name: str, own: list[int]) -> None:
    mirror = SCHEMES[name].mirror
    assert np.flatnonzero(np.arange(len(mirror)) == mirror).tolist() == own


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("facepoints14", [(0, 3), (1, 2), (4, 9), (5, 8), (6, 7), (11, 13)]),
        ("aflw19", [(0, 5), (8, 9), (12, 14), (15, 17)]),
        ("aflw21", [(0, 5), (8, 9), (12, 16), (13, 15), (17, 19)]),
        ("cofw29", [(0, 1), (4, 6), (5, 7), (10, 11), (12, 14), (16, 17), (22, 23)]),
        ("ibug68", [(0, 16), (17, 26), (31, 35), (36, 45), (40, 47), (48, 54), (59, 55), (67, 65)]),
        (
            "wflw98",
            [(33, 46), (37, 42), (38, 50), (41, 47), (60, 72), (64, 68), (65, 75), (67, 73), (87, 83)],
        ),
        (
            "lapa106",
            [(33, 46), (41, 47), (55, 65), (66, 79), (70, 75), (71, 82), (74, 83), (84, 90), (103, 101)],
        ),
    ],
)
def test_mirrored_pairs_are_the_published_ones(name: str, pairs: list[tuple[int, int]]) -> None:
    assert [int(SCHEMES[name].mirror[right]) for right, _ in pairs] == [left for _, left in pairs]


def test_outer_eye_corners_mirror_onto_one_another(scheme: Scheme) -> None:
    if scheme.name == "celeba5":
        assert scheme.eye_corners is None
        return
    assert scheme.eye_corners is not None
    assert tuple(scheme.mirror[list(scheme.eye_corners)]) == scheme.eye_corners[::-1]


def test_pupils_mirror_onto_one_another(scheme: Scheme) -> None:
    assert scheme.pupils is not None
    right, left = scheme.pupils
    assert set(scheme.mirror[list(right)]) == set(left)


def test_lines_are_different_and_inside(scheme: Scheme) -> None:
    lines = {frozenset(line) for line in scheme.lines}
    assert len(lines) == len(scheme.lines)
    assert all(0 <= index < scheme.count and len(line) == 2 for line in lines for index in line)


def test_lines_are_symmetric(scheme: Scheme) -> None:
    lines = {frozenset(line) for line in scheme.lines}
    mirrored = {frozenset(scheme.mirror[list(line)].tolist()) for line in lines}
    if scheme.name == "mesh478":  # a few quadrilaterals are cut along the other diagonal
        assert len(mirrored & lines) > 0.95 * len(lines)
    else:
        assert mirrored == lines


def test_fourteen_points() -> None:
    landmarks = np.tile(np.arange(68.0)[:, None], (2, 1, 2))
    fourteen = facepoints14_from_68(landmarks)
    assert fourteen.shape == (2, 14, 2)
    expected = [17, 21, 22, 26, 36, 38.5, 39, 42, 44.5, 45, 30, 48, 57, 54]
    np.testing.assert_allclose(fourteen[1, :, 0], expected)


@pytest.mark.parametrize(
    ("convert", "name"),
    [(five_from_68, "celeba5"), (facepoints14_from_68, "facepoints14")],
)
def test_conversion_commutes_with_the_mirror(convert: Callable[[np.ndarray], np.ndarray], name: str) -> None:
    landmarks = np.random.default_rng(0).normal(size=(3, 68, 2))
    direct = convert(landmarks)[:, SCHEMES[name].mirror]
    np.testing.assert_allclose(convert(landmarks[:, IBUG68_MIRROR]), direct)

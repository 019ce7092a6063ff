"""Schemes whose points run along the contours of the face."""

from facegeom.geometry.schemes.scheme import Scheme, build, closed

IBUG68_REGIONS: dict[str, tuple[int, ...]] = {
    "jaw": tuple(range(0, 17)),
    "brow_right": tuple(range(17, 22)),
    "brow_left": tuple(range(22, 27)),
    "nose_bridge": tuple(range(27, 31)),
    "nose_base": tuple(range(31, 36)),
    "eye_right": tuple(range(36, 42)),
    "eye_left": tuple(range(42, 48)),
    "lips_outer": tuple(range(48, 60)),
    "lips_inner": tuple(range(60, 68)),
}
"""Right and left are the person's own."""

IBUG68_EYE_CORNERS = (36, 45)
"""The outer corners; their distance is the inter-ocular distance of the 68-point error."""

_LIPS = [(0, 6), (1, 5), (2, 4), (11, 7), (10, 8), (12, 16), (13, 15), (19, 17)]
"""Mirrored pairs of the 20 points of the lips, counted from the right corner of the mouth."""


def _lips(first: int) -> list[tuple[int, int]]:
    return [(first + right, first + left) for right, left in _LIPS]


def ibug68() -> Scheme:
    """300W's markup (Sagonas et al., 2013), that of Multi-PIE."""
    open_paths = ("jaw", "brow_right", "brow_left", "nose_bridge", "nose_base")
    return build(
        "ibug68",
        IBUG68_REGIONS,
        [
            *zip(range(0, 8), range(16, 8, -1), strict=True),
            *zip(range(17, 22), range(26, 21, -1), strict=True),
            *((31, 35), (32, 34)),
            *((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)),
            *_lips(48),
        ],
        [indices if name in open_paths else closed(indices) for name, indices in IBUG68_REGIONS.items()],
        eye_corners=IBUG68_EYE_CORNERS,
        pupils=(IBUG68_REGIONS["eye_right"], IBUG68_REGIONS["eye_left"]),
    )


def _brows_of_nine() -> list[tuple[int, int]]:
    """Pairs of two brows, 33 to 41 and 42 to 50: upper edge from the left of the picture, lower edge back."""
    return [
        *zip(range(33, 38), range(46, 41, -1), strict=True),
        *zip(range(38, 42), range(50, 46, -1), strict=True),
    ]


def _eyes_of_eight(right: int, left: int) -> list[tuple[int, int]]:
    """Pairs of two eyes, each from its corner on the left of the picture over the upper lid and round."""
    upper = zip(range(right, right + 5), range(left + 4, left - 1, -1), strict=True)
    lower = zip(range(right + 5, right + 8), range(left + 7, left + 4, -1), strict=True)
    return [*upper, *lower]


def wflw98() -> Scheme:
    """Wider Facial Landmarks in-the-wild (Wu et al., 2018)."""
    regions = {
        "jaw": range(0, 33),
        "brow_right": range(33, 42),
        "brow_left": range(42, 51),
        "nose_bridge": range(51, 55),
        "nose_base": range(55, 60),
        "eye_right": range(60, 68),
        "eye_left": range(68, 76),
        "lips_outer": range(76, 88),
        "lips_inner": range(88, 96),
        "pupils": range(96, 98),
    }
    rings = ("brow_right", "brow_left", "eye_right", "eye_left", "lips_outer", "lips_inner")
    return build(
        "wflw98",
        regions,
        [
            *zip(range(0, 16), range(32, 16, -1), strict=True),
            *_brows_of_nine(),
            *((55, 59), (56, 58), (96, 97)),
            *_eyes_of_eight(60, 68),
            *_lips(76),
        ],
        [regions["jaw"], regions["nose_bridge"], regions["nose_base"], *(closed(regions[r]) for r in rings)],
        eye_corners=(60, 72),
        pupils=((96,), (97,)),
    )


def lapa106() -> Scheme:
    """Landmark-guided face Parsing (Liu et al., 2020); 74 and 83 are the centres of the eyes' contours."""
    regions = {
        "jaw": range(0, 33),
        "brow_right": range(33, 42),
        "brow_left": range(42, 51),
        "nose_bridge": range(51, 55),
        "nose_base": range(55, 66),
        "eye_right": range(66, 75),
        "eye_left": range(75, 84),
        "lips_outer": range(84, 96),
        "lips_inner": range(96, 104),
        "pupils": range(104, 106),
    }
    rings = [regions["brow_right"], regions["brow_left"], range(66, 74), range(75, 83)]
    rings += [regions["lips_outer"], regions["lips_inner"]]
    return build(
        "lapa106",
        regions,
        [
            *zip(range(0, 16), range(32, 16, -1), strict=True),
            *_brows_of_nine(),
            *zip(range(55, 60), range(65, 60, -1), strict=True),
            *_eyes_of_eight(66, 75),
            *((74, 83), (104, 105)),
            *_lips(84),
        ],
        [regions["jaw"], regions["nose_bridge"], regions["nose_base"], *map(closed, rings)],
        eye_corners=(66, 79),
        pupils=((104,), (105,)),
    )

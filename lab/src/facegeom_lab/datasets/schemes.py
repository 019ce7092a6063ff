"""Point schemes of the published data sets, beside the two of every face."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from facegeom.geometry.schemes import (
    IBUG68_REGIONS,
    Scheme,
    Schemes,
    build,
    closed,
    ibug68,
    lips_pairs,
    means_of,
    mesh478,
)

FloatArray = npt.NDArray[np.floating]


def celeba5() -> Scheme:
    """Build eye centres, nose tip, mouth corners of CelebA (Liu et al., 2015) and MTCNN (Zhang et al., 2016).

    CelebA calls the eye on the left of the picture left; it is the person's right one.
    """
    regions = {"eyes": (0, 1), "nose": (2,), "mouth": (3, 4)}
    return build("celeba5", regions, [(0, 1), (3, 4)], [(0, 2, 1), (3, 4)], pupils=((0,), (1,)))


def facepoints14() -> Scheme:
    """Build brow ends, corners and centres of the eyes, nose tip, mouth corners and lower lip."""
    return build(
        "facepoints14",
        {
            "brow_right": (0, 1),
            "brow_left": (2, 3),
            "eye_right": (4, 5, 6),
            "eye_left": (7, 8, 9),
            "nose": (10,),
            "mouth": (11, 12, 13),
        },
        [(0, 3), (1, 2), (4, 9), (5, 8), (6, 7), (11, 13)],
        [(0, 1), (2, 3), (4, 5, 6), (7, 8, 9), (11, 12, 13)],
        eye_corners=(4, 9),
        pupils=((5,), (8,)),
    )


def aflw19() -> Scheme:
    """Build the 19 points of AFLW: its 21 without the ears (Zhu et al., CVPR 2016, who chose the 19)."""
    return build(
        "aflw19",
        {
            "brow_right": (0, 1, 2),
            "brow_left": (3, 4, 5),
            "eye_right": (6, 7, 8),
            "eye_left": (9, 10, 11),
            "nose": (12, 13, 14),
            "mouth": (15, 16, 17),
            "chin": (18,),
        },
        [*zip(range(0, 3), (5, 4, 3), strict=True), (6, 11), (7, 10), (8, 9), (12, 14), (15, 17)],
        [(0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11), (12, 13, 14), (15, 16, 17)],
        eye_corners=(6, 11),
        pupils=((7,), (10,)),
    )


def aflw21() -> Scheme:
    """Build Annotated Facial Landmarks in the Wild (Köstinger et al., 2011): feature ids 1 to 21, less one.

    The set's own names of the sides are those of the picture: its ``LeftEar`` is the person's right ear.
    """
    return build(
        "aflw21",
        {
            "brow_right": (0, 1, 2),
            "brow_left": (3, 4, 5),
            "eye_right": (6, 7, 8),
            "eye_left": (9, 10, 11),
            "ears": (12, 16),
            "nose": (13, 14, 15),
            "mouth": (17, 18, 19),
            "chin": (20,),
        },
        [(0, 5), (1, 4), (2, 3), (6, 11), (7, 10), (8, 9), (12, 16), (13, 15), (17, 19)],
        [(0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11), (13, 14, 15), (17, 18, 19)],
        eye_corners=(6, 11),
        pupils=((7,), (10,)),
    )


def cofw29() -> Scheme:
    """Build Caltech Occluded Faces in the Wild (Burgos-Artizzu et al., 2013).

    Brows and eyes: outer and inner ends, upper and lower middle. Lips: upper and lower edge of each.
    """
    return build(
        "cofw29",
        {
            "brow_right": (0, 2, 4, 5),
            "brow_left": (1, 3, 6, 7),
            "eye_right": (8, 10, 12, 13),
            "eye_left": (9, 11, 14, 15),
            "pupils": (16, 17),
            "nose": (18, 19, 20, 21),
            "mouth": (22, 23, 24, 25, 26, 27),
            "chin": (28,),
        },
        [(0, 1), (2, 3), (4, 6), (5, 7), (8, 9), (10, 11), (12, 14), (13, 15), (16, 17), (18, 19), (22, 23)],
        [
            closed((0, 4, 2, 5)),
            closed((1, 6, 3, 7)),
            closed((8, 12, 10, 13)),
            closed((9, 14, 11, 15)),
            (18, 21, 19),
            closed((22, 24, 23, 27)),
            closed((22, 25, 23, 26)),
        ],
        eye_corners=(8, 9),
        pupils=((16,), (17,)),
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
    """Build Wider Facial Landmarks in-the-wild (Wu et al., 2018)."""
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
            *lips_pairs(76),
        ],
        [regions["jaw"], regions["nose_bridge"], regions["nose_base"], *(closed(regions[r]) for r in rings)],
        eye_corners=(60, 72),
        pupils=((96,), (97,)),
    )


def lapa106() -> Scheme:
    """Build Landmark-guided face Parsing (Liu et al., 2020); 74 and 83 are the eye contours' centres."""
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
            *lips_pairs(84),
        ],
        [regions["jaw"], regions["nose_bridge"], regions["nose_base"], *map(closed, rings)],
        eye_corners=(66, 79),
        pupils=((104,), (105,)),
    )


SCHEMES: Mapping[str, Scheme] = Schemes(
    *(celeba5, facepoints14, aflw19, aflw21, cofw29, ibug68, wflw98, lapa106, mesh478)
)
"""celeba5, facepoints14, aflw19, aflw21, cofw29, ibug68, wflw98, lapa106, mesh478."""

_EYES = (IBUG68_REGIONS["eye_right"], IBUG68_REGIONS["eye_left"])
_FOURTEEN = (
    *((17,), (21,), (22,), (26,)),
    *((36,), _EYES[0], (39,), (42,), _EYES[1], (45,)),
    *((30,), (48,), (57,), (54,)),
)


def facepoints14_from_68(landmarks68: FloatArray) -> FloatArray:
    """Return the points (..., 14, D) of the scheme ``facepoints14`` from (..., 68, D).

    They are brow ends, eye corners with the mean of each eye's contour between them, nose tip, mouth
    corners with the middle of the lower lip's lower edge between them.
    """
    return means_of(landmarks68, _FOURTEEN)

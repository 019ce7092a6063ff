"""Point schemes of the data sets, a function each: sparse points, contours, the dense mesh."""

from facegeom.geometry import topology
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

MESH478_EYE_CORNERS = (33, 263)
"""Outer eye corners of the 478-point mesh; their distance scales the mesh's error."""

MESH478_IRISES = (range(468, 473), range(473, 478))
"""Centre and four rim points of the person's right and left iris."""

_OUTLINES: dict[str, tuple[int, ...]] = {
    "oval": (
        *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
        *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
    ),
    "brow_right": (46, 53, 52, 65, 55, 107, 66, 105, 63, 70),
    "brow_left": (276, 283, 282, 295, 285, 336, 296, 334, 293, 300),
    "eye_right": (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    "eye_left": (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
    "lips_outer": (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
    "lips_inner": (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191),
}


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


_LIPS = [(0, 6), (1, 5), (2, 4), (11, 7), (10, 8), (12, 16), (13, 15), (19, 17)]
"""Mirrored pairs of the 20 points of the lips, counted from the right corner of the mouth."""


def _lips(first: int) -> list[tuple[int, int]]:
    return [(first + right, first + left) for right, left in _LIPS]


def ibug68() -> Scheme:
    """Build 300W's markup (Sagonas et al., 2013), that of Multi-PIE."""
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
            *_lips(76),
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
            *_lips(84),
        ],
        [regions["jaw"], regions["nose_bridge"], regions["nose_base"], *map(closed, rings)],
        eye_corners=(66, 79),
        pupils=((104,), (105,)),
    )


def mesh478() -> Scheme:
    """Build the dense mesh; regions are outlines, irises, and ``skin`` for all other points."""
    right, left = MESH478_IRISES
    named = {**_OUTLINES, "iris_right": tuple(right), "iris_left": tuple(left)}
    taken = {index for indices in named.values() for index in indices}
    named["skin"] = tuple(index for index in range(478) if index not in taken)
    pairs = [(index, int(image)) for index, image in enumerate(topology.mirror()) if index < image]
    edges = [(int(first), int(second)) for first, second in topology.edges()]
    rims = [closed(iris[1:]) for iris in MESH478_IRISES]
    pupils = ((right[0],), (left[0],))
    return build("mesh478", named, pairs, [*edges, *rims], MESH478_EYE_CORNERS, pupils)

"""Schemes of single points: corners, centres and tips."""

from facegeom.geometry.schemes.scheme import Scheme, build, closed


def celeba5() -> Scheme:
    """Eye centres, nose tip, mouth corners: CelebA (Liu et al., 2015), MTCNN (Zhang et al., 2016).

    CelebA calls the eye on the left of the picture left; it is the person's right one.
    """
    regions = {"eyes": (0, 1), "nose": (2,), "mouth": (3, 4)}
    return build("celeba5", regions, [(0, 1), (3, 4)], [(0, 2, 1), (3, 4)], pupils=((0,), (1,)))


def facepoints14() -> Scheme:
    """Brow ends, corners and centres of the eyes, nose tip, mouth corners and lower lip."""
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
    """The 21 points of AFLW without its ears (Zhu et al., CVPR 2016, whose lists the 19 come from)."""
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
    """Annotated Facial Landmarks in the Wild (Köstinger et al., 2011): feature ids 1 to 21, less one.

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
    """Caltech Occluded Faces in the Wild (Burgos-Artizzu et al., 2013).

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

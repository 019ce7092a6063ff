"""The scheme of the 478-point mesh: the order of MediaPipe's face mesh with irises."""

from facegeom.geometry import topology
from facegeom.geometry.schemes.scheme import Scheme, build, closed

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


def mesh478() -> Scheme:
    """Regions are the outlines of the parts, the irises, and ``skin`` for all other points."""
    right, left = MESH478_IRISES
    named = {**_OUTLINES, "iris_right": tuple(right), "iris_left": tuple(left)}
    taken = {index for indices in named.values() for index in indices}
    named["skin"] = tuple(index for index in range(478) if index not in taken)
    pairs = [(index, int(image)) for index, image in enumerate(topology.mirror()) if index < image]
    edges = [(int(first), int(second)) for first, second in topology.edges()]
    rims = [closed(iris[1:]) for iris in MESH478_IRISES]
    pupils = ((right[0],), (left[0],))
    return build("mesh478", named, pairs, [*edges, *rims], MESH478_EYE_CORNERS, pupils)

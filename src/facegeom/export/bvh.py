"""The motion of a head and its eyes as BVH: centimetres, degrees, x right, y up, z towards the camera."""

import numpy as np
import numpy.typing as npt

from facegeom.geometry import topology
from facegeom.geometry.camera import to_viewer_frame
from facegeom.geometry.gaze import gaze_to_angles
from facegeom.geometry.rotation import angles_from_rotation
from facegeom.geometry.schemes import MESH478_IRISES

FloatArray = npt.NDArray[np.floating]

_CENTIMETRES = 0.1
_EYEBALL_CM = 1.2
"""Radius of an eyeball, so far behind the iris lies the point about which it turns."""

_CHANNELS = "Zrotation Yrotation Xrotation"


def encode(rotations: FloatArray, translations_mm: FloatArray, gaze: FloatArray, rate: float) -> bytes:
    """Encode the motion of ``Head``, ``RightEye`` and ``LeftEye`` (the person's own).

    Args:
        rotations: (N, 3, 3) head frame to camera frame, one for each frame.
        translations_mm: (N, 3) the head's origins in the camera frame.
        gaze: (N, 2, 3) unit vectors of the right and the left eye, head frame.
        rate: frames a second.
    """
    irises = to_viewer_frame(topology.canonical_mm()[[rim[0] for rim in MESH478_IRISES]]) * _CENTIMETRES
    lines = ["HIERARCHY", "ROOT Head", "{", "OFFSET 0 0 0"]
    lines += [f"CHANNELS 6 Xposition Yposition Zposition {_CHANNELS}"]
    for name, (x, y, z) in zip(("RightEye", "LeftEye"), irises.tolist(), strict=True):
        lines += [
            f"JOINT {name}",
            "{",
            f"OFFSET {x:.4f} {y:.4f} {z - _EYEBALL_CM:.4f}",
            f"CHANNELS 3 {_CHANNELS}",
        ]
        lines += ["End Site", "{", f"OFFSET 0 0 {_EYEBALL_CM}", "}", "}"]
    lines += ["}", "MOTION", f"Frames: {len(rotations)}", f"Frame Time: {1 / rate:.8f}"]
    eyes = gaze_to_angles(gaze)
    looks = np.stack([np.zeros(eyes.shape[:2]), eyes[..., 0], -eyes[..., 1]], axis=-1)
    turns = angles_from_rotation(rotations)[:, [2, 0, 1]] * (-1, 1, -1)  # of a frame half a turn about x
    places = to_viewer_frame(translations_mm) * _CENTIMETRES
    numbers = np.concatenate([places, turns, looks.reshape(len(looks), 6)], axis=1)
    lines += [" ".join(f"{number:.4f}" for number in row) for row in numbers.tolist()]
    return "\n".join([*lines, ""]).encode("ascii")

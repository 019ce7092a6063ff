"""Live Link Face: the 61 numbers of a face, as UDP packets and as rows of the app's CSV recordings.

Angles are radians. Of the head, positive yaw turns it to the person's own left, pitch lifts the nose, roll
tilts it to the person's right shoulder. Of an eye, positive yaw looks to the person's right, pitch down.
"""

import struct
import uuid
from fractions import Fraction
from functools import cache

import numpy as np
import numpy.typing as npt

from facegeom.geometry.gaze import gaze_to_angles
from facegeom.geometry.rotation import angles_from_rotation
from facegeom.geometry.schemes import ARKIT52

FloatArray = npt.NDArray[np.floating]

_SHAPES = (
    *("eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft"),
    *("eyeSquintLeft", "eyeWideLeft", "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight"),
    *("eyeLookOutRight", "eyeLookUpRight", "eyeSquintRight", "eyeWideRight", "jawForward", "jawLeft"),
    *("jawRight", "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight"),
    *("mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight", "mouthDimpleLeft"),
    *("mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight", "mouthRollLower", "mouthRollUpper"),
    *("mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft"),
    *("mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight", "browDownLeft", "browDownRight"),
    *("browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft"),
    *("cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut"),
)
"""ARKit's names in the order of the packets: that of Unreal's EARFaceBlendShape."""

_ROWS = np.array([ARKIT52.index(name) for name in _SHAPES])
_SWAPPED = {
    "jawLeft": "jawRight",
    "jawRight": "jawLeft",
    "mouthLeft": "mouthRight",
    "mouthRight": "mouthLeft",
}
_CSV_ROWS = np.array([_SHAPES.index(_SWAPPED.get(name, name)) for name in _SHAPES] + list(range(52, 61)))
"""The app's recordings have the right one first of jaw and mouth, its packets the left one."""

CSV_HEADER = (
    *("Timecode", "BlendShapeCount"),
    *(f"{name[0].upper()}{name[1:]}" for name in (_SWAPPED.get(name, name) for name in _SHAPES)),
    *(f"{part}{axis}" for part in ("Head", "LeftEye", "RightEye") for axis in ("Yaw", "Pitch", "Roll")),
)

_VERSION, _DAY_S = 6, 86_400


def values(expression: FloatArray, rotation: FloatArray, gaze: FloatArray) -> npt.NDArray[np.float64]:
    """Return the 61 numbers of a face in the order of the packets.

    Args:
        expression: (52,) coefficients in the order of :data:`facegeom.geometry.schemes.ARKIT52`.
        rotation: (3, 3) of the head as seen.
        gaze: (2, 3) unit vectors of the person's right and left eye, head frame.
    """
    head = np.radians(angles_from_rotation(rotation)) * (1, 1, -1)
    right, left = -np.radians(gaze_to_angles(gaze))
    return np.concatenate([expression[_ROWS], head, left, [0.0], right, [0.0]])


def packet(subject: str, numbers: FloatArray, day_s: float, rate: Fraction) -> bytes:
    """Encode a UDP packet of the app, version 6, as Unreal's Live Link plugin reads it.

    Args:
        subject: name of the face among those of the receiver.
        numbers: (61,) as :func:`values` returns them.
        day_s: time of day, seconds.
        rate: frames a second.
    """
    name = subject.encode()
    frame, part = divmod(day_s % _DAY_S * float(rate), 1)
    time = struct.pack(">ifii", int(frame), part, rate.numerator, rate.denominator)
    identity = struct.pack(">Bi36si", _VERSION, 36, _device(subject), len(name))
    return identity + name + time + struct.pack(f">B{len(numbers)}f", len(numbers), *numbers)


@cache
def _device(subject: str) -> bytes:
    """Return the identifier of the device that films a face, always the same for a name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"facegeom:{subject}")).upper().encode()


def csv_row(numbers: FloatArray | None, time_s: float, rate: float) -> list[str]:
    """Return the row of a frame: hours:minutes:seconds:frames with three decimals, then the numbers.

    Args:
        numbers: (61,) as :func:`values` returns them; None for a frame without a face.
        time_s: of the frame, seconds.
        rate: frames a second, the unit of the last part of the time.
    """
    thousandths = int(time_s % 1 * rate * 1000 + 1e-6)
    minutes, seconds = divmod(int(time_s), 60)
    frames, part = divmod(thousandths, 1000)
    code = f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}:{frames:02}.{part:03}"
    if numbers is None:
        return [code, "0"]
    return [code, str(len(numbers)), *(f"{number:.6f}" for number in numbers[_CSV_ROWS])]

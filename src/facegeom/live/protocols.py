"""What other programs read: the datagrams of one frame, in each protocol.

VMC and plain OSC are written with python-osc, Live Link Face and JSON here. docs/live.md has the layouts, the
frames and the signs, with worked numbers.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from facegeom.export import livelink
from facegeom.geometry.gaze import gaze_to_angles
from facegeom.geometry.rotation import rotation_from_angles, rotation_to_quaternion
from facegeom.geometry.schemes import ARKIT52
from facegeom.results import Face
from facegeom.video.animation import live_link_numbers, motion_of

FloatArray = npt.NDArray[np.floating]

PACKET_BYTES = 1400
"""Largest datagram of OSC: it passes Ethernet and wireless networks in one piece."""

_VMC_TRACKER = "facegeom"
_VMC_SHAPES = [f"{name[0].upper()}{name[1:]}" for name in ARKIT52]
_LOADED, _CALIBRATED, _NORMAL = 1, 3, 0


@dataclass(frozen=True, eq=False)
class LiveFrame:
    """What is sent of one frame.

    Attributes:
        index: number of the frame, from 0.
        time_s: time of the frame since the start, seconds.
        rate: frames a second of the source.
        width: of the frame, pixels.
        height: of the frame, pixels.
        faces: the faces by their slots: 0 is the first that was seen, and a slot stays with its face.
        ids: track ids of the faces by their slots.
    """

    index: int
    time_s: float
    rate: float
    width: int
    height: int
    faces: Mapping[int, Face]
    ids: Mapping[int, int]


def vmc(frame: LiveFrame, _: str = "") -> Iterator[bytes]:
    """Yield the datagrams of the Virtual Motion Capture protocol for one avatar: the face in slot 0."""
    face = frame.faces.get(0)
    state = (_LOADED, _CALIBRATED, _NORMAL, int(face is not None))
    messages = [_message("/VMC/Ext/OK", *state), _message("/VMC/Ext/T", frame.time_s)]
    yield from _bundles(messages + ([] if face is None else _vmc_face(face)))


def _vmc_face(face: Face) -> list[OscMessage]:
    """Return the messages of an avatar's head, in Unity's frame.

    Unity is left-handed and its avatars look along z with their right at x: each axis of facegeom's head
    frame, negated. So rotations keep their numbers, and positions change their signs.
    """
    expression, gaze = motion_of(face)
    right, left = map(_look, gaze)
    bones = {"Head": rotation_to_quaternion(face.rotation), "LeftEye": left, "RightEye": right}
    still = (0.0, 0.0, 0.0)
    messages = [_message("/VMC/Ext/Bone/Pos", bone, *still, *turn) for bone, turn in bones.items()]
    place = -face.translation_mm / 1000
    turn = rotation_to_quaternion(face.camera_rotation)
    messages.append(_message("/VMC/Ext/Tra/Pos", _VMC_TRACKER, *place, *turn))
    for name, value in zip(_VMC_SHAPES, expression, strict=True):
        messages.append(_message("/VMC/Ext/Blend/Val", name, value))
    return [*messages, _message("/VMC/Ext/Blend/Apply")]


def _look(gaze: FloatArray) -> FloatArray:
    """Return the quaternion of an eye that looks along a vector (3,) of the head frame."""
    yaw, pitch = gaze_to_angles(gaze)
    return rotation_to_quaternion(rotation_from_angles(yaw, pitch, 0.0))


def osc(frame: LiveFrame, prefix: str = "facegeom") -> Iterator[bytes]:
    """Yield the datagrams of plain OSC, with an address for each number, as ``/PREFIX/SLOT/jawOpen``."""
    about = {"frame": frame.index, "time_s": frame.time_s, "faces": len(frame.faces)}
    messages = [_message(f"/{prefix}/{key}", value) for key, value in about.items()]
    for slot, face in frame.faces.items():
        numbers = _numbers(face) | dict(zip(("x_mm", "y_mm", "z_mm"), face.translation_mm, strict=True))
        numbers |= dict(zip(ARKIT52, motion_of(face)[0], strict=True))
        messages += [_message(f"/{prefix}/{slot}/{key}", float(value)) for key, value in numbers.items()]
    yield from _bundles(messages)


def live_link(frame: LiveFrame, subject: str = "facegeom") -> Iterator[bytes]:
    """Yield the datagrams of Live Link Face: one for each face, with the subjects NAME, NAME1, NAME2."""
    now_s = time.time()
    day_s = (now_s + time.localtime(now_s).tm_gmtoff) % 86_400
    rate = Fraction(frame.rate).limit_denominator(1001)
    for slot, face in frame.faces.items():
        yield livelink.packet(f"{subject}{slot or ''}", live_link_numbers(face), day_s, rate)


def json_line(frame: LiveFrame, _: str = "") -> Iterator[bytes]:
    """Yield one datagram of JSON: an object, and a line break at its end."""
    about = {"version": 1, "frame": frame.index, "time_s": round(frame.time_s, 6)}
    size = {"width": frame.width, "height": frame.height}
    faces = [{"face": slot, "id": frame.ids[slot]} | _json_face(face) for slot, face in frame.faces.items()]
    yield json.dumps(about | size | {"faces": faces}, separators=(",", ":")).encode() + b"\n"


@dataclass(frozen=True)
class Scheme:
    """A protocol by the name that begins its URLs.

    Attributes:
        encode: yields the datagrams of a frame, in the order in which they are sent.
        port: port that its receivers commonly use; None if there is none.
        path: what stands in place of a URL's missing path; None if the protocol has no use for one.
    """

    encode: Callable[[LiveFrame, str], Iterator[bytes]]
    port: int | None
    path: str | None


SCHEMES = {
    "vmc": Scheme(vmc, 39539, None),
    "osc": Scheme(osc, None, "facegeom"),
    "livelink": Scheme(live_link, 11111, "facegeom"),
    "json": Scheme(json_line, None, None),
}


def _json_face(face: Face) -> dict[str, Any]:
    expression, gaze = motion_of(face)
    arrays = {
        "box_xyxy": (face.box_xyxy, 2),
        "rotation": (face.rotation, 5),
        "camera_rotation": (face.camera_rotation, 5),
        "translation_mm": (face.translation_mm, 2),
        "gaze": (gaze, 4),
        "gaze_confidence": (face.gaze_confidence, 3),
    }
    rounded = {
        key: np.round(np.asarray(array, float), digits).tolist() for key, (array, digits) in arrays.items()
    }
    numbers = {key: round(float(value), 4) for key, value in _numbers(face).items()}
    values = np.round(expression.astype(float), 4).tolist()
    return numbers | rounded | {"expression": dict(zip(ARKIT52, values, strict=True))}


def _numbers(face: Face) -> dict[str, float]:
    """Return the plain numbers of a face."""
    names = ("score", "yaw_deg", "pitch_deg", "roll_deg", "gaze_yaw_deg", "gaze_pitch_deg", "mouth_open")
    right, left = face.eye_open
    return {name: getattr(face, name) for name in names} | {"eye_open_right": right, "eye_open_left": left}


def _message(address: str, *values: Any) -> OscMessage:
    """Return an OSC message of strings, whole numbers and 32-bit fractions."""
    builder = OscMessageBuilder(address)
    for value in values:
        is_plain = isinstance(value, str | int)
        builder.add_arg(value if is_plain else float(value), None if is_plain else "f")
    return builder.build()


def _bundles(messages: Iterable[OscMessage]) -> Iterator[bytes]:
    """Yield bundles of the messages, in their order, each of at most :data:`PACKET_BYTES`."""
    builder, size = OscBundleBuilder(IMMEDIATELY), 16
    for message in messages:
        if size + 4 + message.size > PACKET_BYTES and size > 16:
            yield builder.build().dgram
            builder, size = OscBundleBuilder(IMMEDIATELY), 16
        builder.add_content(message)
        size += 4 + message.size
    yield builder.build().dgram

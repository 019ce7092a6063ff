"""Receivers of ``facegeom live``, written from the published layouts, without the sender's code."""

import json
import select
import socket
import struct
from typing import Any


class Receiver:
    """A socket on this machine; ``port`` is where it listens."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]

    def datagrams(self) -> list[bytes]:
        """Return what has come so far: packets on this machine are there as soon as they are sent."""
        received = []
        while True:
            try:
                received.append(self._socket.recv(65_536))
            except BlockingIOError:
                return received

    def wait(self, limit_s: float = 600.0) -> None:
        """Wait until a datagram is there; fail after a time in which one must have come."""
        assert select.select([self._socket], [], [], limit_s)[0]

    def close(self) -> None:
        self._socket.close()


def osc_messages(datagram: bytes) -> list[tuple[str, list[Any]]]:
    """Decode a datagram of OSC 1.0: a bundle with the time tag "immediately", or one message."""
    if datagram.startswith(b"#bundle\0"):
        assert datagram[8:16] == bytes([0, 0, 0, 0, 0, 0, 0, 1])
        messages, at = [], 16
        while at < len(datagram):
            (size,) = struct.unpack_from(">i", datagram, at)
            assert size % 4 == 0
            messages += osc_messages(datagram[at + 4 : at + 4 + size])
            at += 4 + size
        return messages
    address, at = _osc_string(datagram, 0)
    tags, at = _osc_string(datagram, at)
    assert tags[0] == ","
    values: list[Any] = []
    for tag in tags[1:]:
        if tag == "s":
            value, at = _osc_string(datagram, at)
        else:
            (value,) = struct.unpack_from({"i": ">i", "f": ">f"}[tag], datagram, at)
            at += 4
        values.append(value)
    assert at == len(datagram)
    return [(address, values)]


def _osc_string(data: bytes, at: int) -> tuple[str, int]:
    """Read text that ends with one to four zeros, up to a multiple of four bytes."""
    end = data.index(b"\0", at)
    after = end + 4 - (end - at) % 4
    assert not any(data[end:after])
    return data[at:end].decode("ascii"), after


class VmcAvatar:
    """A receiver of the VMC protocol: bones and trackers at once, blend shapes when they are applied."""

    def __init__(self) -> None:
        self.state: list[int] = []
        self.time_s = -1.0
        self.bones: dict[str, list[float]] = {}
        self.trackers: dict[str, list[float]] = {}
        self.shapes: dict[str, float] = {}
        self._waiting: dict[str, float] = {}

    def take(self, datagram: bytes) -> None:
        for address, values in osc_messages(datagram):
            match address.removeprefix("/VMC/Ext/"), values:
                case "OK", state:
                    self.state = state
                case "T", [time_s]:
                    self.time_s = time_s
                case "Bone/Pos", [str(name), *numbers] if len(numbers) == 7:
                    self.bones[name] = numbers
                case "Tra/Pos", [str(name), *numbers] if len(numbers) == 7:
                    self.trackers[name] = numbers
                case "Blend/Val", [str(name), float(value)]:
                    self._waiting[name] = value
                case "Blend/Apply", []:
                    self.shapes |= self._waiting
                    self._waiting = {}
                case _:
                    raise AssertionError(f"not of VMC: {address} {values}")


UNREAL = """
EyeBlinkLeft EyeLookDownLeft EyeLookInLeft EyeLookOutLeft EyeLookUpLeft EyeSquintLeft EyeWideLeft
EyeBlinkRight EyeLookDownRight EyeLookInRight EyeLookOutRight EyeLookUpRight EyeSquintRight EyeWideRight
JawForward JawLeft JawRight JawOpen MouthClose MouthFunnel MouthPucker MouthLeft MouthRight
MouthSmileLeft MouthSmileRight MouthFrownLeft MouthFrownRight MouthDimpleLeft MouthDimpleRight
MouthStretchLeft MouthStretchRight MouthRollLower MouthRollUpper MouthShrugLower MouthShrugUpper
MouthPressLeft MouthPressRight MouthLowerDownLeft MouthLowerDownRight MouthUpperUpLeft MouthUpperUpRight
BrowDownLeft BrowDownRight BrowInnerUp BrowOuterUpLeft BrowOuterUpRight CheekPuff CheekSquintLeft
CheekSquintRight NoseSneerLeft NoseSneerRight TongueOut HeadYaw HeadPitch HeadRoll LeftEyeYaw
LeftEyePitch LeftEyeRoll RightEyeYaw RightEyePitch RightEyeRoll
""".split()  # noqa: SIM905


def live_link_packet(data: bytes) -> dict[str, Any]:
    """Decode a packet of Live Link Face, version 6, big-endian; fail if a byte is left."""
    at = 0

    def read(layout: str) -> tuple[Any, ...]:
        nonlocal at
        values = struct.unpack_from(layout, data, at)
        at += struct.calcsize(layout)
        return values

    def text() -> str:
        (size,) = read(">i")
        (raw,) = read(f">{size}s")
        return str(raw.decode("utf-8"))

    (version,) = read(">B")
    device, subject = text(), text()
    frame, part, numerator, denominator, count = read(">ifiiB")
    values = read(f">{count}f")
    assert at == len(data) and version == 6 and count == 61
    time = {"frame": frame, "part": part, "rate": (numerator, denominator)}
    return {"device": device, "subject": subject, **time} | dict(zip(UNREAL, values, strict=True))


def json_frame(datagram: bytes) -> dict[str, Any]:
    """Decode a datagram of JSON; NaN and infinities are no JSON."""
    assert datagram.endswith(b"}\n") and datagram.count(b"\n") == 1

    def refuse(text: str) -> None:
        raise AssertionError(text)

    frame: dict[str, Any] = json.loads(datagram, parse_constant=refuse)
    return frame

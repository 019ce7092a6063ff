"""What receivers of each protocol read: the numbers of docs/live.md, worked by hand."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from math import radians
from typing import Any

import numpy as np
import pytest
from receivers import UNREAL, VmcAvatar, json_frame, live_link_packet, osc_messages

from facegeom.errors import InputError
from facegeom.export import livelink
from facegeom.geometry.schemes import ARKIT52
from facegeom.live import LiveFrame
from facegeom.live.protocols import PACKET_BYTES, json_line, live_link, osc, vmc

Build = Callable[..., LiveFrame]
TURNED = (20, 10, -15)
"""Yaw, pitch and roll of the worked number in docs/conventions.md."""


def unity(quaternion: list[float], point: tuple[float, float, float]) -> np.ndarray:
    """Turn a point by a quaternion x, y, z, w as Unity does."""
    axis, w, vector = np.array(quaternion[:3]), quaternion[3], np.array(point)
    doubled = 2 * np.cross(axis, vector)
    return vector + w * doubled + np.cross(axis, doubled)


def avatar_of(frame: LiveFrame) -> VmcAvatar:
    avatar = VmcAvatar()
    for datagram in vmc(frame):
        avatar.take(datagram)
    return avatar


def test_an_avatar_gets_bones_and_shapes(live_frame: Build) -> None:
    datagrams = list(vmc(live_frame()))
    assert 1 < len(datagrams) < 4 and max(map(len, datagrams)) <= PACKET_BYTES
    avatar = avatar_of(live_frame())
    assert avatar.state == [1, 3, 0, 1] and avatar.time_s == 0.25
    assert set(avatar.bones) == {"Head", "LeftEye", "RightEye"}
    for pose in avatar.bones.values():
        np.testing.assert_allclose(pose, [0, 0, 0, 0, 0, 0, 1], atol=1e-6)
    assert len(avatar.shapes) == 52 and avatar.shapes["JawOpen"] == 0.75
    assert avatar.shapes["EyeBlinkLeft"] == 0.25 and avatar.shapes["EyeBlinkRight"] == 0


def test_shapes_are_applied_after_the_last_one(live_frame: Build) -> None:
    addresses = [address for each in vmc(live_frame()) for address, _ in osc_messages(each)]
    assert addresses[-1] == "/VMC/Ext/Blend/Apply" and addresses.count(addresses[-1]) == 1


@pytest.mark.parametrize(
    ("angles", "nose", "crown"),
    [
        ((90, 0, 0), (-1, 0, 0), (0, 1, 0)),  # an avatar's left is at -x
        ((0, 30, 0), (0, 0.5, 0.866), (0, 0.866, -0.5)),  # lifted
        ((0, 0, 30), (0, 0, 1), (-0.5, 0.866, 0)),  # clockwise in the picture: to the person's left
    ],
)
def test_the_avatars_head_turns_as_the_persons(live_frame: Build, angles: Any, nose: Any, crown: Any) -> None:
    turn = avatar_of(live_frame(angles)).bones["Head"][3:]
    np.testing.assert_allclose(unity(turn, (0, 0, 1)), nose, atol=1e-3)
    np.testing.assert_allclose(unity(turn, (0, 1, 0)), crown, atol=1e-3)


def test_the_worked_numbers_of_vmc(live_frame: Build) -> None:
    avatar = avatar_of(live_frame(TURNED, (200, 0, 600)))
    np.testing.assert_allclose(avatar.bones["Head"][3:], [-0.1077, -0.1603, -0.1431, 0.9707], atol=1e-4)
    np.testing.assert_allclose(avatar.trackers["facegeom"][:3], [-0.2, 0, -0.6], atol=1e-6)
    facing = unity(avatar_of(live_frame((0, 0, 0), (200, 0, 600))).trackers["facegeom"][3:], (0, 0, 1))
    np.testing.assert_allclose(facing, [0.3162, 0, 0.9487], atol=1e-4)  # from there to the camera at 0


def test_an_avatars_eyes_look(live_frame: Build) -> None:
    avatar = avatar_of(live_frame(look=(30, 0)))
    for eye in ("LeftEye", "RightEye"):
        np.testing.assert_allclose(unity(avatar.bones[eye][3:], (0, 0, 1)), [-0.5, 0, 0.866], atol=1e-3)
    up = avatar_of(live_frame(look=(0, 30))).bones["LeftEye"][3:]
    np.testing.assert_allclose(unity(up, (0, 0, 1)), [0, 0.5, 0.866], atol=1e-3)


def test_without_a_face_an_avatar_is_not_tracked(live_frame: Build) -> None:
    avatar = avatar_of(live_frame(faces=0))
    assert avatar.state == [1, 3, 0, 0] and not avatar.bones and not avatar.shapes


def test_plain_osc_has_an_address_for_each_number(live_frame: Build) -> None:
    frame = live_frame(TURNED, (200, 0, 600), (30, 0), faces=2)
    datagrams = list(osc(frame, "studio/one"))
    assert max(map(len, datagrams)) <= PACKET_BYTES
    values = dict(message for each in datagrams for message in osc_messages(each))
    assert values["/studio/one/frame"] == [7] and values["/studio/one/faces"] == [2]
    assert values["/studio/one/time_s"] == [0.25]
    for slot in (0, 1):
        near = {"yaw_deg": 20, "pitch_deg": 10, "roll_deg": -15, "x_mm": 200, "y_mm": 0, "z_mm": 600}
        for name, value in near.items():
            assert values[f"/studio/one/{slot}/{name}"] == [pytest.approx(value, abs=1e-3)]
        assert values[f"/studio/one/{slot}/jawOpen"] == [0.75]
        assert all(f"/studio/one/{slot}/{name}" in values for name in ARKIT52)


def test_live_link_face(live_frame: Build) -> None:
    first, second = map(live_link_packet, live_link(live_frame(TURNED, look=(30, -10), faces=2), "actor"))
    assert (first["subject"], second["subject"]) == ("actor", "actor1")
    assert len(first["device"]) == 36 and first["device"] != second["device"]
    assert first["rate"] == (30, 1) and 0 <= first["frame"] < 30 * 86_400 and 0 <= first["part"] < 1
    near = {"HeadYaw": 20, "HeadPitch": 10, "HeadRoll": 15, "LeftEyeYaw": -30, "LeftEyePitch": 10}
    near |= {"RightEyeYaw": -30, "RightEyePitch": 10, "LeftEyeRoll": 0, "RightEyeRoll": 0}
    for name, degrees in near.items():
        assert first[name] == pytest.approx(radians(degrees), abs=1e-5), name
    shapes = {"JawOpen": 0.75, "EyeBlinkLeft": 0.25, "JawLeft": 0.5, "MouthRight": 0.125}
    assert {name: first[name] for name in UNREAL[:52] if first[name]} == shapes
    assert list(live_link(live_frame(faces=0))) == []


def test_the_time_of_a_live_link_packet() -> None:
    packet = live_link_packet(livelink.packet("a", np.zeros(61), 3600.0125, Fraction(30_000, 1001)))
    assert packet["rate"] == (30_000, 1001) and packet["frame"] == 107_892
    assert packet["part"] == pytest.approx(3600.0125 * 30_000 / 1001 - 107_892, abs=1e-4)


def test_json(live_frame: Build) -> None:
    (datagram,) = json_line(live_frame(TURNED, (200, 0, 600), (30, 0), faces=2))
    frame = json_frame(datagram)
    assert {key: frame[key] for key in ("version", "frame", "time_s", "width", "height")} == {
        **{"version": 1, "frame": 7, "time_s": 0.25, "width": 320, "height": 240}
    }
    assert [(face["face"], face["id"]) for face in frame["faces"]] == [(0, 4), (1, 5)]
    face = frame["faces"][0]
    assert (face["yaw_deg"], face["pitch_deg"], face["roll_deg"]) == pytest.approx(TURNED, abs=1e-3)
    assert list(face["expression"]) == list(ARKIT52) and face["expression"]["jawOpen"] == 0.75
    assert face["translation_mm"] == [200, 0, 600] and face["gaze"] == [[0.5, 0, -0.866]] * 2
    np.testing.assert_allclose(face["rotation"][0], [0.9077, 0.3123, -0.2804], atol=1e-4)
    assert json_frame(next(json_line(live_frame(faces=0))))["faces"] == []


def test_sixteen_faces_fit_a_datagram(live_frame: Build) -> None:
    (datagram,) = json_line(live_frame(faces=16))
    assert len(datagram) < 65_000


@pytest.mark.parametrize("encode", [vmc, osc, live_link, json_line])
def test_a_face_of_an_older_version_has_no_expression(live_frame: Build, encode: Any) -> None:
    frame = live_frame()
    old = replace(frame, faces={0: replace(frame.faces[0], expression=None, gaze=None)})
    with pytest.raises(InputError, match="older version"):
        list(encode(old, "name"))

"""Receivers by their URLs: what is sent, and what is refused."""

import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from receivers import Receiver, json_frame, live_link_packet, osc_messages

from facegeom.errors import InputError
from facegeom.live import LiveFrame, Target


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "expected a receiver as one of vmc://HOST:PORT, osc://HOST:PORT"),
        ("127.0.0.1:39539", "expected a receiver as one of vmc"),
        ("http://127.0.0.1:80", "expected a receiver as one of vmc"),
        ("vmc://", "expected a receiver as one of vmc"),
        ("vmc://:39539", "expected a receiver as one of vmc"),
        ("vmc://127.0.0.1:0", "expected a port from 1 to 65535"),
        ("vmc://127.0.0.1:65536", "expected a URL with a port from 1 to 65535"),
        ("vmc://127.0.0.1:-1", "expected a URL with a port from 1 to 65535"),
        ("vmc://127.0.0.1:one", "expected a URL with a port from 1 to 65535"),
        ("vmc://[::1", "expected a URL with a port"),
        ("osc://127.0.0.1", "expected a port from 1 to 65535, as osc://127.0.0.1:9000"),
        ("json://127.0.0.1", "expected a port from 1 to 65535"),
        ("vmc://127.0.0.1/avatar", "expected vmc://127.0.0.1:39539 without more"),
        ("json://127.0.0.1:9?x=1", "expected json://127.0.0.1:9 without more"),
        ("osc://127.0.0.1:9/a#b", "expected osc://127.0.0.1:9 without more"),
        ("osc://me@127.0.0.1:9", "expected osc://127.0.0.1:9 without more"),
        ("osc://127.0.0.1:9/a*b", "expected osc://127.0.0.1:9 without more"),
        ("livelink://127.0.0.1/" + "a" * 65, "expected livelink://127.0.0.1:11111 without more"),
    ],
)
def test_urls_that_are_none(url: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        Target.open(url)
    assert message in str(caught.value) and repr(url) in str(caught.value)


@pytest.mark.parametrize(
    "error", [socket.gaierror(-2, "Name or service not known"), UnicodeError("too long")]
)
def test_a_host_that_cannot_be_found(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(
        InputError, match=r"cannot find the host 'nowhere.invalid' of 'vmc://.*; check its name"
    ):
        Target.open("vmc://nowhere.invalid:39539")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_ports_and_paths(host: str) -> None:
    for url, port in ((f"vmc://{host}", 39539), (f"livelink://{host}", 11111), (f"osc://{host}:7/a", 7)):
        with closing(Target.open(url)) as target:
            assert target._address[1] == port


def test_receivers_listen_on_the_fourth_version_first(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("::1", 39539, 0, 0)),
        (socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("127.0.0.1", 39539)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with closing(Target.open("vmc://localhost")) as target:
        assert target._address == ("127.0.0.1", 39539)
        assert target._socket.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST)


def test_each_protocol_reaches_its_receiver(live_frame: Callable[..., LiveFrame], receiver: Receiver) -> None:
    frame = live_frame()
    urls = {"vmc": "", "osc": "/studio", "livelink": "/actor", "json": ""}
    came = {}
    for scheme, path in urls.items():
        with closing(Target.open(f"{scheme}://127.0.0.1:{receiver.port}{path}")) as target:
            target.send(frame)
        came[scheme] = receiver.datagrams()
        assert target.packets == len(came[scheme]) > 0 and target.lost == 0
    assert osc_messages(came["vmc"][0])[0][0] == "/VMC/Ext/OK"
    assert osc_messages(came["osc"][0])[0] == ("/studio/frame", [7])
    assert live_link_packet(came["livelink"][0])["subject"] == "actor"
    assert json_frame(came["json"][0])["frame"] == 7


def test_packets_that_are_refused_are_counted(live_frame: Callable[..., LiveFrame]) -> None:
    with closing(Target.open("json://127.0.0.1:9")) as target:
        target._socket.close()  # as a network that is gone
        target.send(live_frame())
        target.send(live_frame())
    assert (target.packets, target.lost) == (0, 2) and target.fault == "Bad file descriptor"

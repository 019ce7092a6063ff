"""Peers' workers and the cache of their predictions, with a fake peer."""

import sys
from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom_lab.bench.peers import Peer, peer_predictions, started
from facegeom_lab.external import process
from facegeom_lab.external.environments import ExternalError


@pytest.fixture
def bright(tmp_path: Path) -> Path:
    array = tmp_path / "bright.npy"
    np.save(array, np.full((48, 64, 3), 200, np.uint8))
    return array


def test_a_worker_reports_its_versions_and_finds_faces(fake_peers: dict[str, Path], bright: Path) -> None:
    with Peer("mtcnn", fake_peers["mtcnn"]) as peer:
        assert peer.versions["fake"] == "1.0"
        reply = peer.ask(op="find", model="detector", array=str(bright))
    assert reply == {"box_xyxy": [[20, 10, 44, 40]], "score": [0.9]}


def test_a_worker_times_calls(fake_peers: dict[str, Path], bright: Path) -> None:
    with Peer("mtcnn", fake_peers["mtcnn"]) as peer:
        times = peer.time_ms("detector", bright, repetitions=3, warm=1)
    assert len(times) == 3
    assert all(0 <= value < 1000 for value in times)


def test_a_failing_request_is_shown_and_the_worker_goes_on(fake_peers: dict[str, Path], bright: Path) -> None:
    with Peer("mtcnn", fake_peers["mtcnn"]) as peer:
        with pytest.raises(ExternalError, match="the fake peer is broken"):
            peer.ask(op="find", model="detector", array=str(bright), options={"broken": True})
        assert peer.ask(op="find", model="detector", array=str(bright))["score"] == [0.9]


def test_a_worker_that_dies_is_shown_with_its_last_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mtcnn.py").write_text("raise SystemExit('no such library')")
    monkeypatch.setattr(process, "WORKERS", tmp_path)
    with pytest.raises(ExternalError, match="no such library"), started({"mtcnn": Path(sys.executable)}):
        pass


def test_a_missing_interpreter_is_named(fake_peers: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ExternalError, match="nowhere"), started({"mtcnn": tmp_path / "nowhere"}):
        pass


def test_an_unknown_peer_is_an_input_error() -> None:
    with pytest.raises(InputError, match="mediapipe, mtcnn, dlib"), started({"onet": Path(sys.executable)}):
        pass


def test_predictions_are_kept_on_disk(
    fake_peers: dict[str, Path], pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [pack / "backgrounds" / "200.jpg", pack / "scenes" / "scene_0.png"]
    with Peer("mediapipe", Path(sys.executable)) as peer:
        first = {m: peer_predictions(peer, m, {}, images, tmp_path / "cache") for m in ("detector", "mesh")}
        monkeypatch.setattr(Peer, "ask", None)  # asking again would fail
        again = {m: peer_predictions(peer, m, {}, images, tmp_path / "cache") for m in ("detector", "mesh")}
    assert [len(found.score) for found in again["detector"]] == [0, 1]
    for model in first:
        for one, other in zip(first[model], again[model], strict=True):
            np.testing.assert_array_equal(one.box_xyxy, other.box_xyxy)
            np.testing.assert_array_equal(one.mesh_px, other.mesh_px)

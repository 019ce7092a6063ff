"""ExpressionNet with a network of known outputs: what it is given, and in which frames its answers are."""

import numpy as np
import pytest

from facegeom.geometry import topology
from facegeom.geometry.gaze import gaze_from_angles
from facegeom.geometry.rotation import rotation_from_angles, rotation_to_6d
from facegeom.models.engine import Engine
from facegeom.models.expression import ExpressionNet
from facegeom.models.regions import FEATURES

HEAD = topology.canonical_mm()


class FakeNet:
    """Answers with the first features as coefficients, and with a known look."""

    batched = Engine.batched
    threads, device = 1, "cpu"

    def __init__(self) -> None:
        self.calls: list[dict[str, np.ndarray]] = []

    def __call__(self, features: np.ndarray, **others: np.ndarray) -> list[np.ndarray]:
        assert all(each.dtype == np.float32 and len(each) == len(features) for each in others.values())
        self.calls.append({"features": features, **others})
        gaze = np.tile(gaze_from_angles(20, 0), (len(features), 2, 1)).astype(np.float32)
        return [features[:, :52], gaze, np.full((len(features), 2), 0.7, np.float32)]


def features(*marks: float) -> np.ndarray:
    found = np.zeros((len(marks), FEATURES), np.float32)
    found[:, 0] = marks
    return found


def sixes(*angles_deg: tuple[float, float, float]) -> np.ndarray:
    return rotation_to_6d(rotation_from_angles(*np.array(angles_deg, float).T)).astype(np.float32)


def test_images_share_a_call_and_get_their_own_faces_back() -> None:
    net = FakeNet()
    meshes = [np.stack([HEAD, HEAD + 5]), np.zeros((0, 478, 3)), HEAD[None] * 2]
    angles = [sixes((0, 0, 0), (0, 0, 0)), np.zeros((0, 6), np.float32), sixes((0, 0, 0))]
    found = ExpressionNet(net)([features(0.1, 0.2), features(), features(0.3)], meshes, angles)
    assert len(net.calls) == 1
    firsts = [each.expression[:, 0].tolist() for each in found]
    assert firsts == [np.float32([0.1, 0.2]).tolist(), [], [float(np.float32(0.3))]]
    assert [each.gaze_confidence.shape for each in found] == [(2, 2), (0, 2), (1, 2)]


@pytest.mark.parametrize("angles", [(0, 0, 0), (30, -20, 10), (-60, 15, -40)])
def test_the_mesh_is_given_upright_and_of_average_size(angles: tuple[float, float, float]) -> None:
    net = FakeNet()
    mesh = 1.3 * HEAD @ rotation_from_angles(*angles).T + (100, -50, 700)
    ExpressionNet(net)([features(0)], [mesh[None]], [sixes(angles)])
    np.testing.assert_allclose(net.calls[0]["points"][0], HEAD, atol=1e-2)
    np.testing.assert_array_equal(net.calls[0]["rotation6d"], sixes(angles))


def test_looks_come_in_the_frame_of_the_line_of_sight() -> None:
    angles = (25.0, 0.0, 0.0)
    (found,) = ExpressionNet(FakeNet())([features(0)], [HEAD[None]], [sixes(angles)])
    np.testing.assert_allclose(found.gaze_seen[0, 0], gaze_from_angles(45, 0), atol=1e-5)


def test_no_face_asks_no_network() -> None:
    net = FakeNet()
    found = ExpressionNet(net)([features()] * 2, [np.zeros((0, 478, 3))] * 2, [np.zeros((0, 6))] * 2)
    assert not net.calls and [each.expression.shape for each in found] == [(0, 52), (0, 52)]
    assert found[0].gaze_seen.shape == (0, 2, 3)

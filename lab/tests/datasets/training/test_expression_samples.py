"""Samples of the expression network: names, sides, mirrors, what is drawn."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom.geometry import topology
from facegeom.geometry.gaze import gaze_from_angles
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.geometry.schemes import ARKIT52
from facegeom.models.regions import FEATURES
from facegeom.results import Faces
from facegeom_lab.datasets.training.expression_faces import (
    EYE_RADIUS_MM,
    OPEN_GAP,
    SHUT_GAP,
    looks_of_meshes,
    with_eyes,
)
from facegeom_lab.datasets.training.expression_samples import (
    Truth,
    analyzed,
    arkit_coefficients,
    mirrored,
    mirrored_names,
    observer,
    views_of,
)
from facegeom_lab.synth.scene import Sample


def test_names_of_a_model_become_arkits() -> None:
    names = ("jawOpen", "eyeBlink_L", "eyeBlink_R", "browInnerUp_L", "browInnerUp_R", "mouthLeft")
    found = arkit_coefficients(np.array([0.5, 0.25, 0.75, 0.2, 0.4, 0.9]), names)
    value = dict(zip(ARKIT52, found, strict=True))
    assert value["jawOpen"] == 0.5 and value["mouthLeft"] == pytest.approx(0.9)
    assert value["eyeBlinkLeft"] == 0.25 and value["eyeBlinkRight"] == 0.75
    assert value["browInnerUp"] == pytest.approx(0.3)
    assert sum(found) == pytest.approx(0.5 + 0.25 + 0.75 + 0.3 + 0.9)


def test_a_mirror_swaps_the_sides_and_twice_changes_nothing() -> None:
    order = mirrored_names()
    assert sorted(order) == list(range(52)) and (order[order] == np.arange(52)).all()
    for name, other in (("eyeBlinkLeft", "eyeBlinkRight"), ("mouthLeft", "mouthRight"), ("jawOpen",) * 2):
        assert ARKIT52[order[ARKIT52.index(name)]] == other
    rng = np.random.default_rng(2)
    looks = gaze_from_angles(*rng.uniform(-20, 20, (2, 2)))
    truth = Truth(rng.uniform(0, 1, 52), looks, rotation_from_angles(10, 20, 30))
    for one, other in zip(mirrored(mirrored(truth)), truth, strict=True):
        np.testing.assert_allclose(one, other)
    np.testing.assert_allclose(mirrored(truth).rotation, rotation_from_angles(-10, 20, -30), atol=1e-12)


def test_irises_aside_of_their_usual_place_are_looks() -> None:
    meshes = np.tile(topology.canonical_mm().astype(np.float64), (5, 1, 1))
    meshes[1, 468:473, 0] += EYE_RADIUS_MM / 2  # the right iris towards the nose
    meshes[2, 473:478, 1] -= EYE_RADIUS_MM / 2  # the left iris up
    turned = meshes @ rotation_from_angles(20, -10, 15).T * 1.7 + (50, 20, 0)
    for each in (meshes, turned):
        yaw_deg, pitch_deg = looks_of_meshes(each)
        np.testing.assert_allclose(yaw_deg[1], (30, 0), atol=1.5)
        np.testing.assert_allclose(pitch_deg[2], (0, 30), atol=1.5)
        np.testing.assert_allclose(yaw_deg[[0, 3, 4]], 0, atol=0.5)


def test_looks_and_blinks_replace_those_of_a_fit() -> None:
    angles, gaps = (np.array([[15.0, -6.0]]), np.array([[9.0, 0.0]])), np.array([[OPEN_GAP, OPEN_GAP]])
    found = dict(zip(ARKIT52, with_eyes(np.full((1, 52), 0.5), *angles, gaps)[0], strict=True))
    assert found["jawOpen"] == 0.5 and found["eyeBlinkRight"] == 0
    assert found["eyeLookInRight"] == pytest.approx(0.5) and found["eyeLookOutRight"] == 0
    assert found["eyeLookInLeft"] == pytest.approx(0.2) and found["eyeLookOutLeft"] == 0
    assert found["eyeLookUpRight"] == pytest.approx(0.3) and found["eyeLookDownRight"] == 0


def test_shut_eyes_blink_and_do_not_look() -> None:
    gaps = np.array([[SHUT_GAP, (SHUT_GAP + OPEN_GAP) / 2]])
    found = with_eyes(np.zeros((1, 52)), np.full((1, 2), 30.0), np.zeros((1, 2)), gaps)[0]
    value = dict(zip(ARKIT52, found, strict=True))
    assert value["eyeBlinkRight"] == 1 and value["eyeBlinkLeft"] == pytest.approx(0.5)
    assert value["eyeLookInRight"] == 0 and value["eyeLookOutLeft"] == pytest.approx(0.5)


@dataclass
class Seer:
    """Stands for the analyzer: sees the same face in each picture."""

    faces: Faces
    expression_net: Any = None
    pictures: list[np.ndarray] = field(default_factory=list)

    def __call__(self, image: np.ndarray) -> Faces:
        self.pictures.append(image)
        features = np.full((1, FEATURES), len(self.pictures), np.float32)
        self.expression_net([features], [self.faces.mesh_mm], [np.zeros((1, 6))])
        return self.faces


def test_heads_and_their_mirror_images_are_analyzed(make_faces: Callable[..., Faces]) -> None:
    seer = Seer(make_faces(translation_mm=(0, 0, 500)))
    model = SimpleNamespace(
        expression_names=("eyeBlink_L", "eyeBlink_R"),
        look_deg=lambda expression: np.array([[10.0, 0.0], [10.0, 0.0]]),
    )
    expression = np.zeros(len(model.expression_names))
    expression[model.expression_names.index("eyeBlink_L")] = 1
    sample = Sample(
        image=np.arange(240 * 320 * 3, dtype=np.uint8).reshape(240, 320, 3),
        landmarks_px=seer.faces.landmarks_px[0],
        rotation=np.eye(3),
        translation_mm=np.array([0.0, 0, 500]),
        visible68=np.ones(68, bool),
        fov_deg=50.0,
        expression=expression,
    )
    found = analyzed(views_of([sample], model), seer)
    assert len(found) == 2
    np.testing.assert_array_equal(seer.pictures[1], seer.pictures[0][:, ::-1])
    np.testing.assert_array_equal(found.features[:, 0], (1, 2))
    blinks = found.expression[:, [ARKIT52.index("eyeBlinkLeft"), ARKIT52.index("eyeBlinkRight")]]
    np.testing.assert_array_equal(blinks, [[1, 0], [0, 1]])
    np.testing.assert_allclose(found.gaze_seen[0, 0], gaze_from_angles(10, 0), atol=1e-6)
    np.testing.assert_allclose(found.gaze_seen[1, 0], gaze_from_angles(-10, 0), atol=1e-6)


def test_heads_that_are_not_found_are_told(make_faces: Callable[..., Faces]) -> None:
    with pytest.raises(InputError, match="faces that are found"):
        analyzed([], Seer(make_faces()))


def test_free_samples_are_what_the_free_set_sees() -> None:
    for free, name in ((True, "face-free.int8.onnx"), (False, "face.int8.onnx")):
        assert observer(free).face_net.engine.path.name == name

"""FaceAnalyzer on the demo photo turned by quarter turns."""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegeom import FaceAnalyzer, Faces
from facegeom.geometry.boxes import square
from facegeom.image.photo import open_photo
from facegeom.image.pyramid import Pyramid
from facegeom.results.turning import turn_back

DEMO = Path(str(files("facegeom") / "data" / "astronaut.jpg"))


@pytest.fixture(scope="module")
def analyzer() -> FaceAnalyzer:
    return FaceAnalyzer(threads=2)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.array(Image.open(DEMO).convert("RGB"))


@pytest.fixture(scope="module")
def demo(analyzer: FaceAnalyzer, image: np.ndarray) -> Faces:
    return analyzer(image)


@pytest.mark.parametrize("turned_deg", [90, 180, 270])
def test_orientation_auto_finds_the_face_of_a_turned_photo(
    analyzer: FaceAnalyzer, image: np.ndarray, demo: Faces, turned_deg: int
) -> None:
    turned = open_photo(image).turned(turned_deg)
    found = analyzer(turned, orientation="auto")
    assert found.turned_deg == 360 - turned_deg
    back = turn_back(found, turned_deg)
    for name in ("box_xyxy", "landmarks_px", "mesh_px"):
        np.testing.assert_allclose(getattr(back, name), getattr(demo, name), atol=0.01)
    np.testing.assert_allclose(back.rotation, demo.rotation, atol=1e-3)
    np.testing.assert_allclose(back.camera_rotation, demo.camera_rotation, atol=1e-3)


def test_nothing_is_said_of_a_face_upside_down(analyzer: FaceAnalyzer, image: np.ndarray) -> None:
    assert len(analyzer(open_photo(image).turned(180))) == 0


def test_a_face_upside_down_is_not_confirmed(analyzer: FaceAnalyzer, image: np.ndarray, demo: Faces) -> None:
    face_squares = square(demo.box_xyxy)
    turned = Pyramid(image[::-1, ::-1])
    low, high = face_squares[:, :2], face_squares[:, 2:]
    turned_squares = np.concatenate([image.shape[1] - 1 - high, image.shape[0] - 1 - low], axis=1)
    upright = analyzer.face_net([Pyramid(image)], [face_squares])
    upside_down = [replace(each, score=np.ones(1)) for each in analyzer.face_net([turned], [turned_squares])]
    assert [len(each.score) for each in analyzer.face_net.confirm([Pyramid(image)], upright)] == [1]
    assert [len(each.score) for each in analyzer.face_net.confirm([turned], upside_down)] == [0]

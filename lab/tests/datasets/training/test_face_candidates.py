"""Candidates of the detector as samples of the score: what is a face, what is none, what is left out."""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegeom import FaceAnalyzer
from facegeom.models.detector import Candidates
from facegeom_lab.datasets.training import face_candidates
from facegeom_lab.datasets.training.detection_photos import PhotoPyramid
from facegeom_lab.datasets.training.face_candidates import MOST_EMPTY, FaceCandidates, judged


def proposing(squares: list[list[float]]) -> Callable[..., list[Candidates]]:
    """Return a detector that proposes these squares, best first."""
    found = Candidates(np.array(squares), np.linspace(0.9, 0.1, len(squares)))
    return lambda *_: [found]


IMAGE = np.full((400, 600, 3), 90, np.uint8)
FACE, UNSURE = [100.0, 100, 200, 200], [300.0, 100, 360, 160]


@pytest.mark.parametrize(
    ("square", "expected"),
    [
        ([100, 100, 200, 200], [True]),
        ([125, 115, 220, 210], [True]),
        ([140, 130, 240, 230], []),  # beside a face: neither
        ([130, 130, 160, 160], []),  # within a face
        ([305, 100, 365, 160], []),  # not sure
        ([450, 250, 520, 320], [False]),
    ],
)
def test_what_a_candidate_is(square: list[float], expected: list[bool]) -> None:
    found, is_face = judged(proposing([square]), IMAGE, np.array([FACE, UNSURE]), np.array([True, False]))
    assert is_face.tolist() == expected
    assert found.tolist() == [square] * len(expected)


def test_a_photo_gives_few_candidates_without_a_face_the_best_among_them() -> None:
    many = [[10.0 * k, 250, 10 * k + 40, 290] for k in range(50)]
    found, is_face = judged(proposing(many), IMAGE, np.zeros((0, 4)), np.zeros(0, bool))
    assert len(found) == MOST_EMPTY and not is_face.any()
    np.testing.assert_array_equal(found[: MOST_EMPTY // 2], many[: MOST_EMPTY // 2])


def test_samples_of_a_photo_and_its_mirror_image(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.asarray(Image.open(files("facegeom.data") / "astronaut.jpg").convert("RGB"))
    photo = PhotoPyramid.build(image, FaceAnalyzer()(image).box_xyxy)
    monkeypatch.setattr(face_candidates, "_photos", lambda data, kind: [photo])
    samples = list(FaceCandidates(Path(), ["scenes"]))
    faces = [sample for sample in samples if sample["face"] == 1]
    assert len(faces) >= 2 and all(sample["crop"].shape == (3, 128, 128) for sample in samples)
    first, mirrored = (sample["crop"].numpy().astype(float) for sample in (faces[0], faces[-1]))
    assert np.abs(first - mirrored[:, :, ::-1]).mean() < np.abs(first - mirrored).mean()


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.6])
def test_boxes_are_resized_with_their_photo(scale: float) -> None:
    """A box around the whole photo stays one: its sides are rounded to whole pixels, centres at integers."""
    photo = PhotoPyramid.build(np.zeros((37, 53, 3), np.uint8), np.array([[-0.5, -0.5, 52.5, 36.5]]))
    for image, boxes in face_candidates._views(photo, (scale,)):
        height, width = image.shape[:2]
        np.testing.assert_allclose(boxes, [[-0.5, -0.5, width - 0.5, height - 0.5]], atol=1e-9)


def test_samples_of_the_pack(training_pack: object) -> None:
    for sample in FaceCandidates(training_pack.data):
        assert sample["face"] in (0, 1) and sample["crop"].shape == (3, 128, 128)

"""What a worker makes of photos: as each caller asked, and errors that concern one alone."""

import json
import logging
import pickle
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facegeom import FaceAnalyzer, Faces
from facegeom.errors import ImageError
from facegeom.image import reading
from facegeom.serve.refusals import RefusedError
from facegeom.serve.work import Done, Look, Task, answer


def png(pixels: np.ndarray) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def test_each_photo_is_analysed_as_its_caller_asked(analyzer: FaceAnalyzer, portrait: Path) -> None:
    half = reading.read(portrait)
    image = np.concatenate([half, half[:, ::-1]], axis=1)
    looks = [Look(), Look(max_faces=1), Look(min_score=1.0), Look(min_face=60, fov_deg=30.0)]
    tasks = [Task(png(image), look, file=f"{row}.png") for row, look in enumerate([*looks, *looks])]
    results = answer(analyzer, tasks)
    assert [result.faces for result in results if isinstance(result, Done)] == [2, 1, 0, 2] * 2
    for task, result in zip(tasks, results, strict=True):
        assert isinstance(result, Done)
        alone, faces = FaceAnalyzer(**vars(task.look))(image), Faces.from_dict(json.loads(result.body))
        assert faces.file == task.file
        np.testing.assert_allclose(faces.mesh_px, alone.mesh_px, atol=0.01)
        np.testing.assert_allclose(faces.translation_mm, alone.translation_mm, atol=0.1)
    assert (analyzer.min_face, analyzer.max_faces, analyzer.min_score) == (None, None, 0.9)


def test_bad_photos_fail_alone(stand_in: Any, caplog: pytest.LogCaptureFixture) -> None:
    """One cannot be read, one cannot be analysed, one has no such face."""
    grey, black = (png(np.full((8, 8, 3), value, np.uint8)) for value in (90, 0))
    tasks = [Task(grey), Task(b"no photo"), Task(black), Task(grey, form="obj"), Task(grey, form="overlay")]
    with caplog.at_level(logging.ERROR):
        first, unread, failed, faceless, last = answer(stand_in, tasks)
    assert isinstance(first, Done) and isinstance(last, Done) and last.body[:2] == b"\xff\xd8"
    assert isinstance(unread, ImageError) and "not a picture" in str(unread)
    assert isinstance(failed, RefusedError) and failed.status == 500
    assert isinstance(faceless, RefusedError) and faceless.status == 404
    assert caplog.text.count("RuntimeError: a black photo") == 1


def test_refusals_come_through_a_pipe() -> None:
    error = pickle.loads(pickle.dumps(RefusedError(503, "too many", {"Retry-After": "1"})))
    assert (error.status, error.detail, error.headers) == (503, "too many", {"Retry-After": "1"})
    assert str(error) == "too many"

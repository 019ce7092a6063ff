"""Analysis of a batch: each photo with its own options, errors of one photo alone."""

import dataclasses
import json
import logging
import pickle
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facegeom import FaceAnalyzer, Faces
from facegeom.errors import ImageError
from facegeom.image import reading
from facegeom.options import SEARCH_OPTIONS, SearchOptions
from facegeom.serve.problems import RefusedError
from facegeom.serve.work import EncodedFaces, Options, Task, analyze_tasks


def png(pixels: np.ndarray) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def test_each_photo_has_its_own_options(analyzer: FaceAnalyzer, portrait: Path) -> None:
    half = reading.read(portrait)
    image = np.concatenate([half, half[:, ::-1]], axis=1)
    options = [Options(), Options(max_faces=1), Options(min_score=1.0), Options(min_face=60, fov_deg=30.0)]
    tasks = [Task(png(image), each, file=f"{row}.png") for row, each in enumerate([*options, *options])]
    results = analyze_tasks(analyzer, tasks)
    assert [result.count for result in results if isinstance(result, EncodedFaces)] == [2, 1, 0, 2] * 2
    for task, result in zip(tasks, results, strict=True):
        assert isinstance(result, EncodedFaces)
        alone, faces = (
            FaceAnalyzer(**task.options.for_analyzer())(image),
            Faces.from_dict(json.loads(result.body)),
        )
        assert faces.file == task.file
        np.testing.assert_allclose(faces.mesh_px, alone.mesh_px, atol=0.01)
        np.testing.assert_allclose(faces.translation_mm, alone.translation_mm, atol=0.1)
    assert analyzer.options == SearchOptions()


@pytest.mark.parametrize("name", SEARCH_OPTIONS)
def test_options_are_those_of_a_search(name: str) -> None:
    fields = {each.name: each for each in dataclasses.fields(SearchOptions) if each.init}
    assert list(fields) == list(SEARCH_OPTIONS)
    assert getattr(Options(), name) == fields[name].default


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("min_face", value) for value in (0.99, 1, 1e8, 1e8 + 1, float("nan"), float("inf"))),
        *(("max_faces", value) for value in (0, 1, 10**12, 1.5)),
        *(("min_score", value) for value in (-0.01, 0, 1, 1.01, float("nan"))),
        *(("fov_deg", value) for value in (0.99, 1, 160, 160.1, 175, float("inf"))),
        *(("orientation", value) for value in ("exif", "auto", "up", "")),
    ],
)
def test_ranges_are_those_of_a_search(name: str, value: Any) -> None:
    def accepts(options: Callable[..., object]) -> bool:
        try:
            options(**{name: value})
        except ValueError:
            return False
        return True

    assert accepts(Options) == accepts(SearchOptions)


def test_bad_photos_fail_alone(fake_analyzer: Any, caplog: pytest.LogCaptureFixture) -> None:
    """One cannot be read, one cannot be analysed, one has no such face."""
    grey, black = (png(np.full((8, 8, 3), value, np.uint8)) for value in (90, 0))
    tasks = [
        Task(grey),
        Task(b"no photo"),
        Task(black),
        *(Task(grey, Options(format=name)) for name in ("obj", "overlay")),
    ]
    with caplog.at_level(logging.ERROR):
        first, unread, failed, faceless, last = analyze_tasks(fake_analyzer, tasks)
    assert isinstance(first, EncodedFaces) and isinstance(last, EncodedFaces) and last.body[:2] == b"\xff\xd8"
    assert isinstance(unread, ImageError) and "not a picture" in str(unread)
    assert isinstance(failed, RefusedError) and failed.status == 500
    assert isinstance(faceless, RefusedError) and faceless.status == 404
    assert caplog.text.count("RuntimeError: a black photo") == 1


def test_refusals_come_through_a_pipe() -> None:
    error = pickle.loads(pickle.dumps(RefusedError(503, "too many", {"Retry-After": "1"})))
    assert (error.status, error.detail, error.headers) == (503, "too many", {"Retry-After": "1"})
    assert str(error) == "too many"

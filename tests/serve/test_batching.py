"""Photos of many callers in common batches."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facegeom import FaceAnalyzer, Faces, imaging
from facegeom.serve.batching import Batcher, Look

GREY = np.full((8, 8, 3), 90, np.uint8)
BLACK = np.zeros((8, 8, 3), np.uint8)


@pytest.fixture
def start(stand_in: Any) -> Iterator[Callable[..., Batcher]]:
    batchers: list[Batcher] = []

    def make(most: int = 16, wait_s: float = 0.0) -> Batcher:
        batchers.append(Batcher(stand_in, most, wait_s))
        return batchers[-1]

    yield make
    stand_in.gate.set()
    for batcher in batchers:
        batcher.close()


def busy(batcher: Batcher, stand_in: Any) -> "Future[Faces]":
    """Let the analyzer begin with one photo and wait in it."""
    stand_in.gate.clear()
    answer = batcher.submit(GREY, Look())
    while not stand_in.batches:
        time.sleep(0.001)
    return answer


def test_what_comes_during_a_batch_goes_together(start: Callable[..., Batcher], stand_in: Any) -> None:
    batcher = start(most=3)
    answers = [busy(batcher, stand_in), *(batcher.submit(GREY, Look()) for _ in range(4))]
    stand_in.gate.set()
    assert [len(answer.result(10)) for answer in answers] == [0] * 5
    assert stand_in.batches == [1, 3, 1]


def test_the_first_waits_for_company(start: Callable[..., Batcher], stand_in: Any) -> None:
    batcher = start(most=2, wait_s=20.0)
    answers = [batcher.submit(GREY, Look()) for _ in range(2)]
    assert [len(answer.result(10)) for answer in answers] == [0, 0]
    assert stand_in.batches == [2]


def test_a_bad_photo_fails_alone(start: Callable[..., Batcher], stand_in: Any) -> None:
    batcher = start()
    first = busy(batcher, stand_in)
    good, bad, other = (batcher.submit(image, Look()) for image in (GREY, BLACK, GREY))
    stand_in.gate.set()
    assert len(first.result(10)) == len(good.result(10)) == len(other.result(10)) == 0
    with pytest.raises(RuntimeError, match="a black photo"):
        bad.result(10)


def test_a_cancelled_photo_leaves_the_queue(start: Callable[..., Batcher], stand_in: Any) -> None:
    batcher = start()
    first = busy(batcher, stand_in)
    left, stays = (batcher.submit(GREY, Look()) for _ in range(2))
    assert left.cancel()
    stand_in.gate.set()
    assert len(first.result(10)) == len(stays.result(10)) == 0
    assert stand_in.batches == [1, 1]


def test_close_finishes_what_was_submitted(stand_in: Any) -> None:
    batcher = Batcher(stand_in, 2, 0.0)
    answers = [batcher.submit(GREY, Look()) for _ in range(5)]
    batcher.close()
    assert all(answer.done() for answer in answers)


def test_each_photo_is_analysed_as_its_caller_asked(analyzer: FaceAnalyzer, portrait: Path) -> None:
    half = imaging.read(portrait)
    image = np.concatenate([half, half[:, ::-1]], axis=1)
    looks = [Look(), Look(max_faces=1), Look(min_score=1.0), Look(min_face=60, fov_deg=30.0)]
    batcher = Batcher(analyzer, 8, 5.0)
    futures = [batcher.submit(image, look) for look in [*looks, *looks]]
    answers = [future.result(60) for future in futures]
    batcher.close()
    assert [len(answer) for answer in answers] == [2, 1, 0, 2] * 2
    for look, answer in zip([*looks, *looks], answers, strict=True):
        alone = FaceAnalyzer(**vars(look))(image)
        np.testing.assert_allclose(answer.mesh_px, alone.mesh_px, atol=0.01)
        np.testing.assert_allclose(answer.translation_mm, alone.translation_mm, atol=0.1)
    assert (analyzer.min_face, analyzer.max_faces, analyzer.min_score) == (None, None, 0.9)

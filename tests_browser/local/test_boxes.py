"""Boxes equal facegeom.geometry.boxes."""

from typing import Any

import numpy as np
import pytest

from facegeom.geometry import boxes

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


@pytest.fixture
def boxes_xyxy() -> FloatArray:
    rng = np.random.default_rng(5)
    corner = rng.uniform(0, 60, (40, 2))
    return np.concatenate([corner, corner + rng.uniform(-2, 50, (40, 2))], axis=1)  # a few are inverted


@pytest.mark.parametrize("name", ["iou", "overlapOfSmaller"])
def test_overlap_of_pairs(call_each: Any, boxes_xyxy: FloatArray, name: str) -> None:
    found = call_each("boxes.js", name, list(zip(boxes_xyxy[:8], boxes_xyxy[8:16], strict=True)))
    expected = boxes.overlap(
        boxes_xyxy[:8], boxes_xyxy[8:16], over_smaller=name == "overlapOfSmaller"
    ).diagonal()
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.6, 1.0])
def test_suppression(call: Any, boxes_xyxy: FloatArray, threshold: float) -> None:
    scores = np.round(np.random.default_rng(6).uniform(0, 1, len(boxes_xyxy)), 1)  # with equal ones
    expected = boxes.nms(boxes_xyxy, scores, threshold)
    assert call("boxes.js", "nms", boxes_xyxy, scores, threshold) == expected.tolist()


@pytest.mark.parametrize("scale", [1.0, 1.3])
def test_square(call_each: Any, boxes_xyxy: FloatArray, scale: float) -> None:
    found = call_each("boxes.js", "square", [(box, scale) for box in boxes_xyxy[:8]])
    np.testing.assert_allclose(found, boxes.square(boxes_xyxy[:8], scale), atol=1e-12)

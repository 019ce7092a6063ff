"""Nodes that downscale and crop give the pixels of Pillow, and NMS keeps the boxes that the runtime keeps."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from onnx import helper
from PIL import Image

from facegeom.geometry.boxes import nms
from facegeom.graph.builder import Graph, Tensor
from facegeom.graph.detection import nms as graph_nms
from facegeom.graph.sampling import Level, crop_affine, crop_squares, reduce
from facegeom.image.crop import crop_squares as crop_squares_of
from facegeom.image.pyramid import Pyramid
from facegeom.image.rotated_crop import crop_affine as crop_affine_of
from facegeom.models.face import CROP_PX, OUTSIDE, REDUCING_GAP

Array = npt.NDArray[np.generic]


def run(build: Callable[..., Tensor], *arrays: Array) -> Array:
    """Run nodes on some arrays in ONNX Runtime."""
    kinds = [helper.np_dtype_to_tensor_dtype(each.dtype) for each in arrays]
    described = [
        helper.make_tensor_value_info(f"x{number}", kind, [None] * each.ndim)
        for number, (kind, each) in enumerate(zip(kinds, arrays, strict=True))
    ]
    graph = Graph(described)
    inputs = [Tensor(graph, info.name, each.dtype) for info, each in zip(described, arrays, strict=True)]
    result = build(*inputs)
    kind = helper.np_dtype_to_tensor_dtype(result.dtype)
    model = graph.model("test", [(result, helper.make_tensor_value_info("y", kind, None))])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: Array = session.run(None, {info.name: each for info, each in zip(described, arrays, strict=True)})[
        0
    ]
    return found


def noise(height: int, width: int, seed: int = 1) -> npt.NDArray[np.uint8]:
    """Make an image of blurred noise, with strong edges."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 256, (height // 3 + 1, width // 3 + 1, 3), np.uint8))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(
    ("height", "width", "factor"), [(64, 96, 2), (61, 50, 3), (100, 99, 7), (33, 40, 1), (700, 900, 4)]
)
def test_reduce_is_pillow_s(height: int, width: int, factor: int, large: bool) -> None:
    pixels = noise(height, width)
    found = run(lambda image, by: reduce(image, by, by, large), pixels, np.array([factor]))
    expected = np.asarray(Image.fromarray(pixels).reduce(factor))
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


def test_crops_are_pillow_s() -> None:
    pixels = noise(400, 500)
    squares = [
        [100, 90, 300, 290], [-40, -60, 200, 180], [300.3, 200.8, 640.1, 540.6], [10.2, 20.7, 90.1, 100.6],
        [-300, -200, 700, 800], [600, 10, 700, 110], [450, 380, 499, 429], [33.3, 44.4, 333.3, 344.4],
    ]  # fmt: skip
    pyramid = Pyramid(pixels)
    coarse = np.asarray(pyramid.level(3))
    boxes = np.array(squares, np.float32)
    expected = crop_squares_of(pyramid, boxes, CROP_PX, REDUCING_GAP, OUTSIDE)

    def crops(image: Tensor, level: Tensor, squares: Tensor) -> Tensor:
        one, three = (image.graph.constant(np.array([factor])) for factor in (1, 3))
        return crop_squares([Level(image, one), Level(level, three)], squares)

    found = run(crops, pixels, coarse, boxes)
    apart = np.abs(found.astype(int) - expected)
    assert apart.max() <= 2
    assert (apart > 0).mean() < 0.02


def test_affine_crops_are_pillow_s() -> None:
    pixels, rng = noise(300, 420), np.random.default_rng(3)
    maps = []
    for scale, turn in ((0.7, 0.1), (1.4, -0.4), (2.3, 0.8), (3.7, 3.0), (5.0, -1.5), (1.0, 0.0)):
        linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        maps.append(np.column_stack([linear, rng.uniform(-60, 250, 2)]))
    maps.append(np.array([[1.0, 0, 5000], [0, 1, 5000]]))
    affine = np.stack(maps).astype(np.float32)
    expected = crop_affine_of(Pyramid(pixels), affine.astype(np.float64), 64)
    found = run(lambda image, matrices: crop_affine(image, matrices, 64), pixels, affine)
    apart = np.abs(found.astype(int) - expected)
    assert (apart > 1).mean() < 0.002  # pixels on the image's edge may fall outside in one of both
    assert (apart > 0).mean() < 0.02


@pytest.mark.parametrize("over_smaller", [False, True])
@pytest.mark.parametrize("count", [0, 1, 2, 60])
def test_nms_keeps_the_same_boxes(count: int, over_smaller: bool) -> None:
    rng = np.random.default_rng(count)
    corner = rng.uniform(0, 60, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 40, (count, 2))], axis=1).astype(np.float32)
    scores = rng.uniform(0, 1, count).astype(np.float32).round(1)  # with equal ones
    expected = nms(boxes, scores, 0.4, over_smaller=over_smaller)
    found = run(lambda b, s: graph_nms(b, s, 0.4, over_smaller), boxes, scores)
    np.testing.assert_array_equal(found, expected)

"""One graph from photo to faces: run by ONNX Runtime alone, it answers as the analyzer does."""

from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from PIL import Image

from facegeom import FaceAnalyzer, Faces, InputError
from facegeom.graph import OUTPUTS, build

UInt8Array = npt.NDArray[np.uint8]
Answer = dict[str, npt.NDArray[np.float32]]

SAME = {
    "boxes_xyxy": "box_xyxy",
    "scores": "score",
    "rotations": "rotation",
}
"""Outputs with other names than the result's."""


def opened(model: onnx.ModelProto) -> Callable[[UInt8Array], Answer]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    return lambda image: dict(zip(names, session.run(None, {"image": image}), strict=True))


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return build()


@pytest.fixture(scope="module")
def answer(model: onnx.ModelProto) -> Callable[[UInt8Array], Answer]:
    return opened(model)


@pytest.fixture(scope="module")
def analyzer() -> Iterator[FaceAnalyzer]:
    yield FaceAnalyzer()


def portrait(width: int, height: int | None = None) -> Image.Image:
    image = Image.open(str(files("facegeom") / "data" / "astronaut.jpg")).convert("RGB")
    return image.resize((width, height or width), Image.Resampling.LANCZOS)


def scene(width: int, height: int, places: list[tuple[int, int, int]]) -> Image.Image:
    """Paste heads of given widths at x, y into a plain picture."""
    picture = Image.new("RGB", (width, height), (90, 110, 100))
    for x, y, size in places:
        head = portrait(512).crop((130, 20, 310, 220))
        picture.paste(head.resize((size, size * 10 // 9), Image.Resampling.LANCZOS), (x, y))
    return picture


def check(found: Answer, expected: Faces, within_px: float = 0.5) -> None:
    """Compare all fields."""
    assert {name: each.shape[1:] for name, each in found.items()} == {
        name: tuple(shape[1:]) for name, (shape, _) in OUTPUTS.items()
    }
    assert len(found["scores"]) == len(expected)
    if not len(expected):
        return
    for name, each in found.items():
        apart = np.abs(each - getattr(expected, SAME.get(name, name))).reshape(len(expected), -1).max(axis=1)
        if name.endswith(("px", "xyxy")):
            assert (apart <= within_px).all(), name
        else:
            assert (apart <= 0.02).all(), name


PHOTOS = {
    "tiny": portrait(90),
    "enlarged for the detector, one level": portrait(180),
    "enlarged, two levels": portrait(240, 200),
    "portrait": portrait(512),
    "upright": portrait(400, 640),
    "large": portrait(1500, 1100),
    "on its side": portrait(512).rotate(90),
    "upside down": portrait(512).rotate(180),
    "beyond the edge": portrait(512).crop((190, 90, 500, 400)),
    "three": scene(640, 400, [(40, 60, 150), (260, 50, 90), (430, 100, 120)]),
    "small ones beside": scene(1200, 800, [(100, 100, 60), (500, 300, 34), (700, 500, 30), (900, 200, 40)]),
    "nobody": Image.new("RGB", (333, 222), (200, 180, 160)),
    "one pixel": Image.new("RGB", (1, 1)),
    "a strip": Image.new("RGB", (700, 9), "red"),
}


@pytest.fixture(scope="module")
def floats() -> tuple[Callable[[UInt8Array], Answer], FaceAnalyzer]:
    return opened(build("float32")), FaceAnalyzer(weights="float32")


@pytest.mark.parametrize("name", PHOTOS)
def test_answers_are_the_analyzer_s(
    name: str, floats: tuple[Callable[[UInt8Array], Answer], FaceAnalyzer]
) -> None:
    image, (answer, analyzer) = np.asarray(PHOTOS[name]), floats
    check(answer(image), analyzer(image))


@pytest.mark.parametrize("name", PHOTOS)
def test_eight_bits_amplify_a_rounding(
    name: str, answer: Callable[[UInt8Array], Answer], analyzer: FaceAnalyzer
) -> None:
    """A grey level that is rounded otherwise moves the points of eight-bit networks; none is elsewhere."""
    image = np.asarray(PHOTOS[name])
    found, expected = answer(image), analyzer(image)
    assert len(found["scores"]) == len(expected)
    for face, points_px in zip(expected, found["mesh_px"], strict=True):
        width_px = face.box_xyxy[2] - face.box_xyxy[0]
        apart_px = np.linalg.norm((points_px - face.mesh_px)[:, :2], axis=1)
        assert apart_px.mean() < max(0.5, 0.015 * width_px)


def test_faces_are_in_these_photos(analyzer: FaceAnalyzer) -> None:
    counts = {name: len(analyzer(np.asarray(image))) for name, image in PHOTOS.items()}
    assert counts["portrait"] == counts["tiny"] == counts["large"] == 1
    assert counts["three"] == 3 and counts["small ones beside"] >= 3 and counts["nobody"] == 0


def test_float_weights_and_a_low_score() -> None:
    image = np.asarray(scene(500, 300, [(40, 60, 130), (290, 50, 70)]))
    expected = FaceAnalyzer(weights="float32", min_score=0.3)(image)
    check(opened(build("float32", 0.3))(image), expected, within_px=0.2)


def test_the_free_set() -> None:
    image = np.asarray(portrait(300))
    check(opened(build("free"))(image), FaceAnalyzer(weights="free")(image))


def test_the_file_needs_onnx_runtime_alone(model: onnx.ModelProto) -> None:
    onnx.checker.check_model(model, full_check=False)
    assert {each.domain for each in model.opset_import} == {""}
    assert model.producer_name == "facegeom" and model.opset_import[0].version == 17
    assert "licence" in {each.key for each in model.metadata_props}


def test_nodes_have_names_of_their_own(model: onnx.ModelProto) -> None:
    def names(graph: onnx.GraphProto) -> Iterator[str]:
        for node in graph.node:
            yield node.name
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.GRAPH:
                    yield from names(attribute.g)

    found = list(names(model.graph))  # ONNX Runtime 1.19 refuses the file without
    assert len(found) > 2000 and "" not in found and len(set(found)) == len(found)


def test_wrong_arguments() -> None:
    with pytest.raises(InputError, match=r"weights: expected one of .*int8.*got 'int4'"):
        build("int4")
    with pytest.raises(InputError, match="min_score"):
        build(min_score=2)


def test_weights_are_stored_once_where_it_matters(model: onnx.ModelProto, tmp_path: Path) -> None:
    assert len(model.SerializeToString()) < 13e6

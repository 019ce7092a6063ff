"""Variants of the cascade's stages, on pictures as the stages see them."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from facegeom.models import weights
from facegeom_lab.quantization import cascade_variants
from facegeom_lab.quantization.zeros import pruned, without_smallest


@pytest.mark.parametrize(("network", "side"), [("rnet", 24), ("fpnet", 48)])
def test_windows_are_faces_first_and_then_others(training_pack, network: str, side: int) -> None:
    windows = cascade_variants.pictures(network, training_pack.data, "train", 6)
    assert windows.shape == (6, side, side, 3) and windows.dtype == np.uint8
    stage = onnxruntime.InferenceSession(weights.path(network))
    assert stage.run(["score"], {"pictures": windows})[0].shape == (6,)


def test_pyramids_of_scenes(training_pack) -> None:
    pieces = cascade_variants.pictures("pnet", training_pack.data, "train", 2)
    assert pieces.shape[1:] == (128, 128, 3) and pieces.std() > 5


def test_the_table_compares_with_the_float_network(training_pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cascade_variants, "SOURCES", ("helen",))
    monkeypatch.setattr(cascade_variants, "ROUNDS", 2)
    made = cascade_variants.made("fpnet", weights.path("fpnet").read_bytes(), training_pack.data)
    assert list(made) == ["float32", "int8", "fp16", "pruned30", "pruned50"]
    table = cascade_variants.compare("fpnet", made, training_pack.data)
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert rows["float32"]["rotation, °"] == pytest.approx(0, abs=0.01)
    assert rows["float32"]["told alike, %"] == 100
    assert 0 < rows["fp16"]["rotation, °"] < rows["pruned50"]["rotation, °"]
    assert rows["int8"]["MB"] < 0.4 * rows["float32"]["MB"]
    assert rows["pruned50"]["MB deflated"] < rows["pruned30"]["MB deflated"] < 0.8 * rows["float32"]["MB"]


def test_the_smallest_weights_become_zeros_and_biases_stay() -> None:
    content = weights.path("rnet").read_bytes()
    before, after = (
        {
            tensor.name: numpy_helper.to_array(tensor)
            for tensor in onnx.load_from_string(each).graph.initializer
        }
        for each in (content, without_smallest(content, 0.4))
    )
    for name, values in before.items():
        if values.ndim < 2:
            np.testing.assert_array_equal(after[name], values)
            continue
        gone = after[name] == 0
        assert gone.mean() == pytest.approx(0.4, abs=0.02)
        np.testing.assert_array_equal(after[name][~gone], values[~gone])
        assert np.abs(values[gone]).max() <= np.abs(values[~gone]).min()
    assert list(pruned(content)) == ["pruned30", "pruned50"]

"""Variants of the detectors, on input images of the detectors."""

import numpy as np
import onnxruntime
import pytest

from facegeom.models import weights
from facegeom_lab.quantization import detectors


@pytest.mark.parametrize(("network", "side"), [("rnet", 24), ("fpnet", 48)])
def test_windows_are_faces_first_and_then_others(training_pack, network: str, side: int) -> None:
    windows = detectors.stage_images(network, training_pack.data, "train", 6)
    assert windows.shape == (6, side, side, 3) and windows.dtype == np.uint8
    stage = onnxruntime.InferenceSession(weights.path(network))
    assert stage.run(["score"], {"pictures": windows})[0].shape == (6,)


def test_pyramids_of_scenes(training_pack) -> None:
    pieces = detectors.stage_images("pnet", training_pack.data, "train", 2)
    assert pieces.shape[1:] == (128, 128, 3) and pieces.std() > 5


@pytest.mark.slow
def test_the_table_compares_with_the_float_network(training_pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detectors, "SOURCES", ("helen",))
    monkeypatch.setattr(detectors, "STAGE_ROUNDS", 2)
    made = detectors.stage_variants("fpnet", weights.path("fpnet").read_bytes(), training_pack.data)
    assert list(made) == ["float32", "int8", "fp16", "pruned30", "pruned50"]
    table = detectors.compare_stage("fpnet", made, training_pack.data)
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert rows["float32"]["rotation, °"] == pytest.approx(0, abs=0.01)
    assert rows["float32"]["same decision, %"] == 100
    assert 0 < rows["fp16"]["rotation, °"] < rows["pruned50"]["rotation, °"]
    assert rows["int8"]["MB"] < 0.4 * rows["float32"]["MB"]
    assert rows["pruned50"]["MB deflated"] < rows["pruned30"]["MB deflated"] < 0.8 * rows["float32"]["MB"]

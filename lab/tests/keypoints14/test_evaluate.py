"""The measure of answers, the marks, the files of a run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom.image import reading
from facegeom_lab.evaluation.run import read_predictions
from facegeom_lab.keypoints14 import evaluate
from facegeom_lab.keypoints14.network import KeypointNet, TrainingCost, save_network


@pytest.mark.parametrize(
    ("error", "mark"), [(0, 10), (5, 10), (5.01, 9), (6, 9), (7.9, 8), (10, 7), (15, 4), (20, 2), (20.1, 0)]
)
def test_marks(error: float, mark: int) -> None:
    assert evaluate.mark(error) == mark


def test_error_of_pictures_scaled_to_100(faces: Any) -> None:
    """Two pixels off in x alone: the mean square of 200 / width, halved, over what is annotated."""
    answers = {name: np.nan_to_num(numbers) + np.tile([2, 0], 14) for name, numbers in faces.points.items()}
    widths = np.array([reading.read(faces.folder / name).shape[1] for name in faces.points])
    counts = np.array([np.isfinite(numbers).sum() for numbers in faces.points.values()])
    expected = ((200 / widths) ** 2 / 2 * counts).sum() / counts.sum()
    compared = evaluate.compare(answers, faces.points, faces.folder)
    assert evaluate.error_of(compared) == pytest.approx(expected)


def test_missing_answers(faces: Any) -> None:
    answers = {name: numbers for name, numbers in faces.points.items() if name > "01.png"}
    with pytest.raises(InputError, match=r"each of the 12 images .* 3 have none: 00\.png, 01\.png, 05\.png"):
        evaluate.compare(answers, faces.points, faces.folder)
    with pytest.raises(InputError, match="each of the 0 images"):
        evaluate.compare(answers, {}, faces.folder)


def test_files_of_a_run(faces: Any, tmp_path: Path) -> None:
    truth = {name: numbers for name, numbers in faces.points.items() if name != "05.png"}
    off = {name: numbers + 1 for name, numbers in truth.items()}
    model = tmp_path / "model.ckpt"
    save_network(model, KeypointNet(32).state_dict(), TrainingCost(7, 70, 1.5, 4.0))
    evaluate.write_run(tmp_path, "val", evaluate.compare(truth, truth, faces.folder), model)
    evaluate.write_run(tmp_path, "afw", evaluate.compare(off, truth, faces.folder))
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["recipe"] == "keypoints14" and result["error_100x100_val"] == 0
    assert result["error_100x100_afw"] > 1
    assert (result["epochs"], result["samples"], result["train_seconds"]) == (7, 70, 1.5)
    assert result["parameters"] > 1e6 and result["macs"] > 1e6 and result["cpu_ms"] > 0
    stored = read_predictions(tmp_path, "afw")
    assert stored.files.tolist() == list(truth) and stored.scheme == "facepoints14"
    np.testing.assert_allclose(stored.predicted - stored.truth, 1)

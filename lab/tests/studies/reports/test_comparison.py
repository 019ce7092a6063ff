"""Differences between runs: their intervals, and the sentences made of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom_lab.evaluation.run import Predictions, read_predictions, write_predictions
from facegeom_lab.studies.reports.comparison import (
    Difference,
    bootstrap_interval,
    difference,
    sentence,
)
from facegeom_lab.studies.reports.runs import Run, collect

WriteRuns = Callable[..., Path]
BASE, WORSE = "landmarks106-mobilenetv3-mse", "landmarks106-mobilenetv3-mse-not-pretrained"


def test_interval_of_equal_values_is_their_value() -> None:
    assert bootstrap_interval(np.full(9, 0.25)) == (0.25, 0.25)


def test_interval_is_that_of_the_normal_distribution_for_many_values() -> None:
    values = np.random.default_rng(3).normal(1.0, 2.0, 400)
    low, high = bootstrap_interval(values)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)
    assert bootstrap_interval(values) == (low, high)


@pytest.fixture
def pair(write_runs: WriteRuns, tmp_path: Path) -> tuple[Run, Run]:
    runs = collect([write_runs(tmp_path, BASE, WORSE)])
    return runs[WORSE], runs[BASE]


def test_difference_on_the_shared_faces(pair: tuple[Run, Run]) -> None:
    worse, base = pair
    stored = read_predictions(worse.folder, "test")
    order = np.arange(50)[::-1]  # fewer faces, in another order
    part = Predictions(
        *(getattr(stored, n)[order] for n in ("files", "predicted", "truth", "sizes_wh")), "ibug68"
    )
    write_predictions(worse.folder, "test", part)
    found = difference(worse, base)
    errors, others = worse.face_errors("interpupil"), base.face_errors("interpupil")
    assert found is not None and errors is not None and others is not None
    assert found.faces == 50
    assert found.change == pytest.approx(np.mean([errors[name] - others[name] for name in errors]))
    assert 0 < found.low < found.change < found.high
    assert found.significant


def test_no_predictions_and_no_common_faces(pair: tuple[Run, Run]) -> None:
    worse, base = pair
    stored = vars(read_predictions(worse.folder, "test"))
    write_predictions(
        worse.folder, "test", Predictions(**stored | {"files": np.char.add("x", stored["files"])})
    )
    with pytest.raises(InputError, match="have no test face in common"):
        difference(worse, base)
    (worse.folder / "errors_test.json").unlink()
    assert difference(worse, base) is None


@pytest.mark.parametrize(
    ("found", "published", "expected"),
    [
        (
            Difference(0.11, 0.1, 0.005, 0.015, 337),
            0.0093,
            "**x**: NME 0.1100 against 0.1000, +0.0100 (+10.0 %; 95 % interval +0.0050 to +0.0150, 337 "
            "faces). Published: +0.0093. The same direction.",
        ),
        (Difference(0.09, 0.1, -0.015, -0.005, 9), 0.01, "Published: +0.0100. **The opposite direction.**"),
        (
            Difference(0.101, 0.1, -0.001, 0.003, 9),
            0.01,
            "The same direction, but the interval holds 0: these faces do not settle it.",
        ),
        (Difference(0.099, 0.1, -0.003, 0.001, 9), 0.01, "The opposite direction, but the interval holds 0"),
        (Difference(0.09, 0.1, -0.015, -0.005, 9), None, "9 faces). Better."),
        (Difference(0.11, 0.1, 0.005, 0.015, 9), None, "9 faces). Worse."),
        (Difference(0.1, 0.1, -0.01, 0.01, 9), None, "The interval holds 0: these faces do not settle it."),
    ],
)
def test_sentences(found: Difference, published: float | None, expected: str) -> None:
    assert expected in sentence("x", found, published)

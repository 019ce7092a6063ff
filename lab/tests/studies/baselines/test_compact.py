"""Small trees: back bit for bit, far smaller, hardly worse; damaged files refused."""

from dataclasses import fields, replace
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom_lab.studies.baselines import compact, dlib_file
from facegeom_lab.studies.baselines.shape_predictor import ShapePredictor
from facegeom_lab.studies.baselines.trees import COMPACT, TREES, BoxedFaces


@pytest.fixture
def grown(run_folder: Path) -> ShapePredictor:
    return dlib_file.read(run_folder / TREES)


def same(first: object, second: object) -> bool:
    names = [field.name for field in fields(first)]  # type: ignore[arg-type]
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in names)


@pytest.mark.parametrize("leaf_unit", [1e-4, 2e-3, 0.3])
def test_back_bit_for_bit(grown: ShapePredictor, leaf_unit: float) -> None:
    small = compact.quantise(grown, leaf_unit)
    content = compact.encode(small)
    back = compact.decode(content)
    assert same(back, small) and same(back.predictor(), small.predictor())
    assert compact.encode(compact.decode(content)) == content


def test_a_coarser_step_is_smaller_and_less_exact(grown: ShapePredictor) -> None:
    units = (1e-4, 1e-3, 1e-2)
    small = [compact.quantise(grown, unit) for unit in units]
    sizes = [len(compact.encode(each)) for each in small]
    errors = [np.sqrt(np.mean((each.predictor().leaves - grown.leaves) ** 2)) for each in small]
    assert sizes[0] > sizes[1] > sizes[2]
    assert errors[0] < errors[1] < errors[2]
    assert all(error < unit for error, unit in zip(errors, units, strict=True))
    assert len(small[0].axes) > len(small[2].axes) >= 1


def test_everything_but_the_leaves_is_as_good_as_before(grown: ShapePredictor) -> None:
    found = compact.quantise(grown, 1e-3).predictor()
    np.testing.assert_array_equal(found.pixels, grown.pixels)
    np.testing.assert_array_equal(found.anchors, grown.anchors)
    np.testing.assert_allclose(found.initial, grown.initial, atol=compact.SHAPE_UNIT / 2 + 1e-7)
    np.testing.assert_allclose(found.deltas, grown.deltas, atol=compact.DELTA_UNIT / 2 + 1e-7)


def test_whole_thresholds_change_no_answer(grown: ShapePredictor, test_faces: BoxedFaces) -> None:
    whole = replace(grown, thresholds=compact.quantise(grown, 1e-3).predictor().thresholds)
    assert not np.array_equal(whole.thresholds, grown.thresholds)
    for record, box in zip(test_faces.records, test_faces.boxes_xyxy, strict=True):
        np.testing.assert_array_equal(whole.predict(record.read(), box), grown.predict(record.read(), box))


def test_answers_stay_within_a_fraction_of_a_pixel(grown: ShapePredictor, test_faces: BoxedFaces) -> None:
    small = compact.quantise(grown, 1e-4).predictor()
    moved = [
        small.predict(record.read(), box) - grown.predict(record.read(), box)
        for record, box in zip(test_faces.records, test_faces.boxes_xyxy, strict=True)
    ]
    assert np.abs(moved).mean() < 0.3


def test_the_file_is_far_smaller(run_folder: Path) -> None:
    assert (run_folder / COMPACT).stat().st_size < (run_folder / TREES).stat().st_size / 4


@pytest.mark.parametrize("leaf_unit", [0.0, -1.0, float("nan")])
def test_steps_that_are_none(grown: ShapePredictor, leaf_unit: float) -> None:
    with pytest.raises(InputError, match="expected a positive step of the leaves"):
        compact.quantise(grown, leaf_unit)


def test_damaged_files(run_folder: Path) -> None:
    content = (run_folder / COMPACT).read_bytes()
    flipped = bytearray(content)
    flipped[200] ^= 1
    for damaged in (content[:-1], content + b"\0", bytes(flipped), content[:11]):
        with pytest.raises(InputError, match=r"compact trees are damaged \(wrong checksum\)"):
            compact.decode(damaged)
    for other in (b"", b"\x89PNG", crc32(b"").to_bytes(4, "big")):
        with pytest.raises(InputError, match="expected compact trees, which begin with b'fgtrees1', got"):
            compact.decode(other)

"""Options of a search: defaults, ranges, replacing some of them."""

from math import inf
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from facegeom.cli.root import app
from facegeom.errors import InputError
from facegeom.options import (
    CLOSEST_FRACTION,
    CLOSEST_PX,
    MIN_FACE_FRACTION,
    MIN_FACE_PX,
    SearchOptions,
    check_number,
    check_places,
)


def test_defaults() -> None:
    options = SearchOptions()
    assert (options.min_face, options.max_faces, options.min_score, options.fov_deg) == (
        None,
        None,
        0.9,
        None,
    )
    assert options.face_size == (MIN_FACE_PX, MIN_FACE_FRACTION)
    assert options.closest_size == (CLOSEST_PX, CLOSEST_FRACTION)
    given = SearchOptions(min_face=30)
    assert given.face_size == given.closest_size == (30, 0)


def test_numbers_of_numpy_become_plain() -> None:
    options = SearchOptions(np.int64(40), np.int32(3), np.float32(0.5), np.float32(60))
    given = (options.min_face, options.max_faces, options.min_score, options.fov_deg)
    assert given == (40, 3, 0.5, 60) and [type(each) for each in given] == [float, int, float, float]
    assert type(options.face_size.px) is float


@pytest.mark.parametrize("side", [0.1, 1.0])
def test_the_least_box(side: float) -> None:
    boxes, _ = check_places([[100, 100, 100 + side, 100 + side]], None)
    assert boxes.dtype == np.float32 and boxes.shape == (1, 4)
    with pytest.raises(InputError, match=r"each box at least 0\.1 wide and high"):
        check_places([[100, 100, 100.09, 101]], None)


def test_changed_options() -> None:
    options = SearchOptions(min_face=30, max_faces=4)
    assert options.changed() is options and options.changed(min_face=None, fov_deg=None) is options
    other = options.changed(min_face=50, min_score=0)
    assert other == SearchOptions(50, 4, 0) and other.face_size.px == 50
    assert options == SearchOptions(30, 4)
    with pytest.raises(InputError, match="max_faces: expected a whole number from 1 to inf, got 0"):
        options.changed(max_faces=0)


@pytest.mark.parametrize(
    ("value", "integer", "good"),
    [
        (1, True, True),
        (True, True, False),
        (True, False, False),
        (5.0, False, True),
        (5, False, True),
        (5.5, True, False),
        (0.5, False, False),
        (11, False, False),
        (inf, False, False),
        (float("nan"), False, False),
        ("5", False, False),
        (None, False, False),
    ],
)
def test_check_number(value: object, integer: bool, good: bool) -> None:
    if good:
        check_number("size", value, 1, 10, integer)
        return
    kind = "a whole number" if integer else "a number"
    with pytest.raises(InputError, match=f"^size: expected {kind} from 1 to 10, got {value!r}$"):
        check_number("size", value, 1, 10, integer)


@pytest.mark.parametrize("fov_deg", [0, 0.9, 160.5, 170, 179.9, 180, float("nan")])
def test_an_angle_of_view_beyond_lenses_is_refused(fov_deg: float, tmp_path: Path) -> None:
    """By Python and by each command; the service's are among the tests of its options."""
    with pytest.raises(InputError, match="fov_deg: expected a number from 1 to 160, got"):
        SearchOptions(fov_deg=fov_deg)
    for command, *more in (["analyze"], ["batch"], ["detect", str(tmp_path)], ["video"]):
        arguments = [command, str(tmp_path / "a.jpg"), *more, "--fov", str(fov_deg)]
        arguments += [] if command == "detect" else ["-o", str(tmp_path)]
        refused = CliRunner().invoke(app, arguments)
        assert refused.exit_code == 2 and "--fov" in refused.output
        assert "160" in refused.output or fov_deg < 1


@pytest.mark.parametrize("fov_deg", [1, 160])
def test_the_ends_of_the_range_are_accepted(fov_deg: float) -> None:
    assert SearchOptions(fov_deg=fov_deg).fov_deg == fov_deg

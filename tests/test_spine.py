"""The way of one photo: few calls, few changes of file, and no step of reading twice."""

import sys
from collections import Counter
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

ONCE = ("image/decoding.py", "image/exif.py", "image/photo.py", "image/pyramid.py", "image/reading.py")
"""Modules whose functions run once for a photo."""

OFTEN = ("level", "part", "means", "in_photo", "_positive")
"""Their exceptions: cached levels and parts of them, the size of a face in pixels, one tag of EXIF."""


def _load_tool() -> ModuleType:
    path = Path(__file__).parent / "tools" / "trace_photo.py"
    spec = spec_from_file_location("trace_photo", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def trace() -> ModuleType:
    return _load_tool()


@pytest.fixture(scope="module")
def calls(trace: ModuleType) -> list[tuple[str, str]]:
    """Return file and name of each call for the packaged portrait."""
    return [(call.file, call.name.rpartition(".")[2]) for call in trace.calls_of(trace.PORTRAIT)]


def test_calls_and_changes_of_file_are_few(trace: ModuleType, calls: list[tuple[str, str]]) -> None:
    changes = trace.changes_of_file([trace.Call(*call) for call in calls])
    assert len(calls) <= 155 and changes <= 70


def test_a_photo_is_read_once(calls: list[tuple[str, str]]) -> None:
    counts = Counter(call for call in calls if call[0] in ONCE and call[1] not in OFTEN)
    assert counts[("image/photo.py", "open_photo")] == counts[("image/reading.py", "decode")] == 1
    assert not {call: count for call, count in counts.items() if count > 1}


def test_crops_are_cut_once_for_each_run_of_the_face_network(calls: list[tuple[str, str]]) -> None:
    """It runs on the best candidates, and again on those that no face explains."""
    counts = Counter(calls)
    runs = counts[("models/face.py", "__call__")]
    assert 1 <= runs <= 2
    for name in ("crop_squares", "_inside"):
        assert counts[("image/crop.py", name)] == runs

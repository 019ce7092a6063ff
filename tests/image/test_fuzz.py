"""Damaged files of every kind: a result or an error of facegeom, in finite time and memory.

``make fuzz`` runs longer than these tests do. What it has found lies in ``tests/corpus``, one file for each
find, whose name begins with the reader.
"""

import os
from pathlib import Path

import fuzz
import pytest
from damage import mutations, parts_of, photos, videos

from facegeom.image import reading

CORPUS = sorted((Path(__file__).parents[1] / "corpus").iterdir())
FEW = {"photo": 320, "video": 60, "json": 60, "weights": 40}


def test_samples_are_read() -> None:
    for name, data in photos().items():
        assert reading.read(data).shape[2] == 3, name
    for name, data in videos().items():
        assert fuzz.outcome_of("video", data, 0) == "read", name


def test_units_cover_the_samples() -> None:
    """Structure is found in each kind, so that its units can be damaged."""
    for name, data in (photos() | videos()).items():
        parts = parts_of(data)
        assert parts and all(0 <= start < end <= len(data) for start, end in parts), name


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_damaged_files_give_a_result_or_an_error_of_facegeom(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_PIXELS", fuzz.MAX_PIXELS)
    stream = zip(range(FEW[target]), mutations(fuzz.samples(target), 0), strict=False)
    outcomes = [fuzz.outcome_of(target, data, number) for number, (_, data) in stream]
    assert [each for each in outcomes if each.startswith("FIND")] == []
    if target == "photo":
        assert min(map(outcomes.count, ("read", "ImageError"))) > FEW[target] / 8


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_finds_stay_mended(path: Path) -> None:
    outcome = fuzz.outcome_of(path.name.partition("-")[0], path.read_bytes(), 0)
    assert not outcome.startswith("FIND"), outcome


def test_a_find_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that ends its process; the inputs after it are read."""

    def read(data: bytes, number: int) -> None:
        if number == 3:
            raise KeyError("x")
        if number == 5:
            os._exit(7)

    monkeypatch.setitem(fuzz.TARGETS, "test", (lambda: {"a": b"content" * 9}, read, 1.0))
    outcomes = [outcome for outcome, _, _ in fuzz.run("test", 8, 0)]
    assert (
        outcomes
        == ["read"] * 3 + ["FIND raised KeyError: 'x'", "read", "FIND ended its process (7)"] + ["read"] * 2
    )

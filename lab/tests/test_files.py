"""Files of the laboratory appear whole or not at all."""

import os
from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import OutputError
from facegeom_lab.files import save_npz


def test_round_trip_makes_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "labels.npz"
    save_npz(path, points=np.arange(6.0).reshape(2, 3), names=np.array(["a", "b"]))
    with np.load(path) as arrays:
        assert sorted(arrays.files) == ["names", "points"]
        np.testing.assert_array_equal(arrays["points"], [[0, 1, 2], [3, 4, 5]])
        assert arrays["names"].tolist() == ["a", "b"]


def test_replaces_an_older_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    for value in (1, 2):
        save_npz(path, value=np.array(value))
    with np.load(path) as arrays:
        assert arrays["value"] == 2
    assert [file.name for file in tmp_path.iterdir()] == ["a.npz"]


def test_failure_keeps_the_older_file_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npz"
    save_npz(path, value=np.array(1))

    def fail(*args: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OutputError, match="disk full"):
        save_npz(path, value=np.array(2))
    monkeypatch.undo()
    with np.load(path) as arrays:
        assert arrays["value"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["a.npz"]

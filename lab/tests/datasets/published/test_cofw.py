"""COFW as MATLAB 7.3 writes it: arrays turned, photos behind references."""

import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom_lab.datasets.published import cofw

COLOUR = np.arange(10 * 12 * 3, dtype=np.uint8).reshape(10, 12, 3)
GREY = np.arange(10 * 14, dtype=np.uint8).reshape(10, 14)


def shapes(count: int) -> np.ndarray:
    """(N, 87): x from 1, y from 101, the last point of each face covered."""
    rows = np.concatenate([np.arange(1.0, 30), np.arange(101.0, 130), np.zeros(29)])
    rows[-1] = 1
    return np.tile(rows, (count, 1))


def write(path: Path, suffix: str, pictures: list[np.ndarray], **changes: np.ndarray | None) -> None:
    """Write a file in HDF5, where MATLAB's arrays are transposed and its cells are references."""
    count = len(pictures)
    arrays = {f"phis{suffix}": shapes(count), f"bboxes{suffix}": np.tile([3.0, 4, 20, 30], (count, 1))}
    with h5py.File(path, "w") as file:
        cells = [file.create_dataset(f"#refs#/{index}", data=p.T) for index, p in enumerate(pictures)]
        references = np.array([[cell.ref for cell in cells]], dtype=h5py.ref_dtype)
        file.create_dataset(f"Is{suffix}", data=references)
        for name, array in {**arrays, **changes}.items():
            if array is not None:
                file.create_dataset(name, data=array.T)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(tmp_path / "COFW_train_color.mat", "Tr", [COLOUR, GREY])
    write(tmp_path / "COFW_test_color.mat", "T", [GREY, COLOUR, COLOUR])
    monkeypatch.setattr(cofw, "LFPW_FACES", 1)
    return tmp_path


def test_all_faces(root: Path, check_records: Callable[..., None]) -> None:
    records = cofw.records(root)
    check_records(records, "cofw29")
    assert [(record.name, record.split, record.source) for record in records] == [
        ("COFW_train_color.mat/0", "train", "lfpw"),
        ("COFW_train_color.mat/1", "train", "cofw"),
        ("COFW_test_color.mat/0", "test", "cofw"),
        ("COFW_test_color.mat/1", "test", "cofw"),
        ("COFW_test_color.mat/2", "test", "cofw"),
    ]


def test_labels_are_counted_from_0(root: Path) -> None:
    record = cofw.records(root, "train")[0]
    np.testing.assert_array_equal(record.points, np.column_stack([np.arange(29), np.arange(100, 129)]))
    np.testing.assert_array_equal(record.box_xyxy, [2, 3, 22, 33])
    assert np.flatnonzero(~record.visible).tolist() == [28]


def test_pictures_are_upright_rgb(root: Path) -> None:
    colour, grey = (pickle.loads(pickle.dumps(record.read))() for record in cofw.records(root, "train"))
    np.testing.assert_array_equal(colour, COLOUR)
    np.testing.assert_array_equal(grey, np.repeat(GREY[..., None], 3, axis=2))


def test_the_archive_s_own_folder(root: Path) -> None:
    (root / "COFW_color").mkdir()
    (root / "COFW_test_color.mat").rename(root / "COFW_color" / "COFW_test_color.mat")
    assert len(cofw.records(root, "test")) == 3


def test_a_missing_file_is_named(root: Path) -> None:
    (root / "COFW_test_color.mat").unlink()
    with pytest.raises(InputError, match=r"expected 'COFW_test_color.mat' of COFW .* at .*data.caltech.edu"):
        cofw.records(root)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"phisTr": None}, "expected IsTr, phisTr and bboxesTr"),
        ({"phisTr": shapes(3)}, "expected 2 x 87 and 2 x 4 numbers"),
        ({"phisTr": shapes(2)[:, :58]}, "expected 2 x 87 and 2 x 4 numbers"),
    ],
)
def test_a_damaged_file_is_named(root: Path, changes: dict[str, np.ndarray | None], message: str) -> None:
    write(root / "COFW_train_color.mat", "Tr", [COLOUR, GREY], **changes)
    with pytest.raises(InputError, match=rf"COFW_train_color.mat: {message}"):
        cofw.records(root)


def test_a_file_that_is_not_hdf5(root: Path) -> None:
    (root / "COFW_train_color.mat").write_bytes(b"MATLAB 5.0")
    with pytest.raises(InputError, match="expected IsTr, phisTr and bboxesTr"):
        cofw.records(root)


def test_damaged_files(root: Path, check_damaged: Callable[[str, Path], None]) -> None:
    check_damaged("cofw", root)

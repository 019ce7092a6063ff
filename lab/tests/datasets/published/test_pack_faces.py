"""The data pack's faces as records."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom_lab.datasets.published import pack_faces

TABLE = """\
file,source,split,size_px,landmarks,origin,person
helen/1.jpg,helen,train,12,68,1.jpg,helen:1
lfpw/2.jpg,lfpw,val,12,68,2.jpg,lfpw:2
afw/3.jpg,afw,test,12,68,3.jpg,afw:3
ytf/4.jpg,ytf,train,12,68,4.jpg,ytf:4
masks/5.jpg,masks,train,12,,5.jpg,masks:5
masks/6.jpg,masks,train,12,,6.jpg,masks:6
"""
FILES = ["helen/1.jpg", "lfpw/2.jpg", "afw/3.jpg", "ytf/4.jpg", "masks/5.jpg", "masks/6.jpg"]


@pytest.fixture
def data(tmp_path: Path, write_photo: Callable[..., Path]) -> Path:
    for file in FILES:
        write_photo(f"faces/{file}")
    (tmp_path / "faces" / "faces.csv").write_text(TABLE)
    points = np.arange(4 * 136.0).reshape(4, 68, 2)
    np.savez(tmp_path / "faces" / "landmarks68.npz", files=FILES[:4], points_xy=points)
    return tmp_path


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    keep = np.array([True, False, True, True, True, False])
    mesh = np.arange(6.0)[:, None, None] + np.zeros((6, 478, 3))
    np.savez(tmp_path / "labels.npz", files=FILES, keep=keep, mesh=mesh)
    return tmp_path / "labels.npz"


def test_points_of_people(data: Path, check_records: Callable[..., None]) -> None:
    records = pack_faces.records(data)
    check_records(records, "ibug68")
    assert [(record.name, record.split, record.source) for record in records] == [
        ("faces/helen/1.jpg", "train", "helen"),
        ("faces/lfpw/2.jpg", "val", "lfpw"),
        ("faces/afw/3.jpg", "test", "afw"),
    ]
    np.testing.assert_array_equal(records[1].points, np.arange(136, 272).reshape(68, 2))


def test_split_and_sources(data: Path) -> None:
    assert [record.name for record in pack_faces.records(data, "test")] == ["faces/afw/3.jpg"]
    names = [record.name for record in pack_faces.records(data, "train", sources=["ytf", "masks"])]
    assert names == ["faces/ytf/4.jpg"]  # a picture without points is no labelled face


def test_meshes_of_the_teacher(data: Path, labels: Path, check_records: Callable[..., None]) -> None:
    records = pack_faces.records(data, sources=["helen", "lfpw", "masks"], labels=labels)
    check_records(records, "ibug68")
    meshes = [None if record.mesh is None else record.mesh[0, 0] for record in records]
    assert meshes == [0, None, 4]
    assert [record.points is None for record in records] == [False, False, True]


def test_an_unknown_source(data: Path) -> None:
    with pytest.raises(InputError, match=r"expected sources of the data pack \(afw, .*ytf\), got cat"):
        pack_faces.records(data, sources=["helen", "cat"])


@pytest.mark.parametrize("missing", ["faces.csv", "landmarks68.npz"])
def test_a_missing_part_is_named(data: Path, missing: str) -> None:
    (data / "faces" / missing).unlink()
    with pytest.raises(InputError, match=missing):
        pack_faces.records(data)


def test_missing_labels_are_named(data: Path) -> None:
    with pytest.raises(InputError, match="facegeom lab label"):
        pack_faces.records(data, labels=data / "none.npz")

"""The task's folders out of a small data pack."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom.image import reading
from facegeom_lab.datasets.schemes import facepoints14_from_68
from facegeom_lab.keypoints14.data import GT, read_table
from facegeom_lab.keypoints14.prepare import CROP_SCALE, prepare, tight_crop


@pytest.fixture(scope="module")
def prepared(training_pack: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    out = tmp_path_factory.mktemp("prepared")
    return out, prepare(training_pack.data, out, training_pack.labels)


def test_counts(prepared: tuple[Path, dict[str, int]]) -> None:
    """Eight of HELEN and two masked ones; the video frame's mesh is in doubt; no AFW in this pack."""
    out, counts = prepared
    assert counts == {"train": 10, "val": 4, "afw": 0}
    for name, count in counts.items():
        table = read_table(out / name / GT)
        images = out / name / "images"
        assert len(table) == count
        assert set(table) == ({path.name for path in images.iterdir()} if count else set())


def test_crops_are_tight(prepared: tuple[Path, dict[str, int]]) -> None:
    off = []
    for folder in ("train", "val"):
        for name, numbers in read_table(prepared[0] / folder / GT).items():
            height, width = reading.read(prepared[0] / folder / "images" / name).shape[:2]
            points = numbers.reshape(14, 2)
            extent = np.ptp(points, axis=0)
            np.testing.assert_allclose((width, height), CROP_SCALE * extent, atol=0.51)
            middle = (points.min(axis=0) + points.max(axis=0)) / 2
            off.append(middle - ((width - 1) / 2, (height - 1) / 2))
    assert np.abs(off).max() < 0.76 and np.abs(np.mean(off, axis=0)).max() < 0.25  # no side is preferred


def test_looser_and_shifted_crops(prepared: tuple[Path, dict[str, int]]) -> None:
    """The same faces in crops of 1.5 times the sides, and in crops beside the face."""
    exact, loose, shifted = (
        read_table(prepared[0] / name / GT) for name in ("val", "val-loose15", "val-shifted")
    )
    for name, numbers in exact.items():
        sizes = [
            reading.read(prepared[0] / folder / "images" / name).shape[1::-1]
            for folder in ("val", "val-loose15")
        ]
        np.testing.assert_allclose(sizes[1], 1.5 * np.array(sizes[0]), atol=1.1)
        points, wide, moved = (each.reshape(14, 2) for each in (numbers, loose[name], shifted[name]))
        np.testing.assert_allclose(np.ptp(wide, axis=0), np.ptp(points, axis=0), atol=1e-2)
        np.testing.assert_allclose(moved - points, np.tile(-0.05 * np.array(sizes[0]), (14, 1)), atol=1.1)


def test_points_of_people_go_before_those_of_the_mesh(
    prepared: tuple[Path, dict[str, int]], training_pack: Any
) -> None:
    """In the pack people see the points one pixel beside those of the mesh; crops keep the pixels."""
    for name, shift in {"1.png": 1, "8.png": 0}.items():
        whole = reading.read(training_pack.data / "faces" / name)
        crop = reading.read(prepared[0] / "train" / "images" / name)
        moved = read_table(prepared[0] / "train" / GT)[name].reshape(14, 2)
        points = facepoints14_from_68(training_pack.heads[int(name[0])].landmarks) + shift
        left, top = np.rint(points[0] - moved[0]).astype(int)
        np.testing.assert_allclose(points - moved, np.tile([left, top], (14, 1)), atol=1e-3)
        np.testing.assert_array_equal(crop, whole[top : top + len(crop), left : left + crop.shape[1]])


def test_without_mesh_labels(training_pack: Any, tmp_path: Path) -> None:
    assert prepare(training_pack.data, tmp_path) == {"train": 8, "val": 4, "afw": 0}


def test_outside_the_photo_its_edge_goes_on() -> None:
    picture = np.zeros((20, 20, 4), np.uint8)
    picture[4:16, 6:, :3] = np.arange(14)[:, None] + np.array([10, 40, 80])
    picture[4:16, 6:, 3] = 255
    crop, points = tight_crop(picture, np.array([[5.3, 8.3], [15.3, 18.3]]))
    assert crop.shape == (12, 12, 3)
    np.testing.assert_allclose(points, [[0.3, 0.3], [10.3, 10.3]])
    np.testing.assert_array_equal(crop[..., 0], np.tile(np.clip(np.arange(5, 17), 6, 19) - 6 + 10, (12, 1)))


def test_names_of_folders_are_kept(training_pack: Any, tmp_path: Path) -> None:
    """helen/1.jpg and lfpw/1.jpg must not become one file."""
    faces = tmp_path / "data" / "faces"
    (faces / "helen").mkdir(parents=True)
    (faces / "afw").mkdir()
    for place in ("helen/1.png", "afw/1.png"):
        cv2.imwrite(str(faces / place), cv2.imread(str(training_pack.data / "faces" / "1.png")))
    head = "file,source,split,size_px,landmarks,origin,person\n"
    rows = "helen/1.png,helen,train,160,68,o,p\nafw/1.png,afw,test,160,68,o,q\n"
    (faces / "faces.csv").write_text(head + rows)
    points = training_pack.heads[1].landmarks
    np.savez(faces / "landmarks68.npz", files=["helen/1.png", "afw/1.png"], points_xy=[points, points])
    assert prepare(tmp_path / "data", tmp_path / "out") == {"train": 1, "val": 0, "afw": 1}
    assert list(read_table(tmp_path / "out" / "train" / GT)) == ["helen_1.png"]
    assert list(read_table(tmp_path / "out" / "afw" / GT)) == ["afw_1.png"]


def test_every_third_frame_of_the_videos(training_pack: Any, tmp_path: Path) -> None:
    faces = tmp_path / "data" / "faces"
    faces.mkdir(parents=True)
    names = [f"{index}.png" for index in range(10)]
    for name in names:
        cv2.imwrite(str(faces / name), cv2.imread(str(training_pack.data / "faces" / name)))
    rows = [f"{name},{'helen' if name < '3' else 'ytf'},train,160,68,o,p" for name in names]
    (faces / "faces.csv").write_text("\n".join(["file,source,split,size_px,landmarks,origin,person", *rows]))
    points = [head.landmarks for head in training_pack.heads[:10]]
    np.savez(faces / "landmarks68.npz", files=names, points_xy=points)
    assert prepare(tmp_path / "data", tmp_path / "out")["train"] == 6
    table = read_table(tmp_path / "out" / "train" / GT)
    assert list(table) == ["0.png", "1.png", "2.png", "3.png", "6.png", "9.png"]


def test_missing_data(training_pack: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"faces\.csv"):
        prepare(tmp_path, tmp_path / "out")
    with pytest.raises(InputError, match=r"expected mesh labels at .*none\.npz"):
        prepare(training_pack.data, tmp_path / "out", tmp_path / "none.npz")
    assert not (tmp_path / "out").exists()

"""Texas 3DFRD, EURECOM, Superface and BIWI's depth in their layouts: values, splits, damage."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegeom.errors import InputError
from facegeom_lab.datasets import registry
from facegeom_lab.datasets.published import biwi, eurecom, superface, texas3dfrd

WritePhoto = Callable[..., Path]

STRAIGHT = "500 0 {x}\n0 500 {y}\n0 0 1\n\n0 0 0 0 0\n\n1 0 0\n0 1 0\n0 0 1\n\n0 0 {z}\n\n8 6\n"
POSE = "1 0 0\n0 1 0\n0 0 1\n\n0 0 900\n"


@pytest.fixture
def texas_root(tmp_path: Path, write_photo: WritePhoto) -> Path:
    grey = np.zeros((10, 12), np.uint8)
    grey[2, 3], grey[4, 5] = 255, 155
    for person in range(1, 31):
        name = f"PreprocessedImages/Clean_{person:04d}_001_20050912120022"
        write_photo(f"{name}_Portrait.png")
        Image.fromarray(grey).save(tmp_path / f"{name}_Range.png")
    return tmp_path


def test_texas(texas_root: Path, check_records: Callable[..., None]) -> None:
    records = registry.load("texas3dfrd", texas_root)
    check_records(records, "ibug68")
    assert len(records) == 30 and {record.split for record in records} == {"train", "val", "test"}
    assert records[0].depth is not None
    depth = records[0].depth()
    assert depth[2, 3] == pytest.approx(0.32) and depth[4, 5] == pytest.approx(101 * 0.32)
    assert (depth > 0).sum() == 2


def test_texas_without_a_range_picture(texas_root: Path) -> None:
    (texas_root / "PreprocessedImages/Clean_0003_001_20050912120022_Range.png").unlink()
    with pytest.raises(InputError, match=r"Clean_0003_001_20050912120022_Range.png"):
        texas3dfrd.records(texas_root)


def test_texas_damaged(texas_root: Path) -> None:
    file = texas_root / "PreprocessedImages/Clean_0001_001_20050912120022_Range.png"
    file.write_bytes(b"no picture")
    with pytest.raises(InputError, match="expected a grey image"):
        texas3dfrd.read_range(file)


@pytest.fixture
def eurecom_root(tmp_path: Path, write_photo: WritePhoto) -> Path:
    for session in ("s1", "s2"):
        place = f"EURECOM_Kinect_Face_Dataset/0001/{session}"
        write_photo(f"{place}/RGB/rgb_0001_{session}_Smile.bmp")
        text = tmp_path / place / "Depth" / "DepthKinect" / f"depth_0001_{session}_Smile.txt"
        text.parent.mkdir(parents=True)
        text.write_text("192 74 700\n193 74 0\n200 80 812\n447 329 650\n")
    return tmp_path


def test_eurecom(eurecom_root: Path, check_records: Callable[..., None]) -> None:
    records = registry.load("eurecom", eurecom_root)
    check_records(records, "ibug68")
    assert [record.name for record in registry.load("eurecom", eurecom_root, "test")] == [
        "0001/s2/RGB/rgb_0001_s2_Smile.bmp"
    ]
    assert records[0].depth is not None
    depth = records[0].depth()
    assert depth.shape == (256, 256)
    assert (depth[0, 0], depth[0, 1], depth[6, 8], depth[255, 255]) == (700, 0, 812, 650)


@pytest.mark.parametrize("content", ["", "1 2\n3 4\n", "a b c\n", "0 0 1\n999 0 1\n"])
def test_eurecom_damaged(tmp_path: Path, content: str) -> None:
    (tmp_path / "depth.txt").write_text(content)
    with pytest.raises(InputError, match=r"depth.txt: expected"):
        eurecom.read_depth(tmp_path / "depth.txt")


@pytest.fixture
def superface_root(tmp_path: Path, write_photo: WritePhoto) -> Path:
    depth = np.arange(120, dtype="<f4").reshape(10, 12)
    for number in (1, 2, 4):
        write_photo(f"subject001/rgbFrame/frameRGB{number}.png")
    folder = tmp_path / "subject001" / "depthFrame"
    folder.mkdir()
    (folder / "frameD1.depth").write_bytes(b"PHDE" + np.array([12, 10], "<i4").tobytes() + depth.tobytes())
    Image.fromarray(depth.astype(np.uint16)).save(folder / "frameD4.png")
    return tmp_path


def test_superface(superface_root: Path, check_records: Callable[..., None]) -> None:
    records = registry.load("superface", superface_root)
    check_records(records, "ibug68")
    assert [Path(record.name).stem for record in records] == ["frameRGB1", "frameRGB4"]  # 2 has no depth
    for record in records:
        assert record.depth is not None
        np.testing.assert_array_equal(record.depth(), np.arange(120).reshape(10, 12))


@pytest.mark.parametrize("content", [b"", b"PNGX" + bytes(20), b"PHDE" + np.array([9, 9], "<i4").tobytes()])
def test_superface_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "frameD1.depth").write_bytes(content)
    with pytest.raises(InputError, match=r"frameD1.depth: expected"):
        superface.read_depth(tmp_path / "frameD1.depth")


def compressed(depth: np.ndarray) -> bytes:
    """BIWI's runs: unknown, known, values."""
    flat, content, place = depth.ravel(), b"", 0
    while place < len(flat):
        first = place
        while place < len(flat) and flat[place] == 0:
            place += 1
        start = place
        while place < len(flat) and flat[place] > 0:
            place += 1
        content += np.array([start - first, place - start], "<i4").tobytes()
        content += flat[start:place].astype("<i2").tobytes()
    return np.array(depth.shape[::-1], "<i4").tobytes() + content


@pytest.fixture
def frame(tmp_path: Path) -> Path:
    """Write a depth file of 8 x 6 pixels and its calibration; the colour camera stands 100 mm back."""
    depth = np.zeros((6, 8), np.int16)
    depth[2, 3:6], depth[5, 7] = (900, 910, 920), 800
    (tmp_path / "frame_00003_depth.bin").write_bytes(compressed(depth))
    (tmp_path / "depth.cal").write_text(STRAIGHT.format(x=4, y=3, z=0))
    (tmp_path / "rgb.cal").write_text(STRAIGHT.format(x=4, y=3, z=100))
    (tmp_path / "frame_00003_pose.txt").write_text(POSE)
    return tmp_path / "frame_00003_depth.bin"


def test_biwi_depth(frame: Path) -> None:
    depth = biwi.read_depth(frame)
    assert (
        depth.shape == (6, 8) and depth[2].tolist() == [0, 0, 0, 900, 910, 920, 0, 0] and depth[5, 7] == 800
    )


def test_biwi_depth_as_the_colour_camera_sees_it(frame: Path) -> None:
    camera = biwi.read_calibration(frame.with_name("rgb.cal"))
    depth = biwi.colour_depth(frame, camera)
    # one pixel aside at 900 mm is 1.8 mm, which is 0.9 pixels at 1000 mm
    assert depth[2].tolist() == [0, 0, 0, 1000, 1010, 1020, 0, 0]


@pytest.mark.parametrize("length", [4, 12, 30])
def test_biwi_depth_cut_short(frame: Path, length: int) -> None:
    frame.write_bytes(frame.read_bytes()[:length])
    with pytest.raises(InputError, match=r"frame_00003_depth.bin: expected"):
        biwi.read_depth(frame)


def test_damaged_files_of_texas3dfrd(texas_root: Path, check_damaged: Callable[[str, Path], None]) -> None:
    check_damaged("texas3dfrd", texas_root)


def test_damaged_files_of_eurecom(eurecom_root: Path, check_damaged: Callable[[str, Path], None]) -> None:
    check_damaged("eurecom", eurecom_root)


def test_damaged_files_of_superface(superface_root: Path, check_damaged: Callable[[str, Path], None]) -> None:
    check_damaged("superface", superface_root)

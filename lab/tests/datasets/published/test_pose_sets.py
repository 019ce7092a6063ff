"""AFLW2000-3D, 300W-LP, BIWI in their layouts: rotations by worked numbers, points counted from 0, splits."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from facegeom.errors import InputError
from facegeom.geometry.rotation import angles_from_rotation, geodesic_deg, rotation_from_angles
from facegeom_lab.datasets import registry
from facegeom_lab.datasets.published import aflw2000, biwi, w300lp

POINTS = np.arange(136.0).reshape(68, 2) / 2 + 1
POSE_PARA = np.deg2rad([[15.40032, -16.284296, -18.984054, 0, 0, 0, 0]])  # yaw 20, pitch 10, roll -15 of ours
ROTATION = rotation_from_angles(20, 10, -15)

VIEWS = (
    *("AFW/AFW_134212_1_0", "AFW/AFW_134212_1_13", "AFW_Flip/AFW_134212_1_13"),
    *("HELEN/HELEN_100032540_1_2", "HELEN_Flip/HELEN_100032540_1_2"),
    *("IBUG/IBUG_image_003_1_0", "IBUG_Flip/IBUG_image_003_1_0"),
    *("LFPW/LFPW_image_test_0001_7", "LFPW_Flip/LFPW_image_test_0001_7"),
)

CALIBRATION = """517.679 0 320
0 517.679 240.5
0 0 1

0 0 0 0 0

0.999947 0.00432361 0.00929419
-0.00446314 0.999877 0.0150443
-0.009228 -0.015085 0.999844

-24.0198 5.8896 -13.2308

640 480
"""
POSE = """0.980639 0.109899 0.162077
-0.11023 0.993882 -0.00697376
-0.161851 -0.011027 0.986754

43.4019 -30.7038 906.864
"""


def write_3ddfa(photo: Path, **changes: np.ndarray) -> None:
    """Write the labels of a photo as the authors of 300W-LP do."""
    solid = np.vstack([POINTS.T, np.full(68, 7.0)])
    content = {"Pose_Para": POSE_PARA, "pt2d": POINTS.T, "pt3d_68": solid, "Shape_Para": np.zeros((199, 1))}
    savemat(photo.with_suffix(".mat"), content | changes)


@pytest.fixture
def aflw2000_root(tmp_path: Path, write_photo: Callable[..., Path]) -> Path:
    for number in (2, 4):
        photo = write_photo(f"AFLW2000/image{number:05d}.jpg")
        write_3ddfa(photo, pt2d=np.full((2, 21), -1.0))
    (tmp_path / "AFLW2000" / "Code").mkdir()
    return tmp_path


@pytest.fixture
def w300lp_root(tmp_path: Path, write_photo: Callable[..., Path]) -> Path:
    for view in VIEWS:
        write_3ddfa(write_photo(f"300W_LP/{view}.jpg"))
    return tmp_path


@pytest.fixture
def biwi_root(tmp_path: Path, write_photo: Callable[..., Path]) -> Path:
    for number in range(1, 25):
        place = f"hpdb/{number:02d}"
        write_photo(f"{place}/frame_00003_rgb.png")
        (tmp_path / place / "frame_00003_pose.txt").write_text(POSE)
        (tmp_path / place / "rgb.cal").write_text(CALIBRATION)
    return tmp_path


def test_aflw2000(aflw2000_root: Path, check_records: Callable[..., None]) -> None:
    records = registry.load("aflw2000", aflw2000_root, "test")
    check_records(records, "ibug68")
    assert [record.name for record in records] == ["image00002.jpg", "image00004.jpg"]
    np.testing.assert_allclose(records[0].points, POINTS - 1)
    assert geodesic_deg(records[0].rotation, ROTATION) < 1e-3


def test_aflw2000_may_be_given_itself(aflw2000_root: Path) -> None:
    assert len(aflw2000.records(aflw2000_root / "AFLW2000")) == 2


def test_300w_lp(w300lp_root: Path, check_records: Callable[..., None]) -> None:
    records = registry.load("300w-lp", w300lp_root)
    check_records(records, "ibug68")
    assert [record.name for record in records] == sorted(f"{view}.jpg" for view in VIEWS)
    assert {record.source for record in records} == {"afw", "helen", "ibug", "lfpw"}
    np.testing.assert_allclose(records[0].points, POINTS - 1)
    assert geodesic_deg(records[0].rotation, ROTATION) < 1e-3


def test_300w_lp_keeps_the_views_of_a_face_together() -> None:
    faces = [f"HELEN_{number}_1" for number in range(100)]
    for face in faces:
        first, _, _ = names = (f"{face}_0", f"{face}_13", face.replace("HELEN", "HELEN_Flip") + "_2")
        assert {w300lp.split_of(name) for name in names} == {w300lp.split_of(first)}
    parts = [w300lp.split_of(f"{face}_0") for face in faces]
    assert 3 <= parts.count("val") <= 20


def test_300w_lp_splits_are_disjoint_and_complete(w300lp_root: Path) -> None:
    train, val = (registry.load("300w-lp", w300lp_root, split) for split in ("train", "val"))
    names = [record.name for record in [*train, *val]]
    assert len(set(names)) == len(names) == len(VIEWS)
    assert {record.split for record in train} <= {"train"} and {record.split for record in val} <= {"val"}


def test_biwi(biwi_root: Path, check_records: Callable[..., None]) -> None:
    records = registry.load("biwi", biwi_root, "test")
    check_records(records, "ibug68")
    assert len(records) == 24 and len({record.source for record in records}) == 20
    first = records[0]
    assert first.name == "01/frame_00003_rgb.png" and first.source == "F01"
    np.testing.assert_allclose(angles_from_rotation(first.rotation), (-9.314, 0.640, -6.414), atol=0.001)


def test_biwi_box_is_where_the_colour_camera_sees_the_head(biwi_root: Path) -> None:
    camera = biwi.read_calibration(biwi_root / "hpdb" / "01" / "rgb.cal")
    assert camera.fov_deg == pytest.approx(63.444, abs=0.001) and camera.size_wh == (640, 480)
    box = biwi.records(biwi_root)[0].box_xyxy
    # (43.40, -30.70, 906.86) mm turned and moved: (27.68, -11.36, 893.55); 517.679 px a unit
    np.testing.assert_allclose((box[:2] + box[2:]) / 2, (336.03, 233.92), atol=0.02)
    np.testing.assert_allclose(box[2:] - box[:2], 200 / 893.55 * 517.679, atol=0.02)


@pytest.mark.parametrize(
    ("missing", "name", "message"),
    [
        (
            "AFLW2000/image00004.jpg",
            "aflw2000",
            r"expected 'image00004.jpg' of AFLW2000-3D at .*cbsr\.ia\.ac",
        ),
        ("300W_LP/IBUG_Flip", "300w-lp", r"expected 'IBUG_Flip' of 300W-LP at .*cbsr\.ia\.ac"),
        ("hpdb/07/rgb.cal", "biwi", r"expected 'rgb.cal' of BIWI .* at .*hpdb/07/rgb.cal.*icu\.ee\.ethz"),
        ("hpdb/02/frame_00003_rgb.png", "biwi", r"expected 'frame_00003_rgb.png' of BIWI"),
        ("hpdb/02/frame_00003_pose.txt", "biwi", r"02: expected a pose.txt file for each frame, got none"),
        ("hpdb/24", "biwi", r"expected '24' of BIWI"),
    ],
)
def test_a_missing_part_is_named(
    aflw2000_root: Path, w300lp_root: Path, biwi_root: Path, missing: str, name: str, message: str
) -> None:
    (biwi_root / missing).rename(biwi_root / "elsewhere")
    with pytest.raises(InputError, match=message):
        registry.load(name, biwi_root)


def test_a_collection_without_labels_is_named(w300lp_root: Path) -> None:
    (w300lp_root / "300W_LP/IBUG/IBUG_image_003_1_0.mat").unlink()
    with pytest.raises(InputError, match=r"IBUG: expected a .mat file for each photo, got none"):
        w300lp.records(w300lp_root)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Pose_Para": np.zeros((1, 6))}, r"Pose_Para: expected 1 x 7, got 1 x 6"),
        ({"Pose_Para": np.full((1, 7), np.nan)}, r"Pose_Para: expected finite numbers"),
        ({"pt3d_68": np.zeros((2, 68))}, r"pt3d_68: expected 3 x 68, got 2 x 68"),
        ({"pt3d_68": np.array([["text"]])}, r"expected a MATLAB file with Pose_Para, pt3d_68"),
    ],
)
def test_wrong_variables_are_named(aflw2000_root: Path, changes: dict[str, np.ndarray], message: str) -> None:
    write_3ddfa(aflw2000_root / "AFLW2000/image00004.jpg", **changes)
    with pytest.raises(InputError, match=rf"image00004.mat.*{message}"):
        aflw2000.records(aflw2000_root)


def test_a_missing_variable_is_named(aflw2000_root: Path) -> None:
    savemat(aflw2000_root / "AFLW2000/image00004.mat", {"Pose_Para": POSE_PARA})
    with pytest.raises(
        InputError, match=r"image00004.mat: expected the variables Pose_Para, pt3d_68, got none"
    ):
        aflw2000.records(aflw2000_root)


@pytest.mark.parametrize("content", [b"", b"no matrix", b"MATLAB 5.0 MAT-file" + bytes(300)])
def test_a_damaged_file_is_named(aflw2000_root: Path, content: bytes) -> None:
    (aflw2000_root / "AFLW2000/image00004.mat").write_bytes(content)
    with pytest.raises(InputError, match=r"image00004.mat: expected .*AFLW2000-3D again"):
        aflw2000.records(aflw2000_root)


def test_a_file_cut_short_is_named(aflw2000_root: Path) -> None:
    file = aflw2000_root / "AFLW2000/image00004.mat"
    file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(InputError, match=r"image00004.mat: expected"):
        aflw2000.records(aflw2000_root)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("frame_00003_pose.txt", "1 0 0\n0 1 0\n0 0 1\n", "expected 4 lines of numbers, got 3"),
        ("frame_00003_pose.txt", POSE.replace("906.864", ""), "expected 3 numbers, got 2"),
        ("frame_00003_pose.txt", POSE.replace("0.980639", "1.980639"), "expected a rotation matrix"),
        ("frame_00003_pose.txt", POSE.replace("43.4019", "x"), "expected 3 numbers, got could not convert"),
        ("rgb.cal", CALIBRATION.replace("640 480", ""), "expected 9 lines of numbers, got 8"),
    ],
)
def test_damaged_texts_are_named(biwi_root: Path, file: str, content: str, message: str) -> None:
    (biwi_root / "hpdb" / "05" / file).write_text(content)
    with pytest.raises(InputError, match=rf"05/{file}: {message}"):
        biwi.records(biwi_root)


def test_damaged_files_of_w300_lp(w300lp_root: Path, check_damaged: Callable[[str, Path], None]) -> None:
    check_damaged("300w-lp", w300lp_root)


def test_damaged_files_of_aflw2000(aflw2000_root: Path, check_damaged: Callable[[str, Path], None]) -> None:
    check_damaged("aflw2000", aflw2000_root)


def test_damaged_files_of_biwi(biwi_root: Path, check_damaged: Callable[[str, Path], None]) -> None:
    check_damaged("biwi", biwi_root)

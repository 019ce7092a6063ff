"""CelebA in its layout: in the wild and aligned."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom_lab.datasets.published import celeba

PHOTOS = ("000001.jpg", "000002.jpg", "000003.jpg")
LISTS = {
    "Anno/list_landmarks_celeba.txt": """3
lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y
000001.jpg 165  184  244  176  196  249  194  271  266  260
000002.jpg 140  204  220  204  168  254  146  289  226  289
000003.jpg 244  104  264  105  263  121  235  134  251  140
""",
    "Anno/list_bbox_celeba.txt": """3
image_id x_1 y_1 width height
000001.jpg    95  71 226 313
000002.jpg    72  94 221 306
000003.jpg     0   0   0   0
""",
    "Eval/list_eval_partition.txt": "000001.jpg 0\n000002.jpg 1\n000003.jpg 2\n",
}
ALIGNED = """3
lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y
000001.jpg 69  109  106  113   77  142   73  152  108  154
000002.jpg 69  110  107  112   81  135   70  151  108  153
000003.jpg 76  112  104  106  108  128   74  156   98  158
"""


@pytest.fixture
def root(tmp_path: Path, write_photo: Callable[..., Path]) -> Path:
    for photo in PHOTOS:
        write_photo(f"Img/img_celeba/{photo}")
    for place, content in LISTS.items():
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(content)
    return tmp_path


def test_in_the_wild(root: Path, check_records: Callable[..., None]) -> None:
    records = celeba.records(root)
    check_records(records, "celeba5")
    assert [(record.name, record.split) for record in records] == [
        ("img_celeba/000001.jpg", "train"),
        ("img_celeba/000002.jpg", "val"),
        ("img_celeba/000003.jpg", "test"),
    ]
    np.testing.assert_array_equal(
        records[0].points, [[165, 184], [244, 176], [196, 249], [194, 271], [266, 260]]
    )
    np.testing.assert_array_equal(records[0].box_xyxy, [95, 71, 321, 384])
    assert records[2].box_xyxy is None


def test_aligned_without_folders(root: Path, check_records: Callable[..., None]) -> None:
    (root / "Img/img_celeba").rename(root / "img_align_celeba")
    (root / "list_landmarks_align_celeba.txt").write_text(ALIGNED)
    (root / "Eval/list_eval_partition.txt").rename(root / "list_eval_partition.txt")
    records = celeba.records(root, "train")
    check_records(records, "celeba5")
    assert [record.name for record in records] == ["img_align_celeba/000001.jpg"]
    np.testing.assert_array_equal(records[0].points[0], [69, 109])
    assert records[0].box_xyxy is None


@pytest.mark.parametrize(
    ("missing", "name"),
    [*((place, Path(place).name) for place in LISTS), ("Img/img_celeba", "img_celeba")],
)
def test_a_missing_part_is_named(root: Path, missing: str, name: str) -> None:
    (root / missing).rename(root / "elsewhere")
    with pytest.raises(InputError, match=rf"expected '{name}' of CelebA at .*mmlab.ie.cuhk"):
        celeba.records(root)


def test_a_missing_photo_is_named(root: Path) -> None:
    (root / "Img/img_celeba/000002.jpg").unlink()
    with pytest.raises(InputError, match=r"expected '000002.jpg' of CelebA"):
        celeba.records(root)


@pytest.mark.parametrize(
    ("place", "old", "new", "message"),
    [
        ("Anno/list_bbox_celeba.txt", "3\n", "4\n", "list_bbox_celeba.txt: expected the number of photos"),
        ("Anno/list_bbox_celeba.txt", "226", "", "list_bbox_celeba.txt:3: expected 4 numbers, got 3"),
        ("Anno/list_landmarks_celeba.txt", "165", "a", "celeba.txt:3: expected 10 numbers, got could not"),
        ("Anno/list_landmarks_celeba.txt", "000003", "000004", "expected numbers for 000003.jpg"),
        ("Eval/list_eval_partition.txt", "jpg 2", "jpg 3", "expected 0, 1 or 2 for each photo"),
    ],
)
def test_a_damaged_list_is_named(root: Path, place: str, old: str, new: str, message: str) -> None:
    text = (root / place).read_text()
    assert old in text
    (root / place).write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        celeba.records(root)


def test_an_empty_list_is_named(root: Path) -> None:
    (root / "Anno/list_bbox_celeba.txt").write_text("")
    with pytest.raises(InputError, match=r"expected the number of photos in the first line.*got nothing"):
        celeba.records(root)


def test_damaged_files(root: Path, check_damaged: Callable[[str, Path], None]) -> None:
    check_damaged("celeba", root)

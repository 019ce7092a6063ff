"""The data sets by name."""

from functools import partial
from pathlib import Path

import pytest

from facegeom.errors import InputError
from facegeom_lab.datasets import registry
from facegeom_lab.datasets.published import facepoints14
from facegeom_lab.datasets.records import FaceRecord
from facegeom_lab.datasets.schemes import SCHEMES

POINTS = ["lapa", "300w", "wflw", "aflw", "aflw19", "cofw", "ffhq", "celeba", "facepoints14", "pack"]
POSE = ["300w-lp", "aflw2000", "biwi"]
DEPTH = ["texas3dfrd", "eurecom", "superface"]
NAMES = POINTS + POSE + DEPTH
TEST_ONLY = ["aflw2000", "biwi"]


def test_names() -> None:
    assert list(registry.DATASETS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_set_is_described(name: str) -> None:
    info = registry.DATASETS[name]
    assert info.name == name and info.title and info.url and info.terms
    assert info.scheme in SCHEMES
    if name in TEST_ONLY:
        assert info.splits == ("test",)
    else:
        assert info.splits[0] == "train" and len(set(info.splits)) == len(info.splits) > 1


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_folder_is_an_error_that_names_a_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected .* at .*, found nothing"):
        registry.load(name, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_split_is_an_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected one of (train|test).* as the split .*, got 'dev'"):
        registry.load(name, tmp_path, "dev")


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(
        InputError, match=r"expected one of lapa, 300w, .*superface as the data set, got 'imagenet'"
    ):
        registry.load("imagenet", Path())


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Write the 14 points of 60 images in one folder: a set without a val split."""
    names = [f"{number:05d}.jpg" for number in range(60)]
    (tmp_path / "images").mkdir()
    for name in names:
        (tmp_path / "images" / name).touch()
    rows = [",".join([name, *["1"] * 28]) for name in names]
    (tmp_path / "gt.csv").write_text("\n".join([",".join(facepoints14.HEADER), *rows]))
    return tmp_path


def test_a_set_without_val_gets_one_from_train(flat: Path) -> None:
    train, val = (registry.load("facepoints14", flat, split) for split in ("train", "val"))
    assert {record.split for record in train} == {"train"} and {record.split for record in val} == {"val"}
    names = [record.name for record in train + val]
    assert sorted(names) == [f"images/{number:05d}.jpg" for number in range(60)]
    assert 2 <= len(val) <= 12


def test_all_of_a_set_without_val(flat: Path) -> None:
    splits = [record.split for record in registry.load("facepoints14", flat)]
    assert splits.count("val") == len(registry.load("facepoints14", flat, "val")) and len(splits) == 60
    assert {record.split for record in facepoints14.records(flat)} == {"train"}


def test_test_splits_are_as_published(flat: Path) -> None:
    with pytest.raises(InputError, match="expected 'images' of 14 facial points"):
        registry.load("facepoints14", flat, "test")


def test_faces_of_one_photo_stay_together() -> None:
    face = partial(FaceRecord, read=lambda: None, split="train")
    for photo in (f"{number}.jpg" for number in range(50)):
        first, second, alone = (
            registry._held_out(face(name)) for name in (f"{photo}#0", f"{photo}#1", photo)
        )
        assert first.split == second.split == alone.split


def test_load_gives_the_adapter_s_records(tmp_path: Path) -> None:
    (tmp_path / "images1024x1024" / "00000").mkdir(parents=True)
    (tmp_path / "images1024x1024" / "00000" / "00003.png").touch()
    (record,) = registry.load("ffhq", tmp_path, "train")
    assert record.name == "images1024x1024/00000/00003.png"

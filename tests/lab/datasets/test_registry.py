"""The data sets by name."""

from pathlib import Path

import pytest

from facegeom.errors import InputError
from facegeom.geometry.schemes import SCHEMES
from facegeom.lab.datasets import registry

NAMES = ["lapa", "300w", "wflw", "aflw", "aflw19", "cofw", "ffhq", "celeba", "facepoints14", "pack"]


def test_names() -> None:
    assert list(registry.DATASETS) == NAMES
    assert len({info.module for info in registry.DATASETS.values()}) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_set_is_described(name: str) -> None:
    info = registry.DATASETS[name]
    assert info.name == name and info.title and info.url and info.terms
    assert info.scheme in SCHEMES
    assert info.splits[0] == "train" and len(set(info.splits)) == len(info.splits) > 1


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_folder_is_an_error_that_names_a_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected .* at .*, found nothing"):
        registry.load(name, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_split_is_an_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected one of train.* as the split .*, got 'dev'"):
        registry.load(name, tmp_path, "dev")


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(
        InputError, match=r"expected one of lapa, 300w, .*pack as the data set, got 'imagenet'"
    ):
        registry.load("imagenet", Path())


def test_load_gives_the_adapter_s_records(tmp_path: Path) -> None:
    (tmp_path / "images1024x1024" / "00000").mkdir(parents=True)
    (tmp_path / "images1024x1024" / "00000" / "00003.png").touch()
    (record,) = registry.load("ffhq", tmp_path, "train")
    assert record.name == "images1024x1024/00000/00003.png"

"""Reading the data pack."""

from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom_lab.datasets import pack_photos


def test_scenes_keep_the_labels_by_people(pack: Path) -> None:
    first, second = pack_photos.scenes(pack, "val")
    assert (first.labelled, second.labelled) == (1, 2)
    assert first.landmarks_px.shape == second.landmarks_px.shape == (1, 68, 2)
    assert np.isnan(first.teacher_box_xyxy).all()
    assert second.teacher_box_xyxy.tolist() == [[20, 10, 44, 40]]


def test_faces_with_and_without_landmarks(pack: Path) -> None:
    pictures = pack_photos.faces(pack, "val")
    assert [picture.source for picture in pictures] == ["helen"] * 3 + ["masks"]
    assert [len(picture.landmarks_px) for picture in pictures] == [1, 1, 1, 0]
    assert len(pack_photos.faces(pack, "train", ("masks",))) == 1


def test_backgrounds_are_the_held_out_hundred(pack: Path) -> None:
    pictures = pack_photos.backgrounds(pack)
    assert len(pictures) == 100
    assert pictures[0].box_xyxy.shape == (0, 4)


def test_a_folder_that_is_no_pack_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"scenes\.json"):
        pack_photos.scenes(tmp_path, "val")

"""Poor pictures: what the changes do to pixels, and which copies are kept."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from facegeom_lab.bench.accuracy import poor_pictures
from facegeom_lab.bench.accuracy.copies import Change, changed_copies
from facegeom_lab.bench.accuracy.poor_pictures import CHANGES, lit, moved, unfocused
from facegeom_lab.datasets.published.pack import LabelledPhoto

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (40, 50, 3), np.uint8)


def photo(folder: Path, pixels: np.ndarray = PIXELS) -> LabelledPhoto:
    """Write a photo without labelled faces."""
    path = folder / "one.png"
    Image.fromarray(pixels).save(path)
    return LabelledPhoto(path, "afw", 0, np.zeros((0, 4)), np.zeros((0, 4)), np.zeros((0, 68, 2)))


def test_a_share_of_the_light_is_linear() -> None:
    """Half of the light of a grey of 200 is 200 * 0.5 ** (1 / 2.2), and channels have shares of their own."""
    grey = np.full((2, 2, 3), 200, np.uint8)
    assert (lit(1.0)(grey) == 200).all()
    assert (lit(0.5)(grey) == round(200 * 0.5 ** (1 / 2.2))).all()
    assert lit((1.0, 0.0, 1.0), veil=40.0)(grey)[0, 0].tolist() == [240, 40, 240]


def test_noise_is_the_same_for_the_same_photo() -> None:
    dark = lit(0.1, 4.0)
    np.testing.assert_array_equal(dark(PIXELS), dark(PIXELS))
    spread = dark(np.full((200, 200, 3), 128, np.uint8)).astype(float)
    assert spread.std() == pytest.approx(4.0, rel=0.05)


def test_blur_keeps_the_mean_and_its_direction() -> None:
    line = np.zeros((41, 41, 3), np.uint8)
    line[:, 20] = 255
    assert (moved(line)[20, :, 0] > 0).sum() == 15 and moved(line)[20, 20, 0] == 255 // 15
    assert (moved(line.swapaxes(0, 1))[:, 20, 0] > 0).sum() == 1  # a row is blurred along itself
    np.testing.assert_array_equal(unfocused(line), unfocused(line.swapaxes(0, 1)).swapaxes(0, 1))


def test_every_change_keeps_shape_and_has_a_name_of_its_own() -> None:
    for _, change, _ in CHANGES.values():
        changed = change(PIXELS)
        assert changed.shape == PIXELS.shape and changed.dtype == np.uint8
    assert len({ending for ending, *_ in CHANGES.values()}) == len(CHANGES)


def invert(pixels: np.ndarray) -> np.ndarray:
    return 255 - pixels


def test_copies_are_written_once(tmp_path: Path) -> None:
    (copy,) = changed_copies([photo(tmp_path)], tmp_path / "copies", "inverted.png", invert)
    with Image.open(copy.path) as image:
        np.testing.assert_array_equal(np.asarray(image), 255 - PIXELS)
    os.utime(copy.path, (1, 1))
    (again,) = changed_copies([photo(tmp_path)], tmp_path / "copies", "inverted.png", invert)
    assert again.path == copy.path and copy.path.stat().st_mtime == 1
    assert copy.path.name.startswith("one.") and copy.path.name.endswith(".inverted.png")


@pytest.mark.parametrize(
    ("pixels", "change", "quality"),
    [(PIXELS, np.array, 98), (PIXELS[::-1], invert, 98), (PIXELS[:, :-1], invert, 98), (PIXELS, invert, 10)],
    ids=["change", "photo", "size", "quality"],
)
def test_another_change_or_photo_is_not_answered_from_the_cache(
    tmp_path: Path, pixels: np.ndarray, change: Change, quality: int
) -> None:
    """Names of photo and change stay, as after an edit of one of them."""
    (old,) = changed_copies([photo(tmp_path)], tmp_path / "copies", "made.png", invert)
    (new,) = changed_copies([photo(tmp_path, pixels)], tmp_path / "copies", "made.png", change, quality)
    assert new.path != old.path
    with Image.open(new.path) as image:
        np.testing.assert_array_equal(np.asarray(image), change(pixels))


def test_a_copy_that_was_not_finished_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(image: Image.Image, file: object, *args: object, **options: object) -> None:
        if isinstance(file, Path):
            file.write_bytes(b"half")
        raise KeyboardInterrupt

    one = photo(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Image.Image, "save", interrupt)
        changed_copies([one], tmp_path / "copies", "made.png", invert)
    (copy,) = changed_copies([one], tmp_path / "copies", "made.png", invert)
    with Image.open(copy.path) as image:
        np.testing.assert_array_equal(np.asarray(image), 255 - PIXELS)


def test_each_system_has_a_row_for_each_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo in which nothing is found has no error and no confidence."""
    scene = photo(tmp_path)
    none = SimpleNamespace(
        box_xyxy=np.zeros((0, 4)),
        score=np.zeros(0),
        landmarks_px=np.zeros((0, 68, 2)),
        landmarks_confidence=np.zeros((0, 68)),
    )
    bench = SimpleNamespace(
        cache=tmp_path / "cache",
        peers={},
        scene_sets=lambda: {"val scenes": [scene]},
        predictions=lambda photos: [none for _ in photos],
    )
    (table,) = poor_pictures.poor_pictures(bench)
    assert [row[1] for row in table.rows] == list(CHANGES)
    assert {row[2:] for row in table.rows} == {("facegeom", None, None, None, 0, 0)}
    assert len(list((tmp_path / "cache" / "poor").iterdir())) == len(CHANGES)

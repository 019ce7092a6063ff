"""Tables, labelled images, and the samples of a training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from facegeom.errors import InputError
from facegeom.image import reading
from facegeom_lab.keypoints14.data import (
    GT,
    PlainViews,
    TrainingViews,
    labelled_images,
    read_table,
    split,
    write_table,
)
from facegeom_lab.keypoints14.task import Keypoints14Recipe
from facegeom_lab.keypoints14.views import SquareImages, channel_statistics

MakeRecipe = Callable[..., Keypoints14Recipe]


def test_labelled(faces: Any) -> None:
    pictures = labelled_images(faces.points, faces.folder)
    assert [path.name for path in pictures.paths] == sorted(faces.points)
    np.testing.assert_array_equal(pictures.points[5].reshape(-1), faces.points["05.png"])
    some = pictures.subset([3, 0])
    assert [path.name for path in some.paths] == ["03.png", "00.png"]
    np.testing.assert_array_equal(some.points, pictures.points[[3, 0]])


def test_a_table_says_the_same(faces: Any, tmp_path: Path) -> None:
    write_table(tmp_path / GT, faces.points)
    for name, numbers in read_table(tmp_path / GT).items():
        np.testing.assert_allclose(numbers, faces.points[name], atol=5e-4)
    for place in (tmp_path / GT, str(tmp_path / GT)):
        np.testing.assert_allclose(
            labelled_images(place, faces.folder).points,
            labelled_images(faces.points, faces.folder).points,
            atol=5e-4,
        )


def test_half_a_point_is_none(faces: Any) -> None:
    points = {name: numbers.copy() for name, numbers in faces.points.items()}
    points["00.png"][7] = np.nan
    assert np.isnan(labelled_images(points, faces.folder).points[0, 3]).all()


def test_pictures_without_points_are_left_out(faces: Any) -> None:
    points = faces.points | {"00.png": np.full(28, np.nan)}
    assert len(labelled_images(points, faces.folder)) == len(faces.points) - 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"00.png": np.zeros(27)}, r"expected 28 numbers .* of '00.png'.* got 27"),
        ({"00.png": np.zeros((14, 2))}, r"expected 28 numbers"),
        ({"00.png": np.full(28, np.inf)}, r"expected 28 numbers"),
        ({"far.png": np.zeros(28)}, r"1 are missing, first 'far.png'"),
    ],
)
def test_wrong_points(changed: dict[str, np.ndarray], said: str, faces: Any) -> None:
    with pytest.raises(InputError, match=said):
        labelled_images(faces.points | changed, faces.folder)


def test_too_few_pictures(faces: Any) -> None:
    with pytest.raises(InputError, match="expected two or more images with points to train on, got 1"):
        labelled_images({"00.png": faces.points["00.png"]}, faces.folder)


@pytest.mark.parametrize(("count", "share", "kept_out"), [(10, 0.2, 2), (10, 0.0, 1), (2, 0.9, 1)])
def test_split(count: int, share: float, kept_out: int) -> None:
    train, val = split(count, share, seed=3)
    assert len(val) == kept_out and sorted(train + val) == list(range(count))
    assert split(count, share, seed=3) == (train, val)


def test_squares_are_kept_within_the_memory(faces: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [faces.folder / name for name in faces.points]
    squares = SquareImages(paths, 512, cached_mb=2)  # two squares of 3/4 MB
    sizes = [squares[index][1] for index in range(3)]
    assert sizes == [(picture.shape[1], picture.shape[0]) for picture in map(reading.read, paths[:3])]
    monkeypatch.setattr("facegeom.image.reading.read", lambda path: pytest.fail(f"{path} is read again"))
    assert squares[0][0].shape == squares[1][0].shape == (512, 512, 3)
    with pytest.raises(pytest.fail.Exception, match=r"02\.png is read again"):
        squares[2]


def test_channel_statistics() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (5, 9, 9, 3), dtype=np.uint8)
    mean, std = channel_statistics(iter(pictures))
    np.testing.assert_allclose(mean, pictures.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(std, pictures.std(axis=(0, 1, 2)))
    assert channel_statistics([np.full((4, 4, 3), 9, np.uint8)])[1].tolist() == [1, 1, 1]


def views(faces: Any, recipe: Keypoints14Recipe, epoch: int = 0) -> TrainingViews:
    pictures = labelled_images(faces.points, faces.folder)
    return TrainingViews(SquareImages(pictures.paths, recipe.cached_px, 1), pictures.points, recipe, epoch)


def test_samples(faces: Any, make_recipe: MakeRecipe) -> None:
    made = [views(faces, make_recipe())[index] for index in range(12)]
    for index, each in enumerate(made):
        assert each["image"].shape == (3, 32, 32) and each["image"].dtype == torch.uint8
        assert each["points"].shape == (14, 2) and each["points"].dtype == torch.float32
        known = torch.isfinite(each["points"]).all(dim=1)
        assert int(known.sum()) == (13 if index == 5 else 14)
        assert each["points"][known].abs().max() < 0.5


def test_samples_depend_on_seed_and_epoch_alone(faces: Any, make_recipe: MakeRecipe) -> None:
    recipe = make_recipe()
    first, again = views(faces, recipe)[4], views(faces, recipe)[4]
    assert torch.equal(first["image"], again["image"]) and torch.equal(first["points"], again["points"])
    for other in (views(faces, recipe, epoch=1)[4], views(faces, make_recipe(seed=2))[4]):
        assert not torch.equal(first["points"], other["points"])


def test_plain_views(faces: Any) -> None:
    """Points at the edges of a picture lie at ±0.5, whatever its size."""
    pictures = labelled_images(faces.points, faces.folder)
    squares = SquareImages(pictures.paths, 32)
    sizes = np.array([squares[index][1] for index in range(len(pictures))])
    corners = np.repeat((sizes - 0.5)[:, None], 14, axis=1)
    plain = PlainViews(squares, corners)
    assert len(plain) == 12
    np.testing.assert_allclose(plain[7]["points"], 0.5, atol=1e-6)
    np.testing.assert_array_equal(plain[7]["image"].permute(1, 2, 0), squares[7][0])

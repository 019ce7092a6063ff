"""Shards: complete, repeatable, resumed; splits apart; the contact sheet."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegeom.errors import InputError, OutputError
from facegeom_lab.synth import generate
from facegeom_lab.synth.generate import (
    contact_sheet,
    generator,
    load_backgrounds,
    read_samples,
    run,
    synthesise,
)
from facegeom_lab.synth.model import HeadModel

Photos = list[np.ndarray]


def make(model: HeadModel, photos: Photos, out: Path, count: int = 5, **options: object) -> list[Path]:
    return synthesise(model, photos, count, out, size=48, shard=2, **options)  # type: ignore[arg-type]


def test_shards(ball_head: HeadModel, photos: Photos, tmp_path: Path) -> None:
    done: list[int] = []
    paths = make(ball_head, photos, tmp_path, advance=done.append)
    assert [path.name for path in paths] == ["synth_0000.npz", "synth_0001.npz", "synth_0002.npz"]
    assert sum(done) == 5
    with np.load(paths[2]) as last:
        assert last["images"].shape == (1, 48, 48, 3)
        assert last["landmarks_px"].shape == (1, 68, 2)
        assert last["rotation"].shape == (1, 3, 3)
        assert last["translation"].shape == (1, 3)
        assert last["visible"].dtype == bool
        assert last["arkit"].shape == (1, 52) and (last["arkit"] >= 0).all()


def test_coefficients_of_other_names_are_not_stored(
    ball_head: HeadModel, photos: Photos, tmp_path: Path
) -> None:
    numbered = replace(ball_head, expression_names=("expression0", "expression1"))
    draw = lambda rng, model: np.zeros(2, np.float32)  # noqa: E731
    with np.load(make(numbered, photos, tmp_path, count=1, expressions=draw)[0]) as shard:
        assert "arkit" not in shard


def test_missing_shard_is_drawn_again_and_the_same(
    ball_head: HeadModel, photos: Photos, tmp_path: Path
) -> None:
    paths = make(ball_head, photos, tmp_path)
    first, kept = np.load(paths[1])["images"], paths[0].stat().st_mtime_ns
    paths[1].unlink()
    make(ball_head, photos, tmp_path)
    np.testing.assert_array_equal(np.load(paths[1])["images"], first)
    assert paths[0].stat().st_mtime_ns == kept


def test_a_larger_count_completes_the_last_shard(
    ball_head: HeadModel, photos: Photos, tmp_path: Path
) -> None:
    make(ball_head, photos, tmp_path, count=3)
    paths = make(ball_head, photos, tmp_path, count=4)
    assert len(read_samples(paths)) == 4


def test_another_set_in_the_folder_is_an_error(ball_head: HeadModel, photos: Photos, tmp_path: Path) -> None:
    make(ball_head, photos, tmp_path)
    with pytest.raises(OutputError, match="another folder"):
        make(ball_head, photos, tmp_path, seed=1)


def test_splits_share_no_person() -> None:
    state = {
        generator(0, index, split).bit_generator.state["state"]["state"]
        for index in range(50)
        for split in ("train", "test")
    }
    assert len(state) == 100


@pytest.mark.parametrize(
    "options",
    [{"count": 0}, {"count": 1, "seed": -1}, {"count": 1, "seed": 10**6}, {"count": 1, "split": "val"}],
)
def test_bad_arguments(
    ball_head: HeadModel, photos: Photos, tmp_path: Path, options: dict[str, object]
) -> None:
    with pytest.raises(InputError, match="expected"):
        make(ball_head, photos, tmp_path, **options)  # type: ignore[arg-type]


def test_backgrounds_of_a_split(tmp_path: Path) -> None:
    for number in (0, 199, 200):
        Image.new("RGB", (8 + number % 7, 6)).save(tmp_path / f"{number:03d}.jpg")
    assert len(load_backgrounds(tmp_path, "train")) == 2
    assert len(load_backgrounds(tmp_path, "test")) == 1


@pytest.mark.parametrize(("split", "message"), [("test", "found none"), ("val", "expected the split")])
def test_no_backgrounds(tmp_path: Path, split: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_backgrounds(tmp_path, split)


def test_contact_sheet(ball_head: HeadModel, photos: Photos, tmp_path: Path) -> None:
    samples = read_samples(make(ball_head, photos, tmp_path), limit=3)
    assert len(samples) == 3
    assert contact_sheet(samples, columns=2).size == (96, 96)


def test_run_writes_shards_and_preview(
    ball_head: HeadModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "backgrounds").mkdir()
    Image.new("RGB", (60, 40), (90, 120, 60)).save(tmp_path / "backgrounds" / "250.jpg")
    monkeypatch.setattr(generate, "load_model", lambda path: ball_head)
    preview = tmp_path / "sheet.png"
    shards = run(tmp_path, 3, tmp_path / "out", split="test", size=48, preview=preview)
    assert [path.name for path in shards] == ["synth_0000.npz"]
    assert Image.open(preview).size == (8 * 48, 48)

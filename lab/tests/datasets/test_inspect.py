"""Counts of records and the sheet of faces."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegeom.errors import InputError
from facegeom_lab.datasets import inspect
from facegeom_lab.datasets.inspect import TILE_PX
from facegeom_lab.datasets.records import FaceRecord

POINTS = np.array([[40.0, 40], [80, 40], [60, 60], [45, 80], [75, 80]])


def grey() -> np.ndarray:
    return np.full((120, 100, 3), 100, np.uint8)


record = partial(FaceRecord, read=grey, scheme="celeba5", points=POINTS, source="made")


@pytest.fixture
def records() -> list[FaceRecord]:
    partly = POINTS.copy()
    partly[4] = np.nan
    visible = np.array([True, True, True, False, False])
    return [
        record("a.png#0", split="train"),
        record("a.png#1", split="train", points=partly, visible=visible),
        record("b.png", split="val", box_xyxy=np.array([20.0, 10, 90, 110]), source="other"),
        record("c.png", split="val", scheme="", points=None, mesh=np.zeros((478, 3))),
        record("d.png", split="test", scheme="", points=None),
    ]


def test_summary(records: list[FaceRecord]) -> None:
    counts = inspect.summary(records)
    assert (counts["faces"], counts["photos"]) == (5, 4)
    assert counts["splits"] == {"train": 2, "val": 2, "test": 1}
    assert counts["sources"] == {"made": 4, "other": 1}
    assert counts["schemes"] == {"celeba5": 3, "none": 2}
    assert counts["labels"] == {
        "points": 3, "visible": 1, "box_xyxy": 1, "mesh": 1, "rotation": 0, "depth": 0
    }  # fmt: skip
    assert counts["annotated"] == pytest.approx(14 / 15) and counts["visible"] == pytest.approx(3 / 5)
    assert counts["size_px"] == (0, 40, 100)


def test_summary_of_nothing() -> None:
    counts = inspect.summary([])
    assert counts["faces"] == 0 and counts["annotated"] is None and counts["size_px"] is None


def test_table(records: list[FaceRecord]) -> None:
    text = inspect.table(inspect.summary(records)).splitlines()
    assert text[0].split() == ["faces", "5"]
    assert text[2].split(maxsplit=1) == ["splits", "train 2, val 2, test 1"]
    assert text[6].split() == ["annotated", "93.3%"]
    assert text[8] == "size px    0 / 40 / 100 (smallest / median / largest)"
    assert inspect.table(inspect.summary([])).splitlines()[-1].split() == ["size", "px", "-"]


@pytest.mark.parametrize(
    ("columns", "count", "size"),
    [(2, 24, (2, 3)), (3, 3, (3, 1)), (9, 24, (5, 1)), (1, 1, (1, 1))],
)
def test_size_of_the_sheet(
    records: list[FaceRecord], columns: int, count: int, size: tuple[int, int]
) -> None:
    sheet = inspect.contact_sheet(records, columns, count=count)
    assert (sheet.width, sheet.height) == (size[0] * TILE_PX, size[1] * TILE_PX)


def test_the_seed_chooses_the_faces(records: list[FaceRecord]) -> None:
    sheets = [inspect.contact_sheet(records, seed=seed, count=1).tobytes() for seed in range(6)]
    assert sheets[2] == inspect.contact_sheet(records, seed=2, count=1).tobytes()
    assert len(set(sheets)) > 1


def test_points_lie_where_they_are() -> None:
    points = POINTS.copy()
    points[3] = np.nan
    visible = np.array([True, False, True, True, True])
    tile = np.asarray(inspect.contact_sheet([record("e.png", split="train", points=points, visible=visible)]))
    middle, scale = np.array([60, 60]), TILE_PX / (1.4 * 40)  # of the extent, 40 x 40 pixels
    places = ((POINTS - middle) * scale + TILE_PX / 2).astype(int)
    colours = [tuple(tile[y, x].tolist()) for x, y in places]
    assert colours == [(64, 255, 128), (255, 72, 72), (64, 255, 128), (100, 100, 100), (64, 255, 128)]


def test_a_box_is_drawn_and_counts_for_the_crop() -> None:
    box = np.array([20.0, 20, 100, 100])
    tile = np.asarray(inspect.contact_sheet([record("f.png", split="train", box_xyxy=box)]))
    edge = round(TILE_PX / 2 - 40 * TILE_PX / (1.4 * 80))
    assert (tile[edge - 1 : edge + 2, TILE_PX // 3].max(axis=0) > 200).all()
    assert tuple(tile[TILE_PX // 3, 5].tolist()) in {(100, 100, 100), (127, 127, 127)}


def test_a_face_of_one_point_shows_the_whole_picture() -> None:
    points = np.full((5, 2), np.nan)
    points[2] = 50, 60
    tile = np.asarray(inspect.contact_sheet([record("g.png", split="train", points=points)]))
    assert tuple(tile[TILE_PX // 2 + 20, TILE_PX // 2 + 20].tolist()) == (100, 100, 100)
    assert tuple(tile[5, 2].tolist()) == (127, 127, 127)  # beyond the picture's left edge


def test_a_mesh_is_drawn() -> None:
    from facegeom.geometry import topology

    mesh = topology.canonical_mm() * 0.3 + 50
    shown = record("h.png", split="train", scheme="", points=None, mesh=mesh)
    tile = np.asarray(inspect.contact_sheet([shown])).astype(int)
    assert ((tile[..., 0] - tile[..., 1]) > 60).sum() > 1000


@pytest.mark.parametrize(("columns", "count"), [(0, 1), (1, 0)])
def test_nothing_to_show_is_an_error(records: list[FaceRecord], columns: int, count: int) -> None:
    with pytest.raises(InputError, match=rf"expected records, .*got 5, {columns}, {count}"):
        inspect.contact_sheet(records, columns, count=count)
    with pytest.raises(InputError, match=r"expected records"):
        inspect.contact_sheet([])


def test_run_writes_the_sheet(tmp_path: Path) -> None:
    picture = tmp_path / "images1024x1024" / "00000" / "00003.png"
    picture.parent.mkdir(parents=True)
    Image.fromarray(grey()).save(picture)
    text = inspect.run("ffhq", tmp_path, tmp_path / "out" / "sheet.png", "train")
    assert text.startswith("faces      1\nphotos     1\nsplits     train 1")
    with Image.open(tmp_path / "out" / "sheet.png") as sheet:
        assert sheet.size == (TILE_PX, TILE_PX)

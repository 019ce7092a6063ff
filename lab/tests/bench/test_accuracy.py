"""Accuracy: the sections on a small data pack with a fake analyzer and fake peers, and the hard cases."""

import json
from collections.abc import Callable
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facegeom.errors import InputError
from facegeom.geometry import topology
from facegeom.results import Faces
from facegeom_lab.bench.accuracy import groups, run
from facegeom_lab.bench.accuracy.cut_faces import changes
from facegeom_lab.bench.accuracy.detection import crowds, detection
from facegeom_lab.bench.accuracy.hard_cases import (
    half_covered_faces,
    masked_faces,
    profiled_faces,
    small_faces,
)
from facegeom_lab.bench.accuracy.run import SECTIONS, run_accuracy
from facegeom_lab.bench.context import Bench, choose_sections
from facegeom_lab.cli.bench import accuracy
from facegeom_lab.datasets.published.pack import LabelledPhoto
from facegeom_lab.measures.tables import Table

SIDE = 96


@pytest.fixture(scope="module")
def tables(
    pack: Path,
    tmp_path_factory: pytest.TempPathFactory,
    make_analyzer: Any,
    fake_peers: dict[str, Path],
) -> dict[str, Table]:
    out = tmp_path_factory.mktemp("out")
    only = ["detection", "end-to-end", "mesh", "eyes", "confidence", "aligned"]
    report = run_accuracy(pack, out, make_analyzer(), fake_peers, only)
    assert len(json.loads((out / "accuracy.json").read_text())["tables"]) == len(report.tables)
    return {table.title: table for table in report.tables}


def test_detection(tables: dict[str, Table]) -> None:
    found = {row[:2]: row[2:] for row in tables["Detection: faces found"].rows}
    assert found["AFW scenes", "facegeom"] == (100.0, 100.0, 2, 2)
    assert found["val scenes", "MTCNN (facenet-pytorch)"][3] == 2
    assert len(found) == 10
    assert [row[1:] for row in tables["Detection: false boxes"].rows] == [(0, 0, 100, 0.0)] * 5


def test_end_to_end(tables: dict[str, Table], analyzer_nme: float) -> None:
    rows = {row[:2]: row[2:] for row in tables["End to end: 68 points"].rows}
    assert rows["AFW scenes", "facegeom"] == pytest.approx((*[analyzer_nme] * 3, 100, 2, 2), rel=1e-5)
    peer_nme, *_, found, labelled = rows["AFW scenes", "MediaPipe FaceMesh"]
    assert peer_nme < 0.1  # the fake mesh and the labels are the same everywhere: the map is exact
    assert (found, labelled) == (2, 2)
    regions = {row[:2]: row[2:] for row in tables["End to end: by region"].rows}
    assert regions.keys() == rows.keys()
    jaw, inner, brows, nose, eyes, lips, faces = regions["AFW scenes", "facegeom"]
    assert faces == 2
    assert (17 * jaw + 51 * inner) / 68 == pytest.approx(analyzer_nme, rel=1e-5)
    assert (10 * brows + 9 * nose + 12 * eyes + 20 * lips) / 51 == pytest.approx(inner, rel=1e-5)


def test_aligned_crops(tables: dict[str, Table]) -> None:
    rows = tables["Aligned crops"].rows
    assert [row[:2] for row in rows[:2]] == [("val scenes", "facegeom"), ("val scenes", "people")]
    for *_, distance, place, inverse, faces in rows:
        assert 0 < place <= distance + 1e-6 < 50 and inverse < 1000 and faces == 2


def test_mesh(tables: dict[str, Table]) -> None:
    rows = {row[0]: row[1:] for row in tables["Mesh against MediaPipe's"].rows}
    assert rows["helen and lfpw"][3:] == (3, 3, 3)
    assert rows["all"][3:] == (4, 4, 4)


def test_eyes(tables: dict[str, Table]) -> None:
    assert [row[0] for row in tables["Lids, irises, lips"].rows] == ["lids", "iris", "lips"]
    assert {row[-1] for row in tables["A face's own shape"].rows} == {4}


def test_confidence(tables: dict[str, Table]) -> None:
    rows = {row[0]: row[1:] for row in tables["Confidence: error of the trusted half"].rows}
    assert rows["both"][3] == 4
    assert rows["both"][0] == pytest.approx(100, abs=1e-3)  # the fake errors are all the same


def test_without_peers_only_facegeom_is_measured(pack: Path, tmp_path: Path, analyzer: Any) -> None:
    report = run_accuracy(pack, tmp_path, analyzer, {}, ["detection", "mesh", "end-to-end"])
    assert [table.title for table in report.tables] == [
        "Detection: faces found",
        "Detection: false boxes",
        "End to end: 68 points",
        "End to end: by region",
    ]
    assert analyzer.calls == 4 + 100  # each picture once
    assert {row[1] for row in report.tables[0].rows} == {"facegeom"}


def test_a_failing_section_loses_no_earlier_one(
    pack: Path, tmp_path: Path, analyzer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(bench: Bench) -> list[Table]:
        raise RuntimeError("late")

    monkeypatch.setattr(run, "SECTIONS", {"detection": detection, "late": fail})
    with pytest.raises(RuntimeError, match="late"):
        run_accuracy(pack, tmp_path, analyzer, {})
    assert len(json.loads((tmp_path / "accuracy.json").read_text())["tables"]) == 2


def test_sections_run_in_their_order() -> None:
    assert choose_sections(SECTIONS, []) == list(SECTIONS)
    assert choose_sections(SECTIONS, ["mesh", "detection"]) == ["detection", "mesh"]


def test_the_help_names_every_section() -> None:
    (option,) = signature(accuracy).parameters["only"].annotation.__metadata__
    assert option.help == f"Sections, separated by commas: {', '.join(SECTIONS)}."


def test_an_unknown_section_is_named() -> None:
    with pytest.raises(InputError, match="got pose"):
        choose_sections(SECTIONS, ["pose", "mesh"])


@pytest.fixture
def photo(tmp_path: Path) -> LabelledPhoto:
    """Return a bright photo with a wide and a narrow face."""
    path = tmp_path / "photo.png"
    Image.new("RGB", (240, 180), (200, 180, 160)).save(path)
    boxes = np.array([[9.5, 9.5, 99.5, 99.5], [150.0, 20.0, 170.0, 50.0]])
    return LabelledPhoto(path, "helen", 2, boxes, np.full((2, 4), np.nan), np.zeros((2, 68, 2)))


@pytest.fixture
def background(tmp_path: Path) -> LabelledPhoto:
    path = tmp_path / "background.png"
    Image.new("RGB", (120, 80), (0, 0, 90)).save(path)
    return LabelledPhoto(path, "backgrounds")


def test_small_faces_are_the_narrow_ones_of_both_sizes(photo: LabelledPhoto, tmp_path: Path) -> None:
    whole, third = small_faces([photo], tmp_path / "hard")
    assert whole.path == photo.path
    np.testing.assert_allclose(whole.box_xyxy, [[150, 20, 170, 50]])
    assert Image.open(third.path).size == (80, 60)
    np.testing.assert_allclose(third.box_xyxy, [[10 / 3 - 0.5, 10 / 3 - 0.5, 100 / 3 - 0.5, 100 / 3 - 0.5]])


def test_photos_without_narrow_faces_are_left_out(photo: LabelledPhoto, tmp_path: Path) -> None:
    huge = replace(photo, box_xyxy=photo.box_xyxy[:0], teacher_box_xyxy=photo.teacher_box_xyxy[:0])
    assert small_faces([replace(huge, landmarks_px=photo.landmarks_px[:0])], tmp_path / "hard") == []


def test_one_half_of_each_face_is_covered(
    photo: LabelledPhoto, background: LabelledPhoto, tmp_path: Path
) -> None:
    (made,) = half_covered_faces([photo], [background], tmp_path / "hard")
    pixels, before = np.array(Image.open(made.path)), np.array(Image.open(photo.path))
    changed = (pixels != before).any(axis=2)
    assert changed[12:98, 12:53].all()  # the left half of the first face
    assert not changed[12:98, 56:98].any()
    assert changed[22:48, 162:168].all()  # the right half of the second
    assert not changed[22:48, 151:159].any()
    np.testing.assert_array_equal(made.box_xyxy, photo.box_xyxy)


def test_masked_faces_lose_their_black_border(tmp_path: Path) -> None:
    pixels = np.full((SIDE, SIDE, 3), 150, np.uint8)
    pixels[:20] = 0
    Image.fromarray(pixels).save(tmp_path / "face.png")
    (made,) = masked_faces([LabelledPhoto(tmp_path / "face.png", "masks", 1)], tmp_path / "hard")
    shown = np.array(Image.open(made.path))
    assert shown.min() == 150 and shown.shape[:2] == (74, 94)  # one more row and column at each edge
    np.testing.assert_array_equal(made.box_xyxy, [[22.5, 2.5, 70.5, 50.5]])


def test_profiled_faces_lie_in_their_pictures(
    make_faces: Callable[..., Faces], background: LabelledPhoto, tmp_path: Path
) -> None:
    path = tmp_path / "frontal.png"
    Image.fromarray(np.random.default_rng(1).integers(60, 255, (SIDE, SIDE, 3), dtype=np.uint8)).save(path)
    head = topology.canonical_mm()
    mesh = (head - head.mean(axis=0)) * (SIDE / 2 / np.ptp(head[:, 1])) + np.array([SIDE / 2, SIDE / 2, 0])
    frontal = LabelledPhoto(path, "helen", 1)
    answers = [replace(make_faces(), mesh_px=mesh[None]), Faces.empty(SIDE, SIDE)]
    made = list(profiled_faces([frontal, frontal], answers, [background], tmp_path / "hard"))
    assert len(made) == 1  # the one without an answer is left out
    left, top, right, bottom = made[0].box_xyxy[0]
    width, height = Image.open(made[0].path).size
    assert 0 <= left < right < width and 0 <= top < bottom < height
    assert right - left < np.ptp(mesh[:, 0])  # a turned head is narrower


def test_crowds(pack: Path, tmp_path: Path, analyzer: Any) -> None:
    folder = pack / "crowds"
    folder.mkdir()
    for name, level in (("bright.png", 200), ("dark.png", 20)):
        Image.new("RGB", (64, 48), (level,) * 3).save(folder / name)
    faces = [{"box": [19, 9, 44, 40]}, {"box": [0, 0, 10, 20]}]
    entries = [{"file": "none.png", "faces": []}] * 353
    entries += [{"file": "bright.png", "faces": faces}, {"file": "dark.png", "faces": faces[:1]}]
    (folder / "crowds.json").write_text(json.dumps(entries))
    (table,) = crowds(Bench(pack, tmp_path, analyzer, {}))
    assert table.rows == [("facegeom", 50.0, 50.0, None, None, 2, 1, 0.0)]  # the small one does not count


def test_a_face_is_cut_covered_and_framed() -> None:
    pixels = np.random.default_rng(0).integers(130, 250, (90, 120, 3), dtype=np.uint8)
    made = list(changes(pixels, np.array([30.0, 20, 90, 80])))
    sizes = {(change.title, change.edge): change.pixels.shape[1::-1] for change in made}
    assert len(sizes) == 4 * 6 + 1
    assert sizes["cut by a third", "left"] == (70, 90) and sizes["cut by a quarter", "bottom"] == (120, 65)
    assert sizes["framed to 0.7", "all"] == (42, 42)
    for change in made:
        x, y = change.origin.astype(int)
        height, width = change.pixels.shape[:2]
        same = (change.pixels == pixels[y : y + height, x : x + width]).all(axis=2)
        if not change.title.startswith("covered"):
            assert same.all()
            continue
        flat = np.unique(change.pixels[~same], axis=0)
        seen = {"left": same[:, 50:], "right": same[:, :70], "top": same[40:], "bottom": same[:60]}
        assert len(flat) == 1 and seen[change.edge].all() and 0.3 < same.mean() < 0.7
        assert ("edge's" in change.title) == (150 < flat[0].mean() < 230)
    left = {(change.title, change.edge): change.left.tolist() for change in made}
    assert left["covered by white", "right"] == [30, 20, 70, 80]


def test_groups(pack: Path, tmp_path: Path, analyzer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    free = pack / "free" / "backgrounds"
    free.mkdir(parents=True)
    for number in range(11):
        Image.new("RGB", (40, 30), (number, 0, 0)).save(free / f"{number:02d}.jpg")
    monkeypatch.setattr(groups, "LONGER_PX", (400,))
    monkeypatch.setattr(groups, "GROUPS_PER_SIZE", 2)
    bench = Bench(pack, tmp_path, analyzer, {})
    for kind, photos in groups.group_photos(bench).items():
        for photo in photos:
            assert max(Image.open(photo.path).size) == 400
            sides = (photo.box_xyxy[:, 2:] - photo.box_xyxy[:, :2]).max(axis=1)
            assert len(sides) >= 1 and sides.min() >= 19 and sides.max() <= 81
            assert len(sides) <= 3 or "few" not in kind
    found, false = groups.groups(bench)
    assert [row[3] > 0 for row in found.rows] == [True] * 4
    assert [(row[0], row[4]) for row in false.rows][1] == ("groceries and flowers", 2)

"""Rotation: errors, steps of a turning head, predictions of the systems, and the whole run."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facegeom.errors import InputError, WeightsError
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import (
    geodesic_deg,
    rotation_from_angles,
    rotation_in_camera,
    rotation_to_line_of_sight,
)
from facegeom.geometry.topology import canonical_mm
from facegeom.results import Faces, Poses
from facegeom_lab.bench.rotation import run, speed
from facegeom_lab.bench.rotation.errors import MatchedRotations, match_rotations, step_summary, summary
from facegeom_lab.bench.rotation.rendered import HeadSet, RenderedHeads, Turning
from facegeom_lab.bench.rotation.run import SECTIONS, RotationConfig, run_rotation
from facegeom_lab.bench.rotation.systems import (
    CASCADE,
    FACE,
    POSE_NET,
    HeadPredictions,
    Networks,
    mesh_rotations,
    predict_rotations,
)
from facegeom_lab.datasets.published.pack import LabelledPhoto, scene_photos
from facegeom_lab.measures.tables import Table

WIDTH, HEIGHT = 64, 48  # of the pack's pictures
TURN = rotation_from_angles(10, 0, 0)


def turned(*yaws: float) -> np.ndarray:
    return rotation_from_angles(np.array(yaws, float), np.zeros(len(yaws)), np.zeros(len(yaws)))


def test_steps_by_hand() -> None:
    """Two heads of four pictures: steps 2, -1, 4 and, beside the one that is missed, 3."""
    truth = turned(0, 1, 2, 3, 0, 1, 2, 3)
    matched = MatchedRotations(turned(0, 2, 1, 5, 50, 1, 4, 99), np.array([1, 1, 1, 1, 0, 1, 1, 0], bool))
    smallest, largest, even, yaw, pitch, roll, found, pictures = step_summary(matched, truth, 2)
    assert (smallest, largest, even) == pytest.approx((-1, 4, 50), abs=1e-6)
    assert (yaw, pitch, roll) == pytest.approx((6 / 6, 0, 0), abs=1e-6) and (found, pictures) == (75, 8)


def test_the_nearer_triple_of_angles_counts_beyond_the_profile() -> None:
    """Yaw 85° against 92°: 7° of yaw, not 180° of pitch and roll."""
    truth, everything = turned(85, 10), np.ones(2, bool)
    matched = MatchedRotations(turned(92, 12), everything)
    assert summary(matched, truth, everything)[:4] == pytest.approx((4.5, 0, 0, 4.5), abs=1e-4)
    assert step_summary(matched, truth, 1)[3:6] == pytest.approx((4.5, 0, 0), abs=1e-4)


def test_steps_of_nothing_found() -> None:
    assert step_summary(MatchedRotations(turned(0, 0), np.zeros(2, bool)), turned(0, 1), 1) == (
        *[None] * 6,
        0.0,
        2,
    )


def test_rotations_go_to_the_labelled_faces() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]])
    picture = LabelledPhoto(Path("x"), "", 3, boxes, np.full((3, 4), np.nan))
    found = HeadPredictions(boxes[[2, 0]], np.array([0.9, 0.8]), turned(7, 8), turned(7, 8))
    both = match_rotations([found, found], [found.rotation] * 2, [picture, LabelledPhoto(Path("y"), "")])
    assert both.found.tolist() == [True, False, True]
    assert geodesic_deg(both.rotation, turned(8, 0, 7)).max() < 1e-3


def test_a_turning_head_changes_nothing_but_its_yaw() -> None:
    every = list(Turning(seed=3, count=2, yaw_deg=2).scenes())
    assert [ranges["yaw_deg"] for _, ranges in every] == [(yaw, yaw) for yaw in (-2, -1, 0, 1, 2)] * 2
    assert all(ranges["pitch_deg"] == ranges["roll_deg"] == (0, 0) for _, ranges in every)
    drawn = [rng.uniform(size=3).tolist() for rng, _ in every]
    assert drawn[:5] == [drawn[0]] * 5 and drawn[5:] == [drawn[5]] * 5 and drawn[0] != drawn[5]


def test_another_person_in_every_picture_of_a_set() -> None:
    every = list(HeadSet(1, 3, (-80, 80), (-30, 30), (-20, 20)).scenes())
    assert len({rng.uniform() for rng, _ in every}) == 3
    assert every[0][1] == {"yaw_deg": (-80, 80), "pitch_deg": (-30, 30), "roll_deg": (-20, 20)}


class Cascade:
    """Finds the face of bright images, rotated by 10° as seen."""

    min_face: float | None = None

    def __call__(self, pixels: np.ndarray) -> Poses:
        height, width = pixels.shape[:2]
        if pixels.mean() < 128:
            return Poses.empty(width, height)
        box = np.array([[20.0, 12, 44, 40]])
        sight = Camera(width, height).back_project((box[:, :2] + box[:, 2:]) / 2, np.ones(1))
        in_camera = rotation_in_camera(TURN, sight)
        return Poses(box, np.array([0.9]), TURN[None], in_camera, width, height)

    def fpnet(self, images: list, squares: list[np.ndarray]) -> None:
        assert len(squares[0]) == 1


class Placed:
    """The fake analyzer with its face at a distance, so that it has a line of sight."""

    def __init__(self, analyzer: Any) -> None:
        self.analyzer = analyzer

    def __call__(self, source: Any) -> Faces:
        faces = self.analyzer(np.asarray(source))
        return replace(faces, translation_mm=np.tile([0.0, 0, 600], (len(faces), 1)))


@pytest.fixture
def ours(make_analyzer: Any) -> Networks:
    return Networks(Placed(make_analyzer()), Placed(make_analyzer()), Cascade())  # type: ignore[arg-type]


@pytest.fixture
def drawn(tmp_path: Path, pack: Path) -> RenderedHeads:
    """Return six bright images with the data pack's face; true yaws from -5 to 5 by 2."""
    labelled = scene_photos(pack, "val")[0]
    pictures = []
    for index in range(6):
        file = tmp_path / f"{index}.png"
        Image.new("RGB", (WIDTH, HEIGHT), (200 + index,) * 3).save(file)
        pictures.append(
            LabelledPhoto(file, "", 1, labelled.box_xyxy, np.full((1, 4), np.nan), labelled.landmarks_px)
        )
    yaws = turned(*range(-5, 6, 2))
    return RenderedHeads(pictures, yaws, yaws, np.tile([0.0, 0, 600], (6, 1)))


def test_predictions_of_each_system(ours: Networks, drawn: RenderedHeads, tmp_path: Path) -> None:
    predicted = predict_rotations(ours, {}, drawn.photos[:1], tmp_path)
    assert set(predicted) == {FACE, POSE_NET, CASCADE}
    head = predicted[CASCADE][0]
    assert geodesic_deg(head.rotation.astype(np.float64), TURN).max() < 0.05
    assert geodesic_deg(head.camera_rotation.astype(np.float64), TURN).max() > 0.3
    ahead = predicted[FACE][0]
    np.testing.assert_allclose(ahead.camera_rotation, ahead.rotation, atol=1e-6)


@pytest.fixture
def staged(ours: Networks, drawn: RenderedHeads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "load_networks", lambda path: ours)
    monkeypatch.setattr(run, "render_heads", lambda data, wanted, folder: drawn)
    monkeypatch.setattr(speed, "_cascade", lambda networks, min_face: networks.cascade)
    for name in ("frontal_table", "wide_table", "turned_table"):
        row = Table(name, "", ("heads",), [(1,)])
        monkeypatch.setattr(run, name, lambda *arguments, row=row: row)


def test_the_run_measures_every_table(
    staged: None, pack: Path, tmp_path: Path, fake_peers: dict[str, Path]
) -> None:
    out = tmp_path / "out"
    report = run_rotation(pack, out, fake_peers, config=RotationConfig(6, 2, 2, 2, 1))
    rendered, turning, photos, times, found, *others = report.tables
    assert [table.title for table in others] == ["frontal_table", "wide_table", "turned_table"]
    names = [FACE, POSE_NET, CASCADE, "MediaPipe FaceMesh"]
    assert [row[1] for row in rendered.rows[:4]] == names and [row[0] for row in turning.rows] == names
    assert rendered.rows[0][2] == pytest.approx(3, abs=1e-5)  # mean of |-5|, |-3|, |-1| …
    assert [row[0] for row in photos.rows] == ["val scenes"] * 4 + ["AFW scenes"] * 4
    assert [row[:2] for row in times.rows] == [
        ("FPNet for one face", "MediaPipe FaceMesh, whole"),
        ("cascade with FPNet", "MTCNN, whole"),
    ]
    assert [row[-1] for row in times.rows] == [2, 2]
    assert [row[:4] for row in found.rows] == [
        (name, smallest, 100, 100)
        for smallest in (40, 20)
        for name in ("cascade with FPNet", "MTCNN (facenet-pytorch)")
    ]
    assert all(len(row) == len(table.columns) for table in report.tables for row in table.rows)
    assert (out / "rotation.md").is_file() and (out / "rotation.json").is_file()


def test_sections(staged: None, pack: Path, tmp_path: Path) -> None:
    report = run_rotation(pack, tmp_path / "out", {}, only=["turning"])
    assert [table.title for table in report.tables] == ["A head that turns"]
    run_rotation(pack, tmp_path / "out", {}, only=["wide"])  # the other tables stay
    saved = json.loads((tmp_path / "out" / "rotation.json").read_text())
    assert [table["title"] for table in saved["tables"]] == ["A head that turns", "wide_table"]
    assert "facegeom" in saved["about"]["wide_table"]
    with pytest.raises(InputError, match=f"among {', '.join(SECTIONS)}, got nothing"):
        run_rotation(pack, tmp_path / "out", {}, only=["nothing"])


def test_a_failing_section_loses_no_earlier_one(
    staged: None, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(bench: run.RotationBench) -> list[Table]:
        raise RuntimeError("late")

    monkeypatch.setattr(run, "SECTIONS", {"turning": run.turning, "wide": run.wide, "late": fail})
    with pytest.raises(RuntimeError, match="late"):
        run_rotation(pack, tmp_path / "out", {})
    saved = json.loads((tmp_path / "out" / "rotation.json").read_text())
    assert [table["title"] for table in saved["tables"]] == ["A head that turns", "wide_table"]


def test_a_missing_fpnet_is_reported_first(pack: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot load the network"):
        run_rotation(pack, tmp_path / "out", {}, tmp_path / "none.onnx")
    assert not (tmp_path / "out").exists()


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.1, 5))
def test_towards_carries_the_z_axis_onto_the_direction(x: float, y: float, z: float) -> None:
    direction = np.array([x, y, z])
    turn = rotation_to_line_of_sight(direction)
    np.testing.assert_allclose(turn @ [0, 0, np.linalg.norm(direction)], direction, atol=1e-9)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)


@pytest.mark.parametrize("angles", [(0, 0, 0), (30, -10, 5), (-25, 20, -30)])
@pytest.mark.parametrize("offset_mm", [(0, 0), (250, -150)])
def test_the_rotation_of_a_mesh_seen_off_centre(
    angles: tuple[float, float, float], offset_mm: tuple[float, float]
) -> None:
    camera = Camera(640, 480)
    truth = rotation_from_angles(*angles)
    head = canonical_mm() @ truth.T
    far = np.array([*offset_mm, 900.0])
    sight = rotation_to_line_of_sight(far)
    seen = (head @ sight) * 0.5  # orthographic, along the line of sight
    seen[:, :2] += far[:2] / far[2] * camera.focal_px + camera.centre_px - seen[:, :2].mean(axis=0)
    assert geodesic_deg(mesh_rotations(seen[None])[0], sight.T @ truth) < 0.1


def test_summary_counts_only_found_and_chosen_heads() -> None:
    truth = np.stack([rotation_from_angles(yaw, 0, 0) for yaw in (0, 10, 20, 30)])
    given_turns = np.stack([rotation_from_angles(yaw, 0, 0) for yaw in (2, 18, 90, 90)])
    matched = MatchedRotations(given_turns, np.array([True, True, False, True]))
    row = summary(matched, truth, np.array([True, True, True, False]))
    assert row == pytest.approx((5, 0, 0, 5, 50, 100, 100, 50, 200 / 3, 3), abs=1e-6)


def test_summary_of_no_found_head_has_no_errors() -> None:
    matched = MatchedRotations(np.tile(np.eye(3), (2, 1, 1)), np.zeros(2, bool))
    assert summary(matched, np.tile(np.eye(3), (2, 1, 1)), np.ones(2, bool)) == (*[None] * 8, 0.0, 2)


def test_a_picture_without_a_mesh_has_no_rotation() -> None:
    assert mesh_rotations(np.zeros((0,))).shape == (0, 3, 3)
    two = mesh_rotations(np.stack([canonical_mm() + 300] * 2))
    assert two.shape == (2, 3, 3) and geodesic_deg(two[0], two[1]) < 1e-3

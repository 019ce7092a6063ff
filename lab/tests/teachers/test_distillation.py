"""The distillation set: which windows are examples of what, shards that resume, what training sees."""

from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom.geometry.boxes import square
from facegeom.geometry.rotation import (
    angles_from_rotation,
    geodesic_deg,
    rotation_from_6d,
    rotation_from_angles,
    rotation_to_6d,
)
from facegeom.image.crop import crop_squares
from facegeom_lab.datasets.training.pose_photos import PosePhoto, five_point_photo, pack_photos
from facegeom_lab.datasets.training.pose_windows import (
    MIRRORED_VECTORS,
    PoseWindows,
    _warp_window,
    balanced,
)
from facegeom_lab.synth import face_profiling
from facegeom_lab.teachers import distillation
from facegeom_lab.teachers.distillation import (
    FACE,
    INSIDE,
    OUTSIDE,
    STORED_PX,
    STORED_SCALE,
    build,
    choose,
)
from facegeom_lab.teachers.pose import PointsTeacher, pose_teachers

FIVE = np.array([[130.0, 130], [170, 130], [150, 150], [135, 170], [165, 170]])


def photo(**changes: object) -> PosePhoto:
    """One face in the square 100..200 of a grey photo."""
    values: dict = {
        "name": "one",
        "read": lambda: np.full((300, 300, 3), 90, np.uint8),
        "five": FIVE[None],
        "squares_xyxy": np.array([[100.0, 100, 200, 200]]),
        "others_xyxy": np.zeros((0, 4)),
        "rotation": rotation_from_angles(20, 5, -10)[None],
    }
    return PosePhoto(**values | changes)


WINDOWS = np.array(
    [
        [90.0, 95, 210, 215],  # all five points, but wider than the face
        [102, 101, 202, 201],  # the face
        [120, 115, 160, 155],  # an eye and the nose
        [10, 10, 60, 60],  # nothing
        [0, 200, 90, 290],  # nothing
        [220, 220, 260, 260],  # nothing
        [60, 60, 150, 150],  # a part of the face and as much beside it
    ]
)


def test_choice_by_the_rules() -> None:
    chosen = choose(WINDOWS, photo(), np.random.default_rng(0))
    assert chosen.kind.tolist() == [FACE, OUTSIDE, OUTSIDE, OUTSIDE, INSIDE]
    assert chosen.window[0] == 1 and chosen.window[4] == 2
    assert set(chosen.window[1:4].tolist()) == {3, 4, 5} and chosen.face.tolist() == [0, -1, -1, -1, -1]


def test_a_window_that_cuts_a_point_off_is_no_face() -> None:
    chosen = choose(np.array([[100.0, 100, 168, 168]]), photo(), np.random.default_rng(0))
    assert FACE not in chosen.kind


def test_faces_without_points_are_no_examples() -> None:
    other = photo(others_xyxy=np.array([[5.0, 5, 65, 65], [0, 195, 95, 295]]))
    chosen = choose(WINDOWS, other, np.random.default_rng(0))
    assert chosen.window[chosen.kind == OUTSIDE].tolist() == [5]


def test_nothing_proposed_nothing_chosen() -> None:
    assert len(choose(np.zeros((0, 4)), photo(), np.random.default_rng(0)).kind) == 0
    empty = photo(five=np.zeros((0, 5, 2)), squares_xyxy=np.zeros((0, 4)), rotation=np.zeros((0, 3, 3)))
    assert set(choose(WINDOWS, empty, np.random.default_rng(0)).kind.tolist()) == {OUTSIDE}


@pytest.mark.parametrize(
    ("outside", "inside", "kept"),
    [(15, 5, (10, 5)), (8, 9, (8, 4)), (7, 0, (7, 0)), (1, 3, (1, 3)), (0, 0, (0, 0))],
)
def test_two_outside_for_each_inside_over_the_set(outside: int, inside: int, kept: tuple[int, int]) -> None:
    kind = np.repeat((FACE, OUTSIDE, INSIDE), (4, outside, inside))
    chosen = kind[balanced(kind)]
    assert ((chosen == FACE).sum(), (chosen == OUTSIDE).sum(), (chosen == INSIDE).sum()) == (4, *kept)


def test_square_of_five_points() -> None:
    made = five_point_photo("x", lambda: np.zeros((1, 1, 3), np.uint8), FIVE)
    left, top, right, bottom = made.squares_xyxy[0]
    assert right - left == pytest.approx(bottom - top) == pytest.approx(2.72 * 40)
    assert (left + right) / 2 == pytest.approx(150) and (top + bottom) / 2 < 150
    assert np.isnan(made.rotation).all()


class _Proposals:
    """A cascade that proposes the same windows for every photo."""

    def __init__(self, *_: object) -> None: ...

    def __call__(self, images: list, _: list) -> list[tuple[np.ndarray, np.ndarray]]:
        return [(WINDOWS, np.ones(len(WINDOWS)))] * len(images)


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(distillation, "CascadeDetector", _Proposals)
    monkeypatch.setattr(distillation, "SHARD", 2)
    photos = [photo(name=str(index)) for index in range(5)]
    counts = build(photos, tmp_path, {"points": PointsTeacher()})
    assert counts == {"faces": 5, "outside": 15, "inside": 5}
    return tmp_path


def test_shards(built: Path) -> None:
    assert [file.name for file in sorted(built.iterdir())] == [f"poses_0000{n}.npz" for n in range(3)]
    with np.load(built / "poses_00000.npz") as arrays:
        face = arrays["kind"] == FACE
        assert arrays["windows"].shape == (10, STORED_PX, STORED_PX, 3)
        np.testing.assert_allclose(arrays["offsets"][face], [[-0.02, -0.01, -0.02, -0.01]] * 2, atol=1e-6)
        assert np.isnan(arrays["offsets"][~face]).all()
        turned = rotation_from_6d(arrays["raw_points"][face].astype(np.float64))
        assert geodesic_deg(turned, rotation_from_angles(20, 5, -10)).max() < 1e-3


def test_resume_makes_only_what_is_missing(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {file: file.stat().st_mtime_ns for file in built.iterdir()}
    missing = built / "poses_00001.npz"
    content = dict(np.load(missing))
    missing.unlink()
    build([photo(name=str(index)) for index in range(5)], built, {"points": PointsTeacher()})
    assert {file for file, time in before.items() if file.stat().st_mtime_ns != time} == {missing}
    for name, array in np.load(missing).items():
        np.testing.assert_array_equal(array, content[name])
    with pytest.raises(InputError, match="other photos or teachers"):
        build([photo(name="another")] * 5, built, {"points": PointsTeacher()})


def test_windows_without_augmentation(built: Path) -> None:
    windows = PoseWindows(built, "points", plain=True)
    sample = windows[0]
    assert sample["window"].shape == (3, 48, 48) and sample["face"] == 1
    np.testing.assert_allclose(sample["offsets"], [-0.02, -0.01, -0.02, -0.01], atol=1e-6)
    assert len(windows) == 20 and windows[1]["face"] == 0


def test_stored_window_holds_the_proposed_one() -> None:
    """The middle 48 of the 64 stored pixels are the window itself."""
    ramp = np.tile(np.linspace(0, 255, 300)[None, :, None], (300, 1, 3)).astype(np.uint8)
    window = np.array([[102.0, 101, 202, 201]])
    stored = crop_squares(ramp, square(window, STORED_SCALE), STORED_PX)[0]
    direct = crop_squares(ramp, window, 48)[0]
    assert np.abs(_warp_window(stored, np.zeros(2), np.eye(2)).astype(int) - direct).max() <= 2


def test_augmentation_keeps_the_face_in_its_place(built: Path) -> None:
    """A bright square drawn where the face's square is stays where the offsets say it is."""
    windows = PoseWindows(built, "points")
    stored = np.zeros((STORED_PX, STORED_PX, 3), np.uint8)
    stored[16:44, 20:48] = 255  # edges 15.5 and 43.5, 19.5 and 47.5; the window's are 7.5 and 55.5
    offsets = np.array([19.5 - 7.5, 15.5 - 7.5, 47.5 - 55.5, 43.5 - 55.5]) / 48
    rng = np.random.default_rng(5)
    for _ in range(20):
        image, moved, _ = windows._augmented(rng, stored, offsets, np.ones(6, np.float32))
        levels = image.astype(float).mean(axis=2)
        lit = levels > (levels.min() + levels.max()) / 2
        box = np.array([0, 0, 1, 1]) + moved
        middle, side = (np.argwhere(lit).mean(axis=0)[::-1] + 0.5) / 48, np.sqrt(lit.mean())
        # a turned square keeps its middle
        np.testing.assert_allclose((box[:2] + box[2:]) / 2, middle, atol=0.02)
        np.testing.assert_allclose(box[2:] - box[:2], side, atol=0.03)


def test_vectors_turn_with_the_picture(built: Path) -> None:
    """The way from dark to bright in the image stays the way of the head's first axis."""
    windows = PoseWindows(built, "points")
    stored = np.zeros((STORED_PX, STORED_PX, 3), np.uint8)
    stored[:, STORED_PX // 2 :] = 255
    rng, turns = np.random.default_rng(5), []
    for _ in range(20):
        image, _, raw = windows._augmented(rng, stored, np.zeros(4), np.array([1.0, 0, 0, 0, 1, 0]))
        levels = image.astype(float).mean(axis=2)
        down, across = np.gradient(levels)
        way = np.array([across.sum(), down.sum()]) / np.hypot(across.sum(), down.sum())
        assert abs(way[0] * raw[1] - way[1] * raw[0]) < 0.06  # along it; mirrored images have it reversed
        np.testing.assert_allclose(rotation_from_6d(raw)[2, 2], 1, atol=1e-6)
        turns.append(np.rad2deg(np.arctan2(raw[1], raw[0])))
    assert np.std(turns) > 5


def test_mirrored_vectors() -> None:
    rotation = rotation_from_angles(25, -10, 15)
    mirrored = rotation_from_6d(rotation_to_6d(rotation) * MIRRORED_VECTORS)
    np.testing.assert_allclose(mirrored, rotation_from_angles(-25, -10, -15), atol=1e-12)


def test_missing_sets_and_teachers(built: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the shards"):
        PoseWindows(tmp_path / "none", "points")
    with pytest.raises(InputError, match="it has those of points"):
        PoseWindows(built, "face")


@pytest.mark.parametrize(
    ("names", "model"),
    [
        (["nobody"], None),
        ([], None),
        (["6drepnet"], None),
        (["points"], Path("x")),
        (["6drepnet", "6drepnet-published"], Path("x")),
    ],
)
def test_bad_teachers(names: list[str], model: Path | None) -> None:
    with pytest.raises(InputError, match="expected"):
        pose_teachers(names, model)


def test_photos_of_the_pack(training_pack) -> None:
    photos = pack_photos(training_pack.data, training_pack.labels, "train", training_pack.rendered)
    kinds = [photo.name.split("/")[0] for photo in photos]
    assert [kinds.count(kind) for kind in ("scenes", "faces", "backgrounds", "rendered")] == [3, 10, 200, 3]
    faces = [photo for photo in photos if photo.name.startswith("faces/")]
    for one, head in zip(faces, training_pack.heads, strict=False):
        assert geodesic_deg(one.rotation[0], head.rotation) < 4  # seen from far away, not from 1 m
        assert one.read().shape == (160, 160, 3)
    assert (faces[0].read()[80, :10] == 127).all()  # the black beside the photo
    by_people, by_a_teacher = photos[:2]
    assert len(by_people.five) == 1 and len(by_people.others_xyxy) == 0
    assert len(by_a_teacher.five) == 0 and len(by_a_teacher.others_xyxy) == 1


def test_turned_faces_follow_the_rendered_heads(training_pack, tmp_path: Path) -> None:
    for shard in training_pack.rendered.glob("synth_*.npz"):
        (tmp_path / shard.name).write_bytes(shard.read_bytes())
    face_profiling.run(training_pack.data, training_pack.labels, 2, tmp_path)
    photos = pack_photos(training_pack.data, training_pack.labels, "train", tmp_path)
    turned = photos[-2:]
    assert [photo.name for photo in turned] == ["profiled/profile_0000#0", "profiled/profile_0000#1"]
    assert photos[-3].name.startswith("rendered/")
    for photo in turned:
        assert photo.read().shape == (192, 192, 3) and photo.read().dtype == np.uint8
        assert abs(angles_from_rotation(photo.rotation[0])[0]) > 30

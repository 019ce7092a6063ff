"""Faces turned further: the head moves as one body, pixels go along, hidden points are known, sets resume."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom.geometry.rotation import angles_from_rotation, geodesic_deg, rotation_from_angles
from facegeom_lab.datasets.training.face_labels import profiled_faces, synthetic_faces
from facegeom_lab.synth.face_profiling import SIZE_PX, Profiled, profile, run

NOSE = 1


def turned(face, turn_deg: float, image: np.ndarray | None = None) -> Profiled:
    grey = np.full((160, 160, 3), 90, np.uint8) if image is None else image
    points = [int(np.linalg.norm(face.mesh[:, :2] - point, axis=1).argmin()) for point in face.landmarks]
    return profile(grey, face.mesh, face.landmarks, face.mesh[points, 2], turn_deg)


def test_no_turn_changes_nothing(make_head) -> None:
    face = make_head(20, 5, -8)
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (160, 160, 4), dtype=np.uint8), (0, 0), 2)
    same = turned(face, 0, image)
    np.testing.assert_allclose(same.mesh, face.mesh, atol=1e-9)
    np.testing.assert_allclose(same.landmarks, face.landmarks, atol=1e-9)
    assert np.abs(same.image.astype(int) - image).max() <= 2


@pytest.mark.parametrize(("angles", "turn"), [((10, 0, 0), 60), ((-20, 10, 5), -55), ((0, -15, 20), 40)])
def test_head_turns_as_one_body(make_head, angles: tuple, turn: float) -> None:
    face = make_head(*angles)
    after = turned(face, turn)
    expected = rotation_from_angles(angles[0] + turn, *angles[1:])
    assert geodesic_deg(after.rotation, expected) < 0.2
    shape = (face.mesh - face.mesh.mean(axis=0)) @ face.rotation
    moved = (after.mesh - after.mesh.mean(axis=0)) @ after.rotation
    np.testing.assert_allclose(moved, shape, atol=0.2)


@pytest.mark.parametrize("turn", [35, -50, 65])
def test_pixels_go_with_the_mesh(make_head, turn: float) -> None:
    """A dot painted on the tip of the nose is on the tip of the nose afterwards."""
    face = make_head(np.sign(turn) * 12, 0, 0)
    image = np.zeros((160, 160, 3), np.uint8)
    cv2.circle(image, tuple(np.rint(face.mesh[NOSE, :2]).astype(int).tolist()), 3, (255, 255, 255), -1)
    after = turned(face, turn, image)
    rows, columns = np.nonzero(after.image[..., 0] > 128)
    seen = np.array([columns.mean(), rows.mean()])
    assert np.linalg.norm(seen - after.mesh[NOSE, :2]) < 2.5


def test_far_side_is_hidden(make_head) -> None:
    """Of the outer corners of the eyes (points 36 and 45) the one behind the nose."""
    assert turned(make_head(10, 0, 0), 65).visible[[36, 45]].tolist() == [True, False]
    assert turned(make_head(-10, 0, 0), -65).visible[[36, 45]].tolist() == [False, True]
    assert turned(make_head(0, 0, 0), 0).visible[[36, 45]].all()


def test_what_is_outside_stays_outside(make_head) -> None:
    image = np.full((160, 160, 4), 200, np.uint8)
    image[:, :12, 3] = 0
    after = turned(make_head(0, 0, 0), -50, image)
    assert after.image.shape == image.shape and (after.image[:, 0, 3] == 0).all()


def test_yaw_beyond_profile_is_refused(make_head) -> None:
    with pytest.raises(InputError, match="within ±90°"):
        turned(make_head(50, 0, 0), 60)


def test_sets_are_deterministic_and_resume(training_pack, tmp_path: Path) -> None:
    first = run(
        training_pack.data, training_pack.labels, 3, tmp_path / "a", seed=4, preview=tmp_path / "s.png"
    )
    again = run(training_pack.data, training_pack.labels, 3, tmp_path / "b", seed=4)
    with np.load(first[0]) as one, np.load(again[0]) as two:
        for name in one.files:
            np.testing.assert_array_equal(one[name], two[name])
        assert one["images"].shape == (3, SIZE_PX, SIZE_PX, 4)
        yaw = np.abs(angles_from_rotation(one["rotation"])[:, 0])
        assert (yaw > 34).all() and (yaw < 86).all()
    assert (tmp_path / "s.png").is_file()
    stamp = first[0].stat().st_mtime_ns
    run(training_pack.data, training_pack.labels, 3, tmp_path / "a", seed=4)
    assert first[0].stat().st_mtime_ns == stamp
    with pytest.raises(InputError, match="another seed"):
        run(training_pack.data, training_pack.labels, 3, tmp_path / "a", seed=5)


def test_labels_for_training(training_pack, tmp_path: Path) -> None:
    shards = run(training_pack.data, training_pack.labels, 2, tmp_path)
    images, labels = profiled_faces(shards)
    assert len(images) == len(labels) == 2 and set(np.unique(labels.landmarks_weight)) <= {
        np.float32(0.5),
        np.float32(0.15),
    }
    more, both = synthetic_faces(tmp_path)
    assert len(more) == 2 and both is not None and synthetic_faces(None) == ([], None)


@pytest.mark.parametrize(("count", "seed"), [(0, 0), (3, -1)])
def test_bad_arguments(training_pack, tmp_path: Path, count: int, seed: int) -> None:
    with pytest.raises(InputError, match="at least"):
        run(training_pack.data, training_pack.labels, count, tmp_path, seed)

"""MediaPipe's meshes: the worker pool; labels of the data pack: central face, mirror map, what is kept."""

import sys
from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import FacegeomError, ImageError
from facegeom.geometry import topology
from facegeom.geometry.rotation import rotation_from_angles
from facegeom_lab.teachers import mediapipe
from facegeom_lab.teachers.consistency import unmirror
from facegeom_lab.teachers.linear_map import LinearMap
from facegeom_lab.teachers.mediapipe import Views, mesh_workers

PYTHON = Path(sys.executable)
WIDTH = 200
MIRROR = topology.mirror()
MARKUP = np.r_[0:36, 33, 36:44, 263, 45:67]  # 68 mesh points, the outer eye corners where the markup has them


def meshes(count: int, noise: float = 0.2) -> np.ndarray:
    """Return heads (count, 478, 3) in images of 200 pixels; eyes about 95 pixels apart."""
    rng = np.random.default_rng(21)
    rotation = rotation_from_angles(*rng.uniform(-20, 20, (3, count)))
    turned = topology.canonical_mm() @ np.swapaxes(rotation, 1, 2) + (WIDTH / 2, 80, 0)
    return turned + rng.normal(0, noise, turned.shape)


def seen_in_a_mirror(mesh: np.ndarray) -> np.ndarray:
    """Return a perfect teacher's meshes of the mirrored images: points keep their meaning, not their side."""
    return mesh[:, MIRROR] * (-1, 1, 1) + (WIDTH - 1, 0, 0)


@pytest.mark.parametrize("workers", [1, 3])
def test_meshes_keep_the_order_of_the_images(fake_teacher: object, tmp_path: Path, workers: int) -> None:
    counts = [(0, 0), (1, 1), (3, 2), (2, 3), (0, 1), (1, 0), (3, 3)]
    images = [fake_teacher.image(tmp_path / f"{k}.png", *pair) for k, pair in enumerate(counts)]
    with mesh_workers(PYTHON, workers, max_faces=3) as pool:
        found = list(pool.find(images))
    assert [(len(views.plain), len(views.mirrored)) for views in found] == counts
    np.testing.assert_allclose(found[2].plain, fake_teacher.heads, atol=1e-4)
    assert (found[2].width, found[2].height) == (60, 60)
    assert pool.edges.tolist() == [[0, 1]]


def test_errors_of_unreadable_images_keep_their_place(fake_teacher: object, tmp_path: Path) -> None:
    good = fake_teacher.image(tmp_path / "good.png", 1, 1)
    bad = tmp_path / "bad.png"
    bad.write_text("no picture")
    with mesh_workers(PYTHON, 2, max_faces=3) as pool:
        found = list(pool.find([bad, good, tmp_path / "missing.png"]))
    assert [type(one) for one in found] == [ImageError, Views, ImageError]


def test_a_worker_that_stops_is_an_error(fake_teacher: object, tmp_path: Path) -> None:
    images = [fake_teacher.image(tmp_path / f"{k}.png", 1, 1, shift=255 * (k == 1)) for k in range(3)]
    with (
        pytest.raises(FacegeomError, match=r"stopped with exit code 1; its last output:\nout of memory"),
        mesh_workers(PYTHON, 1, max_faces=3) as pool,
    ):
        list(pool.find(images))


@pytest.mark.usefixtures("fake_teacher")
def test_a_worker_that_does_not_start_is_an_error(tmp_path: Path) -> None:
    model = tmp_path / "face_landmarker.task"
    model.write_text("something else")
    with pytest.raises(FacegeomError, match="no such model"), mesh_workers(PYTHON, 2, 3, model):
        pass


def test_mirror_map_from_pairs() -> None:
    mesh = meshes(30)
    back = unmirror(seen_in_a_mirror(mesh), WIDTH, np.arange(478))
    np.testing.assert_array_equal(mediapipe.derive_mirror(mesh, back), MIRROR)


def test_ambiguous_mirror_map_raises() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(FacegeomError, match="mirror map of 2 faces is ambiguous; label more"):
        mediapipe.derive_mirror(rng.normal(size=(2, 478, 3)), rng.normal(size=(2, 478, 3)))


def test_human_error_is_inter_ocular_and_nan_without_points() -> None:
    first68 = LinearMap(np.arange(68)[:, None], np.ones((68, 1)))
    mesh = meshes(2, 0.0)
    landmarks = mesh[:, :68, :2] + (0, 2)
    landmarks[1] = np.nan
    eyes = np.linalg.norm(landmarks[0, 36] - landmarks[0, 45])
    found = mediapipe.human_error(mesh, landmarks, first68)
    assert found[0] == pytest.approx(2 / eyes) and np.isnan(found[1])


def test_the_face_nearest_to_the_middle_counts() -> None:
    mesh = meshes(3, 0.0) + np.array([-60, 5, 40])[:, None, None] * (1, 0, 0)
    np.testing.assert_array_equal(mediapipe.central(mesh, WIDTH, 160), mesh[1])
    assert np.isnan(mediapipe.central(mesh[:0], WIDTH, 160)).all()


def test_central_faces_of_pictures(fake_teacher: object, tmp_path: Path) -> None:
    counts = [(3, 3), (0, 2), (3, 0)]
    images = [fake_teacher.image(tmp_path / f"{k}.png", *pair) for k, pair in enumerate(counts)]
    found = mediapipe.find_central(images, PYTHON, 2)
    assert np.isnan(found.mesh[:, 0, 0]).tolist() == [False, True, False]
    assert np.isnan(found.mirrored[:, 0, 0]).tolist() == [False, False, True]
    np.testing.assert_allclose(found.mesh[0], fake_teacher.heads[1], atol=1e-4)
    assert found.widths.tolist() == [60, 60, 60] and found.edges.tolist() == [[0, 1]]


@pytest.mark.usefixtures("fake_teacher")
def test_a_picture_of_the_pack_that_is_missing_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such file"):
        mediapipe.find_central([tmp_path / "missing.png"], PYTHON, 1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Sixty faces of HELEN with their points; the images themselves are not read."""
    faces = tmp_path / "faces"
    faces.mkdir()
    names = [f"helen/{k:05d}.jpg" for k in range(60)]
    rows = [f"{name},helen,train,{WIDTH},68,{k}.jpg,helen:{k}" for k, name in enumerate(names)]
    header = "file,source,split,size_px,landmarks,origin,person"
    (faces / "faces.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    landmarks = meshes(60)[:, MARKUP, :2]
    landmarks[7] += 40  # people and teacher disagree
    np.savez(faces / "landmarks68.npz", files=np.array(names), points_xy=landmarks)
    return tmp_path


def test_labels_that_disagree_are_dropped(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = meshes(60)
    mirrored = seen_in_a_mirror(mesh)
    mirrored[3] += 8  # the teacher disagrees with itself
    mesh[5] = np.nan  # no face found
    found = mediapipe.CentralMeshes(mesh, mirrored, np.full(60, WIDTH), topology.edges())
    monkeypatch.setattr(mediapipe, "find_central", lambda images, python, workers: found)
    counts = mediapipe.label_pack(data, data / "labels.npz", PYTHON)
    assert counts == {"pictures": 60, "found": 59, "unsure": 1, "against the human points": 1, "kept": 57}
    with np.load(data / "labels.npz") as arrays:
        assert np.flatnonzero(~arrays["keep"]).tolist() == [3, 5, 7]
        np.testing.assert_array_equal(arrays["mirror"], MIRROR)
        np.testing.assert_allclose(arrays["mesh"][0], mesh[0], atol=1e-6)
        assert arrays["files"][0] == "helen/00000.jpg"

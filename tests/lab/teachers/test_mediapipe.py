"""The mesh teacher's answers: mirrored back, paired, compared, merged over workers, kept or dropped."""

import sys
from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import FacegeomError
from facegeom.geometry import topology
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.lab.teachers import mediapipe
from facegeom.lab.teachers.linear_map import LinearMap

WIDTH = 200
MIRROR = topology.mirror()
MARKUP = np.r_[0:36, 33, 36:44, 263, 45:67]  # 68 mesh points, the outer eye corners where the markup has them


def meshes(count: int, noise: float = 0.2) -> np.ndarray:
    """(count, 478, 3) heads in pictures of 200 pixels; eyes about 95 pixels apart."""
    rng = np.random.default_rng(21)
    rotation = rotation_from_angles(*rng.uniform(-20, 20, (3, count)))
    turned = topology.canonical_mm() @ np.swapaxes(rotation, 1, 2) + (WIDTH / 2, 80, 0)
    return turned + rng.normal(0, noise, turned.shape)


def seen_in_a_mirror(mesh: np.ndarray) -> np.ndarray:
    """What a perfect teacher says of the mirrored pictures: its points keep their meaning, not their side."""
    return mesh[:, MIRROR] * (-1, 1, 1) + (WIDTH - 1, 0, 0)


def test_unmirror_by_hand() -> None:
    mirrored = np.zeros((2, 3, 3))
    mirrored[0, 0], mirrored[1, 2] = (0, 7, 9), (30, 5, -4)
    back = mediapipe.unmirror(mirrored, np.array([10, 100]))
    assert back[0, 0].tolist() == [9, 7, 9]  # the first column is the last
    assert back[1, 2].tolist() == [69, 5, -4]
    assert mirrored[0, 0].tolist() == [0, 7, 9]  # the argument stays as it was


def test_unmirror_is_an_involution() -> None:
    widths = np.array([200, 300, 17])
    found = mediapipe.unmirror(mediapipe.unmirror(meshes(3), widths), widths)
    np.testing.assert_allclose(found, meshes(3))


def test_mirror_map_from_pairs() -> None:
    mesh = meshes(30)
    back = mediapipe.unmirror(seen_in_a_mirror(mesh), np.full(30, WIDTH))
    np.testing.assert_array_equal(mediapipe.derive_mirror(mesh, back), MIRROR)


def test_ambiguous_mirror_map_raises() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(FacegeomError, match="mirror map of 2 faces is ambiguous; label more"):
        mediapipe.derive_mirror(rng.normal(size=(2, 478, 3)), rng.normal(size=(2, 478, 3)))


def test_mirror_error_is_a_share_of_the_eye_distance() -> None:
    mesh = meshes(2, 0.0)
    other = mesh + np.array([3, 4, 100])  # 5 pixels apart; z does not count
    eyes = np.linalg.norm(mesh[:, 33, :2] - mesh[:, 263, :2], axis=1)
    np.testing.assert_allclose(mediapipe.mirror_error(mesh, other), 5 / eyes)
    np.testing.assert_allclose(mediapipe.mirror_error(mesh, mesh), 0)


def test_human_error_is_inter_ocular_and_nan_without_points() -> None:
    first68 = LinearMap(np.arange(68)[:, None], np.ones((68, 1)))
    mesh = meshes(2, 0.0)
    landmarks = mesh[:, :68, :2] + (0, 2)
    landmarks[1] = np.nan
    eyes = np.linalg.norm(landmarks[0, 36] - landmarks[0, 45])
    found = mediapipe.human_error(mesh, landmarks, first68)
    assert found[0] == pytest.approx(2 / eyes) and np.isnan(found[1])


FAKE_WORKER = """
import sys
import numpy as np

with open(sys.argv[1]) as lines:
    names = [line.strip() for line in lines]
if "broken" in names:
    print("no such model", file=sys.stderr)
    raise SystemExit(3)
mesh = np.full((len(names), 478, 3), np.nan, np.float32)
for row, name in enumerate(names):
    if name.isdigit():
        mesh[row] = int(name)
    print(row + 1, flush=True)
np.savez(sys.argv[2], mesh=mesh, mirrored=-mesh, edges=np.array([[0, 1]]))
"""


@pytest.fixture
def fake_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A teacher that answers with the number that is a picture's name."""
    script = tmp_path / "mediapipe_worker.py"
    script.write_text(FAKE_WORKER, encoding="utf-8")
    monkeypatch.setattr(mediapipe, "__file__", str(tmp_path / "mediapipe.py"))


@pytest.mark.usefixtures("fake_worker")
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_answers_of_several_workers_keep_the_order(workers: int) -> None:
    pictures = [Path(name) for name in ("0", "1", "nobody", "3", "4", "5", "6")]
    answers = mediapipe.ask(pictures, Path(sys.executable), workers)
    expected = [0, 1, np.nan, 3, 4, 5, 6]
    np.testing.assert_array_equal(answers.mesh[:, 477, 2], expected)
    np.testing.assert_array_equal(answers.mirrored[:, 0, 0], np.negative(expected))
    assert answers.edges.tolist() == [[0, 1]]


@pytest.mark.usefixtures("fake_worker")
def test_a_worker_that_fails_stops_the_run() -> None:
    with pytest.raises(FacegeomError, match=r"exit code 3; it said:\nno such model"):
        mediapipe.ask([Path("1"), Path("broken")], Path(sys.executable), 2)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Sixty faces of HELEN with their points; the pictures themselves are not read."""
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
    answers = mediapipe.Answers(mesh, mirrored, topology.edges())
    monkeypatch.setattr(mediapipe, "ask", lambda pictures, python, workers: answers)
    counts = mediapipe.label(data, data / "labels.npz", Path(sys.executable))
    assert counts == {"pictures": 60, "found": 59, "unsure": 1, "against the human points": 1, "kept": 57}
    with np.load(data / "labels.npz") as arrays:
        assert np.flatnonzero(~arrays["keep"]).tolist() == [3, 5, 7]
        np.testing.assert_array_equal(arrays["mirror"], MIRROR)
        np.testing.assert_allclose(arrays["mesh"][0], mesh[0], atol=1e-6)
        assert arrays["files"][0] == "helen/00000.jpg"

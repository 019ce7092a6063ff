"""The Basel Face Model's two kinds of files, written small: the canonical mesh as the mean face."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from facegeom.depth.mesh_depth import closed_triangles
from facegeom.errors import InputError
from facegeom.geometry import topology
from facegeom.geometry.camera import Camera
from facegeom_lab.synth.anatomy import face_depth
from facegeom_lab.synth.basel import load_basel

AXES = np.array([1, -1, -1])
SHIFT_MM = np.array([3.0, -20, 70])


def face() -> tuple[np.ndarray, np.ndarray]:
    """Vertices (478, 3) in the files' axes, anywhere, 5 % too large, and triangles."""
    triangles = closed_triangles()
    return 1.05 * topology.canonical_mm() * AXES + SHIFT_MM, triangles[(triangles < 478).all(axis=1)]


@pytest.fixture
def mat(tmp_path: Path) -> Path:
    points, triangles = face()
    content = {
        "shapeMU": points.reshape(-1, 1) * 1000,
        "shapePC": np.tile([[0.0], [0], [1]], (478, 2)),
        "shapeEV": np.array([[2000.0], [500]]),
        "tl": triangles[:, ::-1] + 1,
    }
    savemat(tmp_path / "01_MorphableModel.mat", content)
    return tmp_path / "01_MorphableModel.mat"


@pytest.fixture
def h5(tmp_path: Path) -> Path:
    points, triangles = face()
    with h5py.File(tmp_path / "model2019_bfm.h5", "w") as file:
        file["shape/representer/cells"] = triangles.T
        for name, mean in (("shape", points.ravel()), ("expression", np.zeros(3 * 478))):
            file[f"{name}/model/mean"] = mean
            file[f"{name}/model/pcaBasis"] = np.tile([[0.0], [0], [1]], (478, 2))
            file[f"{name}/model/pcaVariance"] = np.array([4.0, 0.25])
    return tmp_path / "model2019_bfm.h5"


@pytest.mark.parametrize("kind", ["mat", "h5"])
def test_a_face_in_millimetres_in_the_head_frame(kind: str, request: pytest.FixtureRequest) -> None:
    model = load_basel(request.getfixturevalue(kind))
    np.testing.assert_allclose(model.eyes_midpoint(model.neutral_mm), 0, atol=1e-3)
    assert model.neutral_mm[4, 2] == model.neutral_mm[:, 2].min()  # the nose points to the viewer
    np.testing.assert_allclose(model.identity_mm[0], np.tile([0, 0, -2.0], (478, 1)), atol=1e-5)
    assert model.expression_names == (() if kind == "mat" else ("expression0", "expression1"))
    person = model.vertices(np.array([1.0, 0]), np.zeros(len(model.expression_mm)))
    np.testing.assert_allclose(person, model.neutral_mm, atol=1e-3)  # all of it moved: the origin moves along


@pytest.mark.parametrize("kind", ["mat", "h5"])
def test_the_68_points_are_found(kind: str, request: pytest.FixtureRequest) -> None:
    model = load_basel(request.getfixturevalue(kind))
    found = model.neutral_mm[model.landmarks]
    expected = 1.05 * topology.canonical68_mm()
    offset = (found - expected)[17:].mean(axis=0)
    assert np.linalg.norm(found - expected - offset, axis=1)[17:].mean() < 3


def test_it_can_be_drawn(mat: Path) -> None:
    model = load_basel(mat)
    depth = face_depth(model.neutral_mm + np.array([0, 0, 600], np.float32), model, Camera(100, 100, 25))
    assert (depth > 0).mean() > 0.2


@pytest.mark.parametrize("name", ["model.mat", "model.h5"])
def test_no_such_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="found nothing"):
        load_basel(tmp_path / name)
    (tmp_path / name).write_bytes(b"something else")
    with pytest.raises(InputError, match="expected a file of the Basel Face Model"):
        load_basel(tmp_path / name)

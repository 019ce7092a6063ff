"""Training of the expression network on made samples: it learns, resumes, is exported, and needs samples."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom.geometry import topology
from facegeom.geometry.gaze import gaze_from_angles
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.geometry.schemes import ARKIT52
from facegeom.models.engine import Engine
from facegeom.models.regions import FEATURES
from facegeom_lab.datasets.training.expression_samples import ExpressionSamples
from facegeom_lab.evaluation.run import read_metrics
from facegeom_lab.export import export
from facegeom_lab.files import save_npz
from facegeom_lab.training import recipes
from facegeom_lab.training.tasks import expression
from facegeom_lab.training.tasks.expression import ExpressionRecipe
from facegeom_lab.training.trainers import Inputs

JAW = ARKIT52.index("jawOpen")


def samples(count: int) -> ExpressionSamples:
    """Heads whose first feature is the jaw's coefficient and whose second is the yaw of both eyes."""
    rng = np.random.default_rng(1)
    features = np.zeros((count, FEATURES), np.float32)
    features[:, 0], features[:, 1] = rng.uniform(0, 1, count), rng.uniform(-20, 20, count)
    truth = np.zeros((count, len(ARKIT52)), np.float32)
    truth[:, JAW] = features[:, 0]
    rotation = rotation_from_angles(*rng.uniform(-20, 20, (3, count)))
    look = np.tile(gaze_from_angles(features[:, 1], np.zeros(count))[:, None], (1, 2, 1))
    return ExpressionSamples(
        points_mm=np.tile(topology.canonical_mm(), (count, 1, 1)),
        rotation=rotation,
        expression=truth,
        gaze_seen=np.einsum("nde,nke->nkd", rotation, look),
        true_rotation=rotation,
        features=features,
    )


def recipe(epochs: int) -> ExpressionRecipe:
    return recipes.load(ExpressionRecipe, "expression", epochs=epochs, batch=32, ema_decay=0.5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = samples(320)
    save_npz(tmp_path / "expression_0000.npz", **{f.name: getattr(made, f.name) for f in fields(made)})
    return tmp_path


def test_learns_resumes_and_is_exported(folder: Path) -> None:
    out = folder / "run"
    inputs = Inputs(folder, out, rendered=folder)
    expression.train(recipe(2), inputs)
    last = expression.train(recipe(30), inputs)
    log = read_metrics(out)
    gaze = log["val/gaze_deg"][np.isfinite(log["val/gaze_deg"])]
    assert gaze[-1] < 0.6 * gaze[0]
    net = Engine(export("expression", last, folder))
    made = samples(8)
    sixes = made.rotation[..., :2].swapaxes(1, 2).reshape(-1, 6).astype(np.float32)
    points = made.points_mm.astype(np.float32)
    coefficients, look, confidence = net(made.features, points=points, rotation6d=sixes)
    assert coefficients.shape == (8, 52) and coefficients.min() >= 0 and coefficients.max() <= 1
    assert (coefficients[:, -1] == 0).all()
    assert np.corrcoef(coefficients[:, JAW], made.features[:, 0])[0, 1] > 0.8
    np.testing.assert_allclose(np.linalg.norm(look, axis=-1), 1, atol=1e-5)
    assert ((confidence > 0) & (confidence < 1)).all()


def test_rendered_heads_of_each_shard_are_held_out_and_no_real_face(folder: Path) -> None:
    made = samples(50)
    for name in ("expression_0001", "expression_faces_0000"):
        save_npz(folder / f"{name}.npz", **{f.name: getattr(made, f.name) for f in fields(made)})
    data = expression.ExpressionData(recipe(1), folder)
    assert (len(data.training), len(data.checks)) == (320 - 32 + 50 - 5 + 50, 32 + 5)
    trust = data.training.tensors[-1].numpy()  # in shapes that a fit to a real face cannot tell
    assert (trust[:-50] == 1).all() and (trust[-50:, JAW] == 1).all()
    assert (trust[-50:, ARKIT52.index("mouthRollUpper")] < 0.5).all()


def test_a_folder_without_samples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="facegeom lab expressions"):
        expression.train(recipe(1), Inputs(tmp_path, tmp_path / "run", rendered=tmp_path))

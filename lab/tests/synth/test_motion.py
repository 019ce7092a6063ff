"""Expressions of one family of shapes in each of some parts of the face."""

from pathlib import Path

import numpy as np

from facegeom.geometry.rotation import angles_from_rotation
from facegeom_lab.synth.generate import read_samples, synthesise
from facegeom_lab.synth.model import HeadModel
from facegeom_lab.synth.motion import PARTS, sample_motion

SHAPES = {shape for part in PARTS for family in part for shape in family} | {
    f"eyeLook{way}" for way in ("In", "Out", "Up", "Down")
}


class NamedShapes:
    """Stands for the head model: knows the names of its shapes."""

    def __init__(self) -> None:
        whole = {"jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthFunnel", "mouthLeft"}
        whole |= {"mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper"}
        whole |= {"mouthShrugLower", "mouthShrugUpper"}
        sided = sorted(SHAPES - whole)
        self.expression_names = (*sorted(whole), *(f"{name}_{side}" for name in sided for side in "LR"))


def test_expressions_stay_within_their_range_and_move_every_shape() -> None:
    rng, model = np.random.default_rng(3), NamedShapes()
    drawn = np.stack([sample_motion(rng, model) for _ in range(600)])
    assert drawn.min() == 0 and drawn.max() <= 1
    assert (drawn.max(axis=0) > 0.3).all()
    value = dict(zip(model.expression_names, drawn.T, strict=True))
    assert (value["mouthClose"] <= value["jawOpen"]).all()
    for one, other in (("mouthLeft", "mouthRight"), ("eyeLookUp_L", "eyeLookDown_L")):
        assert not ((value[one] > 0) & (value[other] > 0)).any()
    still = (drawn[:, [not name.startswith("eyeLook") for name in model.expression_names]] == 0).all(axis=1)
    assert 0.05 < still.mean() < 0.3


def test_a_set_of_motions_within_a_yaw(
    ball_head: HeadModel, photos: list[np.ndarray], tmp_path: Path
) -> None:
    shards = synthesise(ball_head, photos, 12, tmp_path, size=48, expressions=sample_motion, max_yaw_deg=20)
    samples = read_samples(shards)
    yaw_deg = [angles_from_rotation(sample.rotation.astype(float))[0] for sample in samples]
    assert 5 < np.abs(yaw_deg).max() < 20.1
    assert all(sample.mesh_mm is not None and sample.mesh_mm.shape == (478, 3) for sample in samples)

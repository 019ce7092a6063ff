"""6DRepNet's training on the drawn pack, and the teacher that comes out of it."""

from pathlib import Path

import numpy as np
import pytest
import torch

import facegeom
from facegeom.errors import InputError
from facegeom.geometry.rotation import geodesic_deg, rotation_from_6d
from facegeom.image import reading
from facegeom_lab.evaluation.run import read_metrics
from facegeom_lab.networks.sixdrepnet import SixDRepNet
from facegeom_lab.teachers.pose import FaceTeacher, SixDRepNetTeacher
from facegeom_lab.training.tasks.sixdrepnet import resize
from facegeom_lab.training.trainers import Inputs, train

SMALL = {"size_px": 32, "epochs": 2, "samples_per_epoch": 8, "batch": 4, "precision": "32-true"}


def inputs(training_pack, out: Path, **changes: object) -> Inputs:
    given = {"labels": training_pack.labels, "rendered": training_pack.rendered, "workers": 0}
    return Inputs(training_pack.data, out, **given | changes)


@pytest.mark.slow
def test_a_run_and_its_teacher(training_pack, tmp_path: Path) -> None:
    checkpoint = train("6drepnet", inputs(training_pack, tmp_path), SMALL)["6drepnet"]
    log = read_metrics(tmp_path)
    assert len(log["val/geodesic_deg"]) == 2 and np.isfinite(log["train/loss"]).all()
    teacher = SixDRepNetTeacher.of_run(checkpoint)
    picture = np.full((120, 120, 3), 90, np.uint8)
    raw = teacher(picture, np.array([[20.0, 20, 90, 90], [0, 0, 50, 50]]), np.full((2, 3, 3), np.nan))
    assert raw.shape == (2, 6) and teacher.size_px == 32


def test_rendered_heads_are_needed(training_pack, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="facegeom lab synth"):
        train("6drepnet", inputs(training_pack, tmp_path, rendered=None), SMALL)


def test_vectors_of_the_authors_convention() -> None:
    net = SixDRepNet("A0").eval()
    own, foreign = SixDRepNetTeacher(net, 32), SixDRepNetTeacher(net, 32, foreign=True)
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    given = (picture, np.array([[10.0, 10, 50, 50]]), np.full((1, 3, 3), np.nan))
    matrix = rotation_from_6d(own(*given).astype(np.float64))
    signs = np.outer((1, -1, -1), (1, -1, -1))
    np.testing.assert_allclose(
        rotation_from_6d(foreign(*given)), matrix.transpose(0, 2, 1) * signs, atol=1e-5
    )


def test_face_network_teaches() -> None:
    astronaut = reading.read(Path(facegeom.__file__).parent / "data" / "astronaut.jpg")
    face = facegeom.FaceAnalyzer()(astronaut)[0]
    raw = FaceTeacher()(astronaut, face.box_xyxy[None], np.full((1, 3, 3), np.nan))
    assert geodesic_deg(rotation_from_6d(raw[0]), face.rotation) < 5


def test_resize_keeps_the_level() -> None:
    crops = torch.full((1, 3, 128, 128), 77, dtype=torch.uint8)
    torch.testing.assert_close(resize(crops, 96), torch.full((1, 3, 96, 96), 77.0))

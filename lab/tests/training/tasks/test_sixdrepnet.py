"""6DRepNet's training on the drawn pack, and the teacher that comes out of it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

import facegeom
from facegeom.errors import InputError
from facegeom.geometry.boxes import square
from facegeom.geometry.rotation import geodesic_deg, rotation_from_6d
from facegeom.image import reading
from facegeom.image.crop import crop_squares
from facegeom.models.face import CROP_SCALE
from facegeom_lab.evaluation.run import read_metrics
from facegeom_lab.networks.sixdrepnet import SixDRepNet
from facegeom_lab.teachers.pose import FaceTeacher, SixDRepNetTeacher, raw_to_rotation
from facegeom_lab.training.tasks.sixdrepnet import resize
from facegeom_lab.training.trainers import Inputs, evaluate, train

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


def test_vectors_of_the_authors_convention_are_kept() -> None:
    net = SixDRepNet("A0").eval()
    teacher = SixDRepNetTeacher(net, 32)
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    raw = teacher(picture, np.array([[10.0, 10, 50, 50]]), np.full((1, 3, 3), np.nan))
    crop = crop_squares(picture, square(np.array([[10.0, 10, 50, 50]]), CROP_SCALE), 32)
    with torch.inference_mode():
        expected = net(torch.from_numpy(crop).permute(0, 3, 1, 2).float()).numpy()
    np.testing.assert_allclose(raw, expected, atol=1e-4)  # lengths of the vectors are not lost
    matrix = rotation_from_6d(raw.astype(np.float64))
    signs = np.outer((1, -1, -1), (1, -1, -1))
    np.testing.assert_allclose(
        raw_to_rotation("6drepnet-published", raw), matrix.transpose(0, 2, 1) * signs, atol=1e-6
    )
    np.testing.assert_allclose(raw_to_rotation("6drepnet", raw), matrix)


@pytest.mark.slow
def test_the_teacher_is_measured(training_pack, tmp_path: Path) -> None:
    train("6drepnet", inputs(training_pack, tmp_path / "run"), SMALL)
    figures = evaluate(inputs(training_pack, tmp_path / "run"))
    assert (figures["val"]["faces"], figures["rendered"]["faces"]) == (4, 3)
    assert all(np.isfinite(figures["rendered"][key]) for key in ("yaw", "pitch", "roll", "geodesic"))
    write_aflw2000(tmp_path / "AFLW2000", (7, 9))
    published = Inputs(tmp_path, tmp_path / "run", "aflw2000", workers=0)
    assert evaluate(published)["aflw2000"]["faces"] == 2
    with pytest.raises(InputError, match=r"kind sixdrepnet cannot be trained on AFLW2000"):
        train("6drepnet", published, SMALL)


def write_aflw2000(folder: Path, numbers: tuple[int, ...]) -> None:
    """Write some of the set's files; the others are missing."""
    folder.mkdir()
    points = np.random.default_rng(0).uniform(100, 300, (3, 68))
    for number in numbers:
        Image.new("RGB", (450, 450), (90, 90, 90)).save(folder / f"image{number:05d}.jpg")
        values = {"pt3d_68": points, "Pose_Para": np.array([[0.1, 0.3, -0.1, 0, 0, 0, 1e-3]])}
        savemat(folder / f"image{number:05d}.mat", values)


def test_face_network_teaches() -> None:
    astronaut = reading.read(Path(facegeom.__file__).parent / "data" / "astronaut.jpg")
    face = facegeom.FaceAnalyzer()(astronaut)[0]
    raw = FaceTeacher()(astronaut, face.box_xyxy[None], np.full((1, 3, 3), np.nan))
    assert geodesic_deg(rotation_from_6d(raw[0]), face.rotation) < 5


def test_resize_keeps_the_level() -> None:
    crops = torch.full((1, 3, 128, 128), 77, dtype=torch.uint8)
    torch.testing.assert_close(resize(crops, 96), torch.full((1, 3, 96, 96), 77.0))

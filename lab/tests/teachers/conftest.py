"""A fake of MediaPipe's worker process, and heads for it to find."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegeom.geometry import topology
from facegeom.geometry.rotation import rotation_from_angles
from facegeom_lab.external import process

FAKE_WORKER = """
import time
from pathlib import Path

import numpy as np

# Red of the first pixel: faces of the image; of the second: those of the mirrored image, in the other order.
# Green: shift of the second face in the mirror, pixels; 255 ends the process. Blue: a wait, centiseconds.
here = Path(__file__).parent
heads = np.load(here / "heads.npy")
mirror = np.load(here / "mirror.npy")


def mesh_of_both_views(max_faces, model_file):
    if model_file and not Path(model_file).read_bytes().startswith(b"model"):
        raise ValueError("no such model")
    return run, lambda views, width, height: dict(zip(("plain", "mirrored"), views))


def run(rgb):
    (plain_count, shift, wait), mirrored_count = rgb[0, 0].tolist(), int(rgb[0, 1, 0])
    if shift == 255:
        raise SystemExit("out of memory")
    time.sleep(wait / 100)
    with open(here / "requests.log", "a") as log:
        log.write("x")
    plain = heads[:plain_count]
    mirrored = heads[:mirrored_count, mirror] * (-1, 1, 1) + (rgb.shape[1] - 1, 0, 0)
    mirrored[1:2, :, 0] += shift
    return plain.astype(np.float32), mirrored[::-1].astype(np.float32)


MODELS, VERSIONS, ABOUT = {"mesh_of_both_views": mesh_of_both_views}, {}, {"edges": [[0, 1]]}
"""


class FakeTeacher:
    """The fake worker's files, and images whose pixels determine its replies.

    Attributes:
        folder: of the script; it logs the requests there, a letter each.
        heads: (3, 478, 3) pixels, the faces that it finds.
    """

    SIDE = 60

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.heads = heads(3, side=self.SIDE)
        np.save(folder / "heads.npy", self.heads)
        np.save(folder / "mirror.npy", topology.mirror())
        (folder / "mediapipe.py").write_text(FAKE_WORKER, encoding="utf-8")

    def image(self, file: Path, plain: int, mirrored: int, shift: int = 0, wait: int = 0) -> Path:
        """Write an image in which so many faces are found as it is, and mirrored."""
        pixels = np.zeros((self.SIDE, self.SIDE, 3), np.uint8)
        pixels[0, 0], pixels[0, 1, 0] = (plain, shift, wait), mirrored
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
        return file

    def requests(self) -> int:
        """Count the images that it was asked to mesh."""
        log = self.folder / "requests.log"
        return len(log.read_text()) if log.exists() else 0


def heads(count: int, noise: float = 0.0, side: int = 200) -> np.ndarray:
    """Return heads (count, 478, 3), one third of an image's side apart; eyes about a sixth of its side."""
    rng = np.random.default_rng(21)
    rotation = rotation_from_angles(*rng.uniform(-20, 20, (3, count)))
    turned = topology.canonical_mm() @ np.swapaxes(rotation, 1, 2) * side / 600
    places = np.column_stack([(np.arange(count) % 3 + 0.5) * side / 3, np.full((count, 2), side / 2)])
    return turned + places[:, None] + rng.normal(0, noise, turned.shape)


@pytest.fixture
def fake_teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTeacher:
    """Put a fake in the place of MediaPipe's worker."""
    folder = tmp_path / "worker"
    folder.mkdir()
    monkeypatch.setattr(process, "WORKERS", folder)
    return FakeTeacher(folder)

"""A stand-in for MediaPipe's worker process, and heads for it to find."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegeom.geometry import topology
from facegeom.geometry.rotation import rotation_from_angles
from facegeom_lab.teachers import mesher

FAKE_WORKER = """
import json
import sys
import time
from pathlib import Path

import numpy as np

# Red of the first pixel: faces of the picture; of the second: those in the mirror, in the other order.
# Green: shift of the second face in the mirror, pixels; 255 ends the process. Blue: a wait, centiseconds.
here = Path(__file__).parent
heads = np.load(here / "heads.npy")
mirror = np.load(here / "mirror.npy")
if len(sys.argv) > 2 and not Path(sys.argv[2]).read_bytes().startswith(b"model"):
    raise SystemExit("no such model")
out = sys.stdout.buffer
out.write(json.dumps({"version": "fake", "edges": [[0, 1]]}).encode() + b"\\n")
out.flush()
for line in iter(sys.stdin.buffer.readline, b""):
    size = json.loads(line)
    rgb = sys.stdin.buffer.read(size["width"] * size["height"] * 3)
    shift, wait = rgb[1], rgb[2]
    if shift == 255:
        raise SystemExit("out of memory")
    time.sleep(wait / 100)
    with open(here / "asked.log", "a") as log:
        log.write("x")
    plain = heads[: rgb[0]]
    mirrored = heads[: rgb[3], mirror] * (-1, 1, 1) + (size["width"] - 1, 0, 0)
    mirrored[1:2, :, 0] += shift
    answer = b"".join(part.astype(np.float32).tobytes() for part in (plain, mirrored[::-1]))
    out.write(json.dumps({"plain": len(plain), "mirrored": len(mirrored)}).encode() + b"\\n" + answer)
    out.flush()
"""


class FakeTeacher:
    """The stand-in's files, and the pictures that tell it what to answer.

    Attributes:
        folder: of the script; it lists there what it was asked, a letter a picture.
        heads: (3, 478, 3) pixels, what it finds.
    """

    SIDE = 60

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.heads = heads(3, side=self.SIDE)
        np.save(folder / "heads.npy", self.heads)
        np.save(folder / "mirror.npy", topology.mirror())
        (folder / "mediapipe_worker.py").write_text(FAKE_WORKER, encoding="utf-8")
        (folder / "mediapipe.py").write_text("raise ImportError('not MediaPipe')", encoding="utf-8")

    def picture(self, file: Path, plain: int, mirrored: int, shift: int = 0, wait: int = 0) -> Path:
        """A picture in which so many faces are found as it is, and in the mirror."""
        pixels = np.zeros((self.SIDE, self.SIDE, 3), np.uint8)
        pixels[0, 0], pixels[0, 1, 0] = (plain, shift, wait), mirrored
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
        return file

    def asked(self) -> int:
        """How many pictures it has been asked about."""
        log = self.folder / "asked.log"
        return len(log.read_text()) if log.exists() else 0


def heads(count: int, noise: float = 0.0, side: int = 200) -> np.ndarray:
    """(count, 478, 3) heads, one third of a picture's side apart; eyes about a sixth of its side."""
    rng = np.random.default_rng(21)
    rotation = rotation_from_angles(*rng.uniform(-20, 20, (3, count)))
    turned = topology.canonical_mm() @ np.swapaxes(rotation, 1, 2) * side / 600
    places = np.column_stack([(np.arange(count) % 3 + 0.5) * side / 3, np.full((count, 2), side / 2)])
    return turned + places[:, None] + rng.normal(0, noise, turned.shape)


@pytest.fixture
def fake_teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTeacher:
    """Stands in for MediaPipe in this process."""
    folder = tmp_path / "worker"
    folder.mkdir()
    monkeypatch.setattr(mesher, "__file__", str(folder / "mesher.py"))
    return FakeTeacher(folder)

"""A small data pack, a fake analyzer and a fake peer: the benchmark end to end without data or models."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegeom.geometry.boxes import face_box
from facegeom.results import Faces
from facegeom_lab.external import process
from facegeom_lab.external.environments import PACKAGE_SETS

WIDTH, HEIGHT = 64, 48
SHIFT = 1.0  # px, the fake analyzer's error along x
EYES = 20.0  # px between the outer eye corners

FAKE_WORKER = """
import numpy as np


def read(output, width, height):
    return output


def detector(**options):
    def run(image):
        print("noise on stdout must not disturb the protocol", flush=True)
        if options.get("broken"):
            raise RuntimeError("the fake peer is broken")
        if image.mean() < 128:
            return {"box_xyxy": [], "score": []}
        return {"box_xyxy": [[20, 10, 44, 40]], "score": [0.9]}
    return run, read


def mesh(**options):
    x, y = np.meshgrid(np.linspace(20, 44, 24), np.linspace(12, 38, 20))
    grid = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], axis=1)[:478]
    output = {"box_xyxy": [[20, 12, 44, 38]], "score": [1.0], "mesh_px": [grid.tolist()]}
    return lambda image: output, read


MODELS, VERSIONS = {"detector": detector, "mesh": mesh}, {"fake": "1.0"}
"""


def truth68() -> np.ndarray:
    """Return the 68 points of every labelled face of the pack."""
    points = np.random.default_rng(5).uniform((22, 16), (42, 36), (68, 2))
    points[[36, 45]] = (22, 20), (22 + EYES, 20)
    return points


class FakeAnalyzer:
    """Finds the one face of bright pictures, off by SHIFT; its confidence is noise."""

    def __init__(self, min_face: int | None = None) -> None:
        self.calls = 0

    def __call__(self, source: object) -> Faces:
        self.calls += 1
        picture = np.array(Image.open(source)) if isinstance(source, Path) else np.asarray(source)
        if picture.mean() < 128:
            return Faces.empty(WIDTH, HEIGHT)
        points = (truth68() + np.array([SHIFT, 0]))[None]
        mesh = np.random.default_rng(self.calls).uniform(20, 40, (1, 478, 3))
        return Faces(
            box_xyxy=face_box(points),
            score=np.array([0.9]),
            landmarks_px=points,
            landmarks_confidence=np.random.default_rng(self.calls).random((1, 68)),
            mesh_px=mesh,
            mesh_confidence=np.ones((1, 478)),
            mesh_mm=mesh,
            rotation=np.eye(3)[None],
            translation_mm=np.zeros((1, 3)),
            width=WIDTH,
            height=HEIGHT,
            file=None,
        )

    def batch(self, sources: list[object]) -> list[Faces]:
        return [self(source) for source in sources]


@pytest.fixture(scope="session")
def make_analyzer() -> type[FakeAnalyzer]:
    return FakeAnalyzer


@pytest.fixture
def analyzer() -> FakeAnalyzer:
    return FakeAnalyzer()


@pytest.fixture
def analyzer_nme() -> float:
    """Return the fake analyzer's NME in percent."""
    return 100 * SHIFT / EYES


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes of each split with one labelled face, eight faces, the hundred backgrounds (dark)."""
    data = tmp_path_factory.mktemp("data")
    for folder in ("scenes", "faces", "backgrounds"):
        (data / folder).mkdir(parents=True)
    _write_scenes(data / "scenes")
    _write_faces(data / "faces")
    for number in range(200, 300):
        _picture(data / "backgrounds" / f"{number:03d}.jpg", 20)
    return data


def _picture(path: Path, level: int) -> None:
    Image.new("RGB", (WIDTH, HEIGHT), (level, level, level)).save(path)


def _write_scenes(folder: Path) -> None:
    points = truth68()
    face = {"box": face_box(points).tolist(), "landmarks68": points.tolist(), "origin": "human"}
    entries = []
    for index, split in enumerate(["val", "val", "test", "test"]):
        name = f"scene_{index}.png"
        _picture(folder / name, 200 + index)
        entries.append({"file": name, "source": "afw", "split": split, "faces": [face]})
    stranger = {"box": [0, 0, 9, 9], "score": 0.9, "origin": "teacher"}
    entries[1]["faces"] = [{**face, "teacher_box": [20, 10, 44, 40]}, stranger]
    (folder / "scenes.json").write_text(json.dumps(entries))


def _write_faces(folder: Path) -> None:
    names = [f"{split}_{i}.png" for split in ("train", "val") for i in range(4)]
    lines = ["file,source,split,size_px,landmarks,origin,person"]
    for index, name in enumerate(names):
        _picture(folder / name, 200 + index)
        split, source = name.split("_")[0], "helen" if index % 4 < 3 else "masks"
        lines.append(f"{name},{source},{split},64,{'68' if source == 'helen' else ''},o,p")
    (folder / "faces.csv").write_text("\n".join(lines))
    labelled = [name for index, name in enumerate(names) if index % 4 < 3]
    np.savez(folder / "landmarks68.npz", files=labelled, points_xy=np.stack([truth68()] * len(labelled)))


@pytest.fixture(scope="module")
def fake_peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """All peers with one fake worker script; their interpreters for ``--peer-python``."""
    folder = tmp_path_factory.mktemp("workers")
    for name in PACKAGE_SETS:
        (folder / f"{name}.py").write_text(FAKE_WORKER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "WORKERS", folder)
        yield {name: Path(sys.executable) for name in PACKAGE_SETS}

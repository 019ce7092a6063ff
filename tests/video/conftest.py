"""Small videos, made in the test's folder; an analyzer with faces of known places."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from facegeom.geometry.topology import canonical_mm
from facegeom.results import FACE_SHAPES, MOTION_SHAPES, Faces

WIDTH, HEIGHT = 64, 48
SECOND = 90_000  # the clock of the files


def numbered(index: int) -> np.ndarray:
    """Return a frame whose grey level encodes its index, brighter at its left."""
    frame = np.full((HEIGHT, WIDTH, 3), 20 + 8 * index, np.uint8)
    frame[:, : WIDTH // 4] += 40
    return frame


def make_video(
    path: Path,
    times_s: Sequence[float],
    frame: Callable[[int], np.ndarray] = numbered,
    sound: str | None = None,
    options: dict[str, str] | None = None,
    start_s: float = 0,
    crf: int = 4,
    pixel_ratio: Fraction | None = None,
    colours: tuple[int, int, int, int] | None = None,
    sound_first: bool = False,
) -> Path:
    """Write frames at the given times, and a tone beside them; both on a clock that starts late.

    ``colours`` are FFmpeg's numbers of matrix, range, primaries and transfer.
    """
    with av.open(str(path), "w", options=options or {}) as file:
        height, width = frame(0).shape[:2]
        audio = file.add_stream(sound, rate=44_100) if sound and sound_first else None
        stream = file.add_stream("libx264", rate=30, options={"crf": str(crf), "g": "5", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base, context.sample_aspect_ratio = Fraction(1, SECOND), pixel_ratio or Fraction(1)
        if colours:
            context.colorspace, context.color_range, context.color_primaries, context.color_trc = colours
        audio = audio or (file.add_stream(sound, rate=44_100) if sound else None)
        for index, time_s in enumerate(times_s):
            picture = av.VideoFrame.from_ndarray(frame(index), format="rgb24")
            if colours:
                matrix = {6: 5}.get(colours[0], colours[0])
                picture = picture.reformat(
                    format="yuv420p", dst_colorspace=matrix, dst_color_range=colours[1]
                )
                picture.colorspace, picture.color_range = colours[:2]
            picture.pts, picture.time_base = round((start_s + time_s) * SECOND), Fraction(1, SECOND)
            file.mux(stream.encode(picture))
        file.mux(stream.encode(None))
        if audio:
            _tone(file, audio, start_s, times_s[-1])
    return path


def _tone(file: av.container.OutputContainer, audio: av.AudioStream, start_s: float, seconds: float) -> None:
    format_ = audio.codec_context.format.name
    wave = np.sin(np.arange(int(44_100 * seconds)) / 16)
    loud = 9000
    kind = {
        "fltp": (np.float32, 0.3),
        "s16": (np.int16, loud),
        "s16p": (np.int16, loud),
        "s32p": (np.int32, loud << 16),
    }[format_]
    for start in range(0, len(wave) - 1024, 1024):
        samples = (wave[None, start : start + 1024] * kind[1]).astype(kind[0])
        block = av.AudioFrame.from_ndarray(samples, format=format_, layout="mono")
        block.sample_rate, block.pts, block.time_base = (
            44_100,
            start + round(44_100 * start_s),
            Fraction(1, 44_100),
        )
        file.mux(audio.encode(block))
    file.mux(audio.encode(None))


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """Read the portrait that ships, (512, 512, 3)."""
    return np.array(Image.open(str(files("facegeom") / "data" / "astronaut.jpg")).convert("RGB"))


def build_faces(boxes: Sequence[Sequence[float]], scores: Sequence[float], size_wh: tuple[int, int]) -> Faces:
    """Frontal faces of these boxes and scores."""
    count = len(boxes)
    shapes = FACE_SHAPES | MOTION_SHAPES
    arrays = {name: np.zeros((count, *shape), np.float32) for name, shape in shapes.items()}
    arrays |= {"score": np.asarray(scores, np.float32), "rotation": np.tile(np.eye(3), (count, 1, 1))}
    arrays["box_xyxy"] = np.asarray(boxes, np.float32).reshape(-1, 4)
    arrays["translation_mm"][:] = 0, 0, 600
    middle, side = (
        arrays["box_xyxy"].reshape(-1, 2, 2).mean(axis=1),
        np.ptp(arrays["box_xyxy"][:, ::2], axis=1),
    )
    arrays["mesh_px"] = canonical_mm() * (side / 150)[:, None, None]
    arrays["mesh_px"][..., :2] += middle[:, None]
    return replace(Faces.empty(*size_wh), **arrays)


@dataclass
class Scene:
    """Stands for the analyzer: knows where the faces are and what is asked of it.

    Attributes:
        boxes: of the faces that are there now.
        max_faces: as of the analyzer.
        expression_net: there is one.
        searches: how often the whole frame was searched.
        reads: the boxes of each call of ``at``.
    """

    boxes: list[list[float]] = field(default_factory=list)
    max_faces: int | None = None
    expression_net: object = True
    fov_deg: float | None = None
    searches: int = 0
    reads: list[list[list[float]]] = field(default_factory=list)

    def __call__(self, source: np.ndarray) -> Faces:
        self.searches += 1
        boxes = self.boxes[: self.max_faces]
        return build_faces(boxes, [0.99] * len(boxes), (source.shape[1], source.shape[0]))

    def at(self, source: np.ndarray, boxes_xyxy: np.ndarray, roll_deg: np.ndarray | None = None) -> Faces:
        """Return the nearest face within half the side of each box, else a low score."""
        self.reads.append(np.asarray(boxes_xyxy).tolist())
        boxes, scores = [], []
        for box in np.asarray(boxes_xyxy):
            near = [
                b for b in self.boxes if abs(b[0] - box[0]) + abs(b[1] - box[1]) < 0.5 * (box[2] - box[0])
            ]
            boxes.append(near[0] if near else box.tolist())
            scores.append(0.95 if near else 0.02)
        return build_faces(boxes, scores, (source.shape[1], source.shape[0]))


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def film() -> Callable[..., Path]:
    """:func:`make_video`."""
    return make_video


@pytest.fixture
def faces_at() -> Callable[..., Faces]:
    """:func:`build_faces`."""
    return build_faces

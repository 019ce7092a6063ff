"""Faces that look and smile, an analyzer that sees them, small clips, and a socket that receives."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from receivers import Receiver

from facegeom.geometry.gaze import gaze_from_angles
from facegeom.geometry.schemes import ARKIT52
from facegeom.live import LiveFrame
from facegeom.results import Face, Faces
from facegeom.video import Frame, TrackedFaces

EXPRESSION = {"jawOpen": 0.75, "eyeBlinkLeft": 0.25, "jawLeft": 0.5, "mouthRight": 0.125}


def moved(faces: Faces, yaw_deg: float = 0.0, pitch_deg: float = 0.0) -> Faces:
    """Return the faces with :data:`EXPRESSION`, both eyes looking in a direction of the head frame."""
    count = len(faces)
    values = np.array([EXPRESSION.get(name, 0.0) for name in ARKIT52])
    gaze = np.tile(gaze_from_angles(yaw_deg, pitch_deg), (count, 2, 1))
    return replace(
        faces, expression=np.tile(values, (count, 1)), gaze=gaze, gaze_confidence=np.full((count, 2), 0.9)
    )


@pytest.fixture
def live_frame(make_faces: Callable[..., Faces]) -> Callable[..., LiveFrame]:
    """Build a frame with one face, or with none."""

    def build(
        angles: Any = (0, 0, 0), place: Any = (0, 0, 600), look: Any = (0, 0), faces: int = 1
    ) -> LiveFrame:
        face: Face = moved(make_faces(angles_deg=angles, translation_mm=place), *look)[0]
        slots = dict.fromkeys(range(faces), face)
        return LiveFrame(7, 0.25, 30.0, 320, 240, slots, {slot: slot + 4 for slot in slots})

    return build


@dataclass
class Seer:
    """Stands for the analyzer of frames: sees the faces with these ids, in each frame.

    Attributes:
        faces: as many faces as there may be ids.
        ids: of the faces of each frame; the last ones stay.
        frames: those that were analyzed.
        on_frame: called with each frame.
    """

    faces: Faces
    ids: list[list[int]] = field(default_factory=lambda: [[0]])
    frames: list[Frame] = field(default_factory=list)
    on_frame: Callable[[Frame], object] = lambda frame: None

    def reset(self) -> None:
        self.frames = []

    def __call__(self, frame: Frame) -> TrackedFaces:
        self.on_frame(frame)
        ids = self.ids[min(len(self.frames), len(self.ids) - 1)]
        self.frames.append(frame)
        return TrackedFaces(np.array(ids, np.intp), self.faces[: len(ids)])


@pytest.fixture
def seer(faces: Faces) -> Seer:
    return Seer(moved(faces))


@pytest.fixture
def clip(tmp_path: Path) -> Callable[..., Path]:
    """Write a clip of 64 x 48 pixels with frames at the given times; by default ten frames in a second."""

    def write(
        times_s: Sequence[float] = tuple(index / 10 for index in range(10)), name: str = "a.mkv"
    ) -> Path:
        with av.open(str(tmp_path / name), "w") as file:
            stream = file.add_stream("mpeg4", rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.codec_context.time_base = Fraction(1, 1000)
            for index, time_s in enumerate(times_s):
                pixels = np.full((48, 64, 3), 20 * index % 256, np.uint8)
                picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                picture.pts, picture.time_base = round(time_s * 1000), Fraction(1, 1000)
                file.mux(stream.encode(picture))
            file.mux(stream.encode(None))
        return tmp_path / name

    return write


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()

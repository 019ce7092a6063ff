"""The face of an avatar, from a photo or a video: prints the strongest coefficients, or sends everything.

python examples/avatar.py src/facegeom/data/astronaut.jpg
python examples/avatar.py talk.mp4 --send vmc://127.0.0.1:39539     # as `facegeom live`, but by the API
"""

import argparse
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from facegeom import Face, Faces, ImageError, analyze
from facegeom.live import LiveFrame, Target
from facegeom.video import analyze_video

SHOWN = 5
"""Coefficients that are printed of each face."""


def frames_of(path: Path) -> Iterator[LiveFrame]:
    """Yield the one frame of a photo, or all frames of a video."""
    try:
        yield frame_of(0, 0.0, analyze(path))
    except ImageError:  # no photo
        for index, time_s, tracked in analyze_video(path):
            yield frame_of(index, time_s, tracked.faces)


def frame_of(index: int, time_s: float, faces: Faces) -> LiveFrame:
    """Return what receivers get; the first face drives the avatar."""
    slots = dict(enumerate(faces))
    return LiveFrame(index, time_s, 30.0, faces.width, faces.height, slots, {slot: slot for slot in slots})


def line(time_s: float, face: Face) -> str:
    """Return time, head, gaze and the strongest coefficients of a face in words."""
    strongest = sorted(face.coefficients.items(), key=lambda item: -item[1])[:SHOWN]
    names = "  ".join(f"{name} {value:.2f}" for name, value in strongest)
    head = f"head {face.yaw_deg:+.0f} {face.pitch_deg:+.0f} {face.roll_deg:+.0f}"
    return f"{time_s:7.2f} s  {head}  gaze {face.gaze_yaw_deg:+.0f} {face.gaze_pitch_deg:+.0f}  {names}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="a photo or a video")
    parser.add_argument("--send", metavar="URL", help="a receiver: vmc://, livelink://, osc:// or json://")
    arguments = parser.parse_args()
    if not arguments.send:
        for frame in frames_of(arguments.source):
            print(line(frame.time_s, frame.faces[0]) if frame.faces else f"{frame.time_s:7.2f} s  no face")
        return
    with closing(Target.open(arguments.send)) as target:
        for frame in frames_of(arguments.source):
            target.send(frame)
    print(f"{target.packets} packets")


if __name__ == "__main__":
    main()

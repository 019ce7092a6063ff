"""Count the blinks of the largest face in a video, in its Parquet file, or before a camera.

python examples/blink.py talk.mp4
facegeom video talk.mp4 -o out && python examples/blink.py out/talk.parquet
python examples/blink.py --camera 0                       # until Ctrl-C
"""

import argparse
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from facegeom.video import FrameFaces, Source, analyze_video, read_table

SHUT, OPEN = 0.6, 0.75
"""Eyes are shut below the first fraction of their usual opening, and open again above the second."""

USUAL_S, LONGEST_S = 3.0, 0.5
"""The usual opening is the 80th percentile of so many seconds; eyes shut for longer do not blink."""


class BlinkCounter:
    """Count blinks from how far the eyes are open, frame by frame; ``blinks_s`` are their times."""

    def __init__(self) -> None:
        self.blinks_s: list[float] = []
        self._recent: deque[tuple[float, float]] = deque()
        self._shut_since_s: float | None = None

    def __call__(self, time_s: float, eye_open: float) -> bool:
        """Take the next frame; return whether a blink ends with it."""
        self._recent.append((time_s, eye_open))
        while self._recent[0][0] < time_s - USUAL_S:
            self._recent.popleft()
        usual = float(np.percentile([opening for _, opening in self._recent], 80))
        since_s = self._shut_since_s
        if eye_open < SHUT * usual:
            self._shut_since_s = time_s if since_s is None else since_s
        elif since_s is not None and eye_open > OPEN * usual:
            self._shut_since_s = None
            if time_s - since_s <= LONGEST_S:
                self.blinks_s.append(since_s)
                return True
        return False


def from_table(path: Path) -> Iterator[tuple[float, float]]:
    """Yield time and opening of the largest face's eyes, for each frame of a Parquet file that shows one."""
    columns, _ = read_table(path)
    area = np.prod(columns["box_xyxy"][:, 2:] - columns["box_xyxy"][:, :2], axis=1)
    opening = (columns["eye_open_right"] + columns["eye_open_left"]) / 2
    for frame in np.unique(columns["frame"]):
        rows = np.flatnonzero(columns["frame"] == frame)
        row = rows[np.argmax(area[rows])]
        yield float(columns["time_s"][row]), float(opening[row])


def from_video(frames: Iterable[FrameFaces]) -> Iterator[tuple[float, float]]:
    """Yield the same for a video or a camera, live."""
    for _, time_s, tracked in frames:
        boxes = tracked.faces.box_xyxy
        if len(boxes):
            largest = int(np.argmax(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)))
            yield time_s, float(tracked.faces[largest].eye_open.mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, nargs="?", help="a video, or the Parquet file made from it")
    parser.add_argument("--camera", metavar="N", help="a camera instead of the source: its number from 0")
    arguments = parser.parse_args()
    if (arguments.source is None) == (arguments.camera is None):
        parser.error("expected a source or --camera, one of the two")
    if arguments.source and arguments.source.suffix == ".parquet":
        openings = from_table(arguments.source)
    else:
        openings = from_video(analyze_video(arguments.source or Source.camera(arguments.camera)))
    count, time_s, first_s = BlinkCounter(), 0.0, None
    try:
        for time_s, eye_open in openings:
            first_s = time_s if first_s is None else first_s
            if count(time_s, eye_open):
                print(f"{count.blinks_s[-1]:7.2f} s  blink {len(count.blinks_s)}", flush=True)
    except KeyboardInterrupt:
        print()
    minutes = max(time_s - (first_s or 0.0), 1e-9) / 60
    print(f"{len(count.blinks_s)} blinks, {len(count.blinks_s) / minutes:.0f} a minute")


if __name__ == "__main__":
    main()

"""Eyes off the road: watch the direction of a driver's head; alarm after two seconds turned away.

    facegeom video drive.mp4 -o out && python examples/driver_attention.py out/drive.parquet -o attention.png
    python examples/driver_attention.py drive.mp4 -o attention.png
    python examples/driver_attention.py --camera 0          # live, until Ctrl-C

The head's direction stands for the gaze. It is measured in the camera's frame, which is fixed to the car: a
driver who leans aside and still looks at the road has not turned away. The road's direction is the median
head direction of the first second. A head whose face is lost counts as turned away. Needs facegeom[video],
and matplotlib for the plot.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from facegeom.geometry.rotation import rotation_in_camera
from facegeom.video import FrameFaces, Source, analyze_video, read_table

LEARN_S = 1.0
AWAY_DEG = 20.0
ALARM_S = 2.0
NOSE = np.array([0.0, 0, -1])


@dataclass
class Driver:
    """State of the driver, updated frame by frame.

    Attributes:
        times_s: time of each frame, seconds.
        away_deg: angle between the head and the road; infinite without a face.
        alarms: start and end of each time that the eyes were off the road for too long, seconds.
    """

    times_s: list[float] = field(default_factory=list)
    away_deg: list[float] = field(default_factory=list)
    alarms: list[tuple[float, float]] = field(default_factory=list)
    _road_directions: list[np.ndarray] = field(default_factory=list)
    _away_since_s: float | None = None

    def watch(self, time_s: float, rotation: np.ndarray | None) -> bool:
        """Update with the camera_rotation (3, 3), None without a face; return whether the alarm is on."""
        away = self._angle_deg(time_s, rotation)
        self.times_s.append(time_s)
        self.away_deg.append(away)
        if away <= AWAY_DEG:
            self._away_since_s = None
            return False
        self._away_since_s = time_s if self._away_since_s is None else self._away_since_s
        alarm = time_s - self._away_since_s >= ALARM_S
        if alarm and self.alarms and self.alarms[-1][0] == self._away_since_s:
            self.alarms[-1] = self._away_since_s, time_s
        elif alarm:
            self.alarms.append((self._away_since_s, time_s))
        return alarm

    def _angle_deg(self, time_s: float, rotation: np.ndarray | None) -> float:
        """Return the angle between the head and the road."""
        if rotation is None:
            return float("inf") if self._road_directions else 0.0
        nose = rotation @ NOSE
        if time_s < LEARN_S or not self._road_directions:
            self._road_directions.append(nose)
        road = np.median(self._road_directions, axis=0)
        return float(np.degrees(np.arccos(np.clip(nose @ road / np.linalg.norm(road), -1, 1))))


def from_table(path: Path) -> Iterator[tuple[float, np.ndarray | None]]:
    """Yield time and camera_rotation of the driver, the largest face, for each frame of a Parquet file."""
    columns, metadata = read_table(path)
    rotation = rotation_in_camera(columns["rotation"], columns["translation_mm"])
    area = np.prod(columns["box_xyxy"][:, 2:] - columns["box_xyxy"][:, :2], axis=1)
    for frame in range(int(metadata["frames"])):
        rows = np.flatnonzero(columns["frame"] == frame)
        if len(rows):
            row = rows[np.argmax(area[rows])]
            yield float(columns["time_s"][row]), rotation[row]
        else:
            yield frame / float(metadata["rate"]), None


def from_video(frames: Iterator[FrameFaces]) -> Iterator[tuple[float, np.ndarray | None]]:
    """Yield the same for a video or a camera, live."""
    for _, time_s, tracked in frames:
        boxes = tracked.faces.box_xyxy
        largest = np.argmax(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)) if len(boxes) else None
        yield time_s, None if largest is None else tracked.faces.camera_rotation[largest]


def plot(driver: Driver, out: Path) -> None:
    """Plot the angle over time, with the alarms in red."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.8), layout="constrained")
    axes = figure.subplots()
    angles = np.where(np.isfinite(driver.away_deg), driver.away_deg, np.nan)
    axes.plot(driver.times_s, angles, color="#1f5fa8")
    axes.axhline(AWAY_DEG, color="grey", linestyle="--", linewidth=1)
    for start, end in driver.alarms:
        axes.axvspan(start, start + ALARM_S, color="#f5c842", alpha=0.35)
        axes.axvspan(start + ALARM_S, end, color="#d43d2a", alpha=0.4)
    axes.set(xlabel="time, s", ylabel="head from the road, °", ylim=(0, None), xlim=(0, driver.times_s[-1]))
    axes.set_title("yellow: eyes off the road, red: alarm", loc="left", fontsize=10)
    figure.savefig(out, dpi=110)


def observe(rotations: Iterator[tuple[float, np.ndarray | None]]) -> Driver:
    """Watch until the end or Ctrl-C; print a line when an alarm starts."""
    driver, alarm_on = Driver(), False
    try:
        for time_s, rotation in rotations:
            alarm = driver.watch(time_s, rotation)
            if alarm and not alarm_on:
                print(f"{time_s:7.2f} s  ALARM: eyes off the road for {ALARM_S:.0f} s", flush=True)
            alarm_on = alarm
    except KeyboardInterrupt:
        print()
    return driver


def main() -> None:
    """Run the example on the source given on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, nargs="?", help="a video, or the Parquet file made from it")
    parser.add_argument("--camera", metavar="N", help="a camera instead of the source: its number from 0")
    parser.add_argument("-o", "--out", type=Path, help="plot of the angle over time, to write")
    arguments = parser.parse_args()
    if (arguments.source is None) == (arguments.camera is None):
        parser.error("expected a source or --camera, one of the two")
    if arguments.source and arguments.source.suffix == ".parquet":
        driver = observe(from_table(arguments.source))
    else:
        source = arguments.source or Source.camera(arguments.camera)
        driver = observe(from_video(analyze_video(source)))
    if arguments.out:
        plot(driver, arguments.out)


if __name__ == "__main__":
    main()

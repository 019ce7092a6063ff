"""``facegeom bench rotation``: the head's rotation by every way to it, beside the peers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError
from facegeom.geometry.rotation import angles_from_rotation
from facegeom_lab.bench import pose_speed
from facegeom_lab.bench.context import SCENE_SETS
from facegeom_lab.bench.peers import Peer, started
from facegeom_lab.bench.pose_systems import Networks, answers, networks
from facegeom_lab.bench.rendered import HeadSet, Turning, heads
from facegeom_lab.bench.rotation import COLUMNS, Posed, posed, summary
from facegeom_lab.bench.speed import Effort
from facegeom_lab.datasets.pack_photos import scenes
from facegeom_lab.fitting.pose_fit import rotation_under_points
from facegeom_lab.measures.about import about
from facegeom_lab.measures.metrics import angle_errors_deg
from facegeom_lab.measures.tables import Cell, Report, Table, percent

FloatArray = npt.NDArray[np.floating]

LARGEST_YAW, BANDS = 80, ((0, 60), (60, 80))
SCENE_YAW = 45.0
SMALLEST_STEP, LARGEST_STEP = 0.0, 3.0

_HEADS = (
    "Rendered heads (ICT-FaceKit Light; people, lights and backgrounds not trained on) in whole pictures of "
    "640 x 480, one head of 60 to 250 px anywhere; yaw even within ±80°, pitch and roll within ±30°; the "
    "angle of view, 30° to 60°, unknown to the systems. Own detection, defaults; found: IoU of at least 0.3 "
    "with the box of the true 68 points, or the centre inside. Mean absolute errors over the found heads, "
    "degrees; geodesic: angle of the turn between the true and the given rotation. MediaPipe: FaceMesh "
    "(static, refined, up to 12 faces), its mesh laid on facegeom's canonical head by Procrustes."
)
_TURNING = (
    "Each head of 140 px turned about its upright axis from -80° to 80° in steps of 1°: person, light, "
    "background and place stay. Steps: the answered yaw of a picture minus that of the one before, both "
    "found. Mean absolute errors over the found pictures."
)
_SCENES = (
    "Faces labelled by people in whole photos of at most 448 px, own detection, defaults. Truth: the "
    "canonical head laid under the 68 points without the jaw, 1 m away, robustly; faces with a true yaw "
    "beyond ±45° are left out. All rotations are compared free of the turn of the line of sight."
)


@dataclass(frozen=True)
class Size:
    """How much is measured: rendered heads, heads that turn, photos and calls of a time."""

    heads: int = 400
    turning: int = 3
    effort: Effort = field(default_factory=Effort)


@dataclass(frozen=True, eq=False)
class Setting:
    """What the sections work with."""

    data: Path
    cache: Path
    ours: Networks
    peers: Mapping[str, Peer]
    size: Size


def run_rotation(
    data: Path,
    out: Path,
    peers: Mapping[str, Path | None],
    face_pose_net: Path | None = None,
    size: Size | None = None,
    only: Sequence[str] = (),
    show: Callable[[Table], object] = lambda table: None,
) -> Report:
    """Measure, save ``out/rotation.md`` and ``out/rotation.json``, and return the report.

    Args:
        data: the data pack.
        out: folder of the results and of the cache.
        peers: peers to measure beside it by name: the interpreter of each, None to make its environment.
        face_pose_net: ONNX file of an FPNet; None for the one that ships.
        size: how much to measure; None for the defaults.
        only: names of sections; all by default.
        show: called with each table as soon as it is there.

    Raises:
        InputError: an unknown section or peer, or data is missing.
        PeerError: a peer failed.
        WeightsError: there is no such FPNet.
    """
    if unknown := [name for name in only if name not in SECTIONS]:
        raise InputError(f"expected sections among {', '.join(SECTIONS)}, got {', '.join(unknown)}")
    ours = networks(face_pose_net)
    tables: list[Table] = []
    with started(peers) as workers:
        setting = Setting(data, out / "cache", ours, workers, size or Size())
        for name in [name for name in SECTIONS if not only or name in only]:
            for table in SECTIONS[name](setting):
                tables.append(table)
                show(table)
        report = Report("facegeom bench rotation", about(ours.cascade, workers.values()), tables)
    report.save(out, "rotation")
    return report


def rendered(setting: Setting) -> list[Table]:
    """One table: heads within ±60° and beyond."""
    angles = (-30.0, 30.0)
    wanted = HeadSet(9, setting.size.heads, (-LARGEST_YAW, LARGEST_YAW), angles, angles)
    drawn = heads(setting.data, wanted, setting.cache)
    yaw = np.abs(angles_from_rotation(drawn.rotation)[:, 0])
    ranges = {"all": yaw >= 0}
    ranges |= {f"yaw ±({low}° to {high}°)": (yaw >= low) & (yaw <= high) for low, high in BANDS}
    rows: list[tuple[Cell, ...]] = []
    for name, found in answers(setting.ours, setting.peers, drawn.pictures, setting.cache).items():
        turns = posed(found, [one.rotation for one in found], drawn.pictures)
        rows += [(band, name, *summary(turns, drawn.rotation, inside)) for band, inside in ranges.items()]
    rows.sort(key=lambda row: list(ranges).index(str(row[0])))
    return [Table("Rendered heads", _HEADS, COLUMNS, rows)]


def turning(setting: Setting) -> list[Table]:
    """One table: the steps between neighbouring answers."""
    wanted = Turning(10, setting.size.turning, LARGEST_YAW)
    drawn = heads(setting.data, wanted, setting.cache)
    rows: list[tuple[Cell, ...]] = []
    for name, found in answers(setting.ours, setting.peers, drawn.pictures, setting.cache).items():
        turns = posed(found, [one.rotation for one in found], drawn.pictures)
        rows.append((name, *steps(turns, drawn.rotation, wanted.count)))
    columns = (
        *("system", "smallest step °", "largest step °", "steps of 0° to 3°, %", "yaw °", "pitch °"),
        *("roll °", "found, %", "pictures"),
    )
    return [Table("A head that turns", _TURNING, columns, rows)]


def steps(turns: Posed, truth: FloatArray, count: int) -> tuple[Cell, ...]:
    """Smallest and largest step, share of steps of 0° to 3°, errors by axis, share found, pictures.

    Args:
        turns: of ``count`` heads, picture after picture, head after head.
        truth: (N, 3, 3).
        count: heads.
    """
    angles, known = angles_from_rotation(turns.rotation), angles_from_rotation(truth)
    yaw, found = angles[:, 0].reshape(count, -1), turns.found.reshape(count, -1)
    both = found[:, 1:] & found[:, :-1]
    step = np.diff(yaw, axis=1)[both]
    counts = (percent(int(found.sum()), found.size), found.size)
    if not len(step):
        return (*[None] * 6, *counts)
    even = (step >= SMALLEST_STEP) & (step <= LARGEST_STEP)
    errors = angle_errors_deg(angles, known)[turns.found].mean(axis=0)
    return (float(step.min()), float(step.max()), float(100 * even.mean()), *errors.tolist(), *counts)


def labelled(setting: Setting) -> list[Table]:
    """One table: photos with points set by people."""
    rows: list[tuple[Cell, ...]] = []
    for title, split in SCENE_SETS.items():
        pictures = scenes(setting.data, split)
        truth = rotation_under_points(np.concatenate([picture.landmarks_px for picture in pictures]))
        near = np.abs(angles_from_rotation(truth)[:, 0]) <= SCENE_YAW
        for name, found in answers(setting.ours, setting.peers, pictures, setting.cache).items():
            turns = posed(found, [one.seen for one in found], pictures)
            rows.append((title, name, *summary(turns, truth, near)))
    columns = ("set", *COLUMNS[1:-1], "faces")
    return [Table("Photos, against the pose under human points", _SCENES, columns, rows)]


def timed(setting: Setting) -> list[Table]:
    """Times of the third stage and of the cascade, and what the cascade finds."""
    return pose_speed.tables(setting.data, setting.cache, setting.ours, setting.peers, setting.size.effort)


SECTIONS: Mapping[str, Callable[[Setting], list[Table]]] = {
    "heads": rendered,
    "turning": turning,
    "scenes": labelled,
    "speed": timed,
}

"""``facegeom bench rotation``: head rotations of every system, beside the peers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facegeom.geometry.rotation import angles_from_rotation
from facegeom_lab.bench.context import SCENE_SETS, choose_sections
from facegeom_lab.bench.peers import Peer, started
from facegeom_lab.bench.rotation import speed
from facegeom_lab.bench.rotation.errors import COLUMNS, match_rotations, step_summary, summary
from facegeom_lab.bench.rotation.frontal import frontal_table
from facegeom_lab.bench.rotation.rendered import HeadSet, Turning, render_heads
from facegeom_lab.bench.rotation.systems import Networks, load_networks, predict_rotations
from facegeom_lab.bench.rotation.turned import turned_table
from facegeom_lab.bench.rotation.wide import wide_table
from facegeom_lab.datasets.published.pack import scene_photos
from facegeom_lab.fitting.pose_fit import rotation_under_points
from facegeom_lab.measures.about import about
from facegeom_lab.measures.tables import Cell, Report, RunningReport, Table

MAX_YAW_DEG, BANDS = 80, ((0, 60), (60, 80))
MAX_SCENE_YAW_DEG = 45.0

_HEADS = (
    "Rendered heads (ICT-FaceKit Light; people, lights and backgrounds not used in training) in images of "
    "640 x 480, one head of 60 to 250 px anywhere; yaw uniform within ±80° in the camera frame, pitch and "
    "roll within ±30°; the angle of view, 30° to 60°, unknown to the systems. Own detection, defaults; "
    "found: IoU of at least 0.3 with the box of the true 68 points, or the centre inside. Rotations, and the "
    "ranges of yaw, as seen: relative to the line of sight to the head. Mean absolute errors over the found "
    "heads, degrees, by the nearer of the two triples of angles that a rotation has; geodesic: angle between "
    "the true and the predicted rotation. MediaPipe: FaceMesh (static, refined, up to 12 faces), its mesh "
    "aligned to facegeom's canonical head by Procrustes."
)
_TURNING = (
    "Each head of 140 px rotated about its upright axis from -80° to 80° in steps of 1°: person, light, "
    "background and position stay. Angles in the camera frame, with each system's default angle of view. "
    "Steps: the predicted yaw of an image minus that of the one before, both found. Mean absolute errors "
    "over the images with a found head."
)
_SCENES = (
    "Human-labelled faces in whole photos of at most 448 px, own detection, defaults. Truth: the "
    "canonical head fitted robustly to the 68 points without the jaw, 1 m away; faces with a true yaw beyond "
    "±45° are left out. All rotations are as seen, relative to the line of sight."
)


@dataclass(frozen=True)
class RotationConfig:
    """How much is measured.

    Attributes:
        heads: rendered heads.
        turning: rendered heads that turn, 161 images each.
        photos: photos to time.
        repetitions: counted calls in a time block.
        warm: uncounted calls before them.
        frontal: rendered persons who look into the lens, 45 images each.
        wide: heads of each kind before wide lenses, nine images each.
    """

    heads: int = 400
    turning: int = 3
    photos: int = 24
    repetitions: int = 15
    warm: int = 3
    frontal: int = 24
    wide: int = 60


@dataclass(frozen=True, eq=False)
class RotationBench:
    """One run of the rotation benchmark.

    Attributes:
        data: the data pack.
        cache: folder of rendered images and peers' predictions.
        ours: facegeom's networks.
        peers: running workers by name.
        config: how much to measure.
    """

    data: Path
    cache: Path
    ours: Networks
    peers: Mapping[str, Peer]
    config: RotationConfig


def run_rotation(
    data: Path,
    out: Path,
    peers: Mapping[str, Path | None],
    face_pose_net: Path | None = None,
    config: RotationConfig | None = None,
    only: Sequence[str] = (),
    show: Callable[[Table], object] = lambda table: None,
) -> Report:
    """Measure, save ``out/rotation.md`` and ``out/rotation.json``, and return the report of the run.

    Tables of sections that are not run stay in the files.

    Args:
        data: the data pack.
        out: folder of the results; rendered images and peers' predictions are kept in ``out/cache``.
        peers: interpreters of the peers by name; None installs the peer's environment.
        face_pose_net: ONNX file of an FPNet; None for the one that ships.
        config: how much to measure; None for the defaults.
        only: names of sections; all by default.
        show: called with each table as soon as it is measured.

    Raises:
        InputError: an unknown section or peer, or data is missing.
        ExternalError: a peer failed.
        WeightsError: there is no such FPNet.
    """
    chosen = choose_sections(SECTIONS, only)
    ours = load_networks(face_pose_net)
    with started(peers) as workers:
        settings = about(ours.face, workers.values()) | ours.settings()
        report = RunningReport("facegeom bench rotation", settings, out, "rotation", show)
        bench = RotationBench(data, out / "cache", ours, workers, config or RotationConfig())
        for section in chosen:
            report.add(*SECTIONS[section](bench))
    return report.finish(keep=bool(only))


def rendered(bench: RotationBench) -> list[Table]:
    """Measure errors on rendered heads within ±60° of yaw and beyond, one table."""
    angles = (-30.0, 30.0)
    wanted = HeadSet(9, bench.config.heads, (-MAX_YAW_DEG, MAX_YAW_DEG), angles, angles)
    heads = render_heads(bench.data, wanted, bench.cache)
    yaw = np.abs(angles_from_rotation(heads.rotation)[:, 0])
    ranges = {"all": yaw >= 0}
    ranges |= {f"yaw ±({low}° to {high}°)": (yaw >= low) & (yaw <= high) for low, high in BANDS}
    rows: list[tuple[Cell, ...]] = []
    for name, found in predict_rotations(bench.ours, bench.peers, heads.photos, bench.cache).items():
        matched = match_rotations(found, [one.rotation for one in found], heads.photos)
        rows += [(band, name, *summary(matched, heads.rotation, inside)) for band, inside in ranges.items()]
    rows.sort(key=lambda row: list(ranges).index(str(row[0])))
    return [Table("Rendered heads", _HEADS, COLUMNS, rows)]


def turning(bench: RotationBench) -> list[Table]:
    """Measure the yaw steps between neighbouring images of turning heads, one table."""
    wanted = Turning(10, bench.config.turning, MAX_YAW_DEG)
    heads = render_heads(bench.data, wanted, bench.cache)
    rows: list[tuple[Cell, ...]] = []
    for name, found in predict_rotations(bench.ours, bench.peers, heads.photos, bench.cache).items():
        matched = match_rotations(found, [one.camera_rotation for one in found], heads.photos)
        rows.append((name, *step_summary(matched, heads.camera_rotation, wanted.count)))
    columns = (
        *("system", "smallest step °", "largest step °", "steps of 0° to 3°, %", "yaw °", "pitch °"),
        *("roll °", "found, %", "pictures"),
    )
    return [Table("A head that turns", _TURNING, columns, rows)]


def labelled(bench: RotationBench) -> list[Table]:
    """Measure errors on photos with human annotations, one table."""
    rows: list[tuple[Cell, ...]] = []
    for title, split in SCENE_SETS.items():
        photos = scene_photos(bench.data, split)
        truth = rotation_under_points(np.concatenate([photo.landmarks_px for photo in photos]))
        near = np.abs(angles_from_rotation(truth)[:, 0]) <= MAX_SCENE_YAW_DEG
        for name, found in predict_rotations(bench.ours, bench.peers, photos, bench.cache).items():
            matched = match_rotations(found, [one.rotation for one in found], photos)
            rows.append((title, name, *summary(matched, truth, near)))
    columns = ("set", *COLUMNS[1:-1], "faces")
    return [Table("Photos, against the pose under human points", _SCENES, columns, rows)]


def timed(bench: RotationBench) -> list[Table]:
    """Measure times of the third stage and of the cascade, and the cascade's recall, two tables."""
    times = speed.times_table(
        bench.data, bench.ours, bench.peers, bench.config.photos, bench.config.repetitions, bench.config.warm
    )
    return [times, speed.recall_table(bench.data, bench.cache, bench.ours, bench.peers)]


def frontal(bench: RotationBench) -> list[Table]:
    """Measure heads that look into the lens, one table."""
    return [frontal_table(bench.data, bench.cache, bench.ours.face, bench.config.frontal)]


def wide(bench: RotationBench) -> list[Table]:
    """Measure heads away from the axis of wide lenses, one table."""
    return [wide_table(bench.data, bench.cache, bench.ours.face, bench.config.wide)]


def turned(bench: RotationBench) -> list[Table]:
    """Measure photos that stand on their side or upside down, one table."""
    return [turned_table(bench.data, bench.ours.face)]


SECTIONS: Mapping[str, Callable[[RotationBench], list[Table]]] = {
    "heads": rendered,
    "turning": turning,
    "scenes": labelled,
    "speed": timed,
    "frontal": frontal,
    "wide": wide,
    "turned": turned,
}

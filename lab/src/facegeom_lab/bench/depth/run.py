"""``facegeom bench depth``: depth maps against ground truth, and their time beside MediaPipe's."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from facegeom.analyzer import FaceAnalyzer
from facegeom.depth.two_stage import DepthSource, NetworkDepth, PlacedMeshes
from facegeom.errors import InputError
from facegeom.image import reading
from facegeom.image.photo import open_photo
from facegeom_lab.bench.context import MESH_OPTIONS
from facegeom_lab.bench.depth.errors import DepthError, class_accuracy, depth_error
from facegeom_lab.bench.depth.truth import KnownDepth, fitted, rendered
from facegeom_lab.bench.peers import Peer, started
from facegeom_lab.bench.progress import track
from facegeom_lab.bench.speed.photos import save_arrays, single_face_scenes
from facegeom_lab.measures.about import about
from facegeom_lab.measures.tables import Cell, Report, RunningReport, Table
from facegeom_lab.measures.timing import (
    Timer,
    array_timer,
    calls_ms,
    interleaved,
    peer_timer,
    summarize_pairs,
)

METHODS = ("mesh", "network")

_ERROR_PROTOCOL = (
    "Whole images, own detection; the detected face that covers the true one best. Mean absolute error of "
    "depth along the line of sight to the head, over the pixels that true and detected face share, in "
    "millimetres of a head of average size (the last column: of the head itself); means over faces. Aligned: "
    "after subtracting the mean difference; nose: both relative to their nose tips. Cover: fraction of the "
    "true face's pixels with predicted depth. {set}"
)
_RENDERED = (
    "Rendered heads of people, lights and backgrounds not used in training, 640 x 480, yaw to 45, pitch and "
    "roll to 30 degrees, the angle of view given."
)
_FITTED = "Faces of `val` with the depth of the head model fitted to the teacher's mesh (`facegeom lab fit`)."
_CLASS_PROTOCOL = (
    "Stage I on the same rendered heads, cropped by own detection: classes of 4 mm behind the nose "
    "tip, over the face's pixels at 160 x 160; means over faces."
)
_TIME_PROTOCOL = (
    "One photo of 640 px with one face; blocks in the order ours, peer, peer, ours; a photo's figure is the "
    "median over both blocks, the ratio is ours / MediaPipe's whole FaceMesh call per photo. Depth alone: "
    "what FaceAnalyzer(depth=...) adds, cropping and placement included; both networks: their two calls on a "
    "crop."
)
_ERROR_COLUMNS = ("set", "method", "faces", "missed", "aligned, mm", "nose, mm", "cover", "aligned, own mm")
_TIME_COLUMNS = ("what", "ours, ms", "peer, ms", "ratio, median", "ratio, lowest", "ratio, highest", "photos")


@dataclass(frozen=True)
class DepthConfig:
    """How much is measured.

    Attributes:
        heads: rendered heads.
        every: every n-th face of val is taken.
        photos: photos to time.
        repetitions: counted calls in a time block.
        warm: uncounted calls before them.
    """

    heads: int = 300
    every: int = 4
    photos: int = 12
    repetitions: int = 15
    warm: int = 3


def run_depth(
    data: Path,
    labels: Path,
    out: Path,
    methods: Sequence[str],
    peers: Mapping[str, Path | None],
    config: DepthConfig,
    show: Callable[[Table], object] = lambda table: None,
) -> Report:
    """Measure, save ``out/depth.md`` and ``out/depth.json``, and return the report.

    Args:
        data: the data pack.
        labels: mesh labels, the file of ``facegeom lab label``.
        out: folder of the results; images and fits are kept in ``out/cache``.
        methods: some of :data:`METHODS`.
        peers: ``mediapipe`` with its interpreter; empty to measure no times.
        config: how much to measure.
        show: called with each table as soon as it is measured.

    Raises:
        InputError: data is missing; a peer that gives no mesh.
        WeightsError: a network's weights are missing.
        ExternalError: a peer failed.
    """
    if strange := sorted(set(peers) - {"mediapipe"}):
        raise InputError(f"expected --peers mediapipe or '', got {', '.join(strange)}")
    analyzers = {method: FaceAnalyzer(depth=cast(Any, method)) for method in methods}
    heads = rendered(data, config.heads, out / "cache")
    faces = fitted(data, labels, "val", config.every, out / "cache")
    sets = {"rendered heads": (heads, _RENDERED), "val, fitted model": (faces, _FITTED)}
    with started(peers) as workers:
        settings = about(next(iter(analyzers.values())), workers.values())
        report = RunningReport("facegeom bench depth", settings, out, "depth", show)
        for name, known in sets.items():
            report.add(errors_table(name, *known, analyzers))
        if "network" in analyzers:
            report.add(_class_table(analyzers["network"], heads))
        if workers:
            report.add(times_table(data, analyzers, workers["mediapipe"], config))
    return report.finish()


def errors_table(
    name: str, known: Sequence[KnownDepth], about_set: str, analyzers: Mapping[str, FaceAnalyzer]
) -> Table:
    """Measure the depth errors of each method on one set."""
    rows: list[tuple[Cell, ...]] = []
    for method, analyzer in analyzers.items():
        found = [
            depth_error(analyzer(reading.read(each.path), each.fov_deg), each)
            for each in track(known, f"{name}, {method}")
        ]
        rows.append((name, method, len(known), *_means(found)))
    return Table(f"Depth of {name}", _ERROR_PROTOCOL.format(set=about_set), _ERROR_COLUMNS, rows)


def _means(found: Sequence[DepthError | None]) -> tuple[Cell, ...]:
    hits = [each for each in found if each is not None]
    if not hits:
        return len(found), None, None, None, None
    columns = np.array([(each.aligned_mm, each.nose_mm, each.coverage, each.own_mm) for each in hits])
    return (len(found) - len(hits), *columns.mean(axis=0).tolist())


def _class_table(analyzer: FaceAnalyzer, heads: Sequence[KnownDepth]) -> Table:
    every = [class_accuracy(analyzer, each) for each in track(heads, "classes of stage I")]
    found = [each for each in every if each is not None]
    top1, top3 = np.array(found).mean(axis=0).tolist()
    row = (len(found), 100 * top1, 100 * top3)
    return Table("Stage I", _CLASS_PROTOCOL, ("faces", "top-1, %", "top-3, %"), [row])


def times_table(data: Path, analyzers: Mapping[str, FaceAnalyzer], peer: Peer, config: DepthConfig) -> Table:
    """Time the whole analyzer, depth alone and its networks beside MediaPipe."""
    peer_time = peer_timer(peer, "mesh", MESH_OPTIONS)
    timers: dict[str, Timer] = {}
    for method, analyzer in analyzers.items():
        timers[f"FaceAnalyzer(depth={method!r}), whole"] = array_timer(analyzer)
        if analyzer.depth is not None:
            timers[f"depth alone, {method}"] = _depth_alone(analyzer, analyzer.depth)
        if isinstance(analyzer.depth, NetworkDepth):
            timers["both networks"] = _networks(analyzer.depth)
    rows: list[tuple[Cell, ...]] = []
    with tempfile.TemporaryDirectory() as scratch:
        arrays, _ = save_arrays(single_face_scenes(data, config.photos), Path(scratch))
        for name, timer in timers.items():
            pairs = [
                interleaved(timer, peer_time, array, config.repetitions, config.warm)
                for array in track(arrays, name)
            ]
            rows.append((name, *summarize_pairs(pairs)))
    return Table("Time beside MediaPipe FaceMesh", _TIME_PROTOCOL, _TIME_COLUMNS, rows)


def _depth_alone(analyzer: FaceAnalyzer, source: DepthSource) -> Timer:
    def timer(array: Path, repetitions: int, warm: int) -> list[float]:
        image = np.load(array)
        photo, faces = open_photo(image), analyzer(image)[:1]
        meshes = PlacedMeshes(faces.mesh_px, faces.mesh_mm, faces.translation_mm)
        return calls_ms(lambda: source([photo], [meshes]), repetitions, warm)

    return timer


def _networks(predictor: NetworkDepth) -> Timer:
    def timer(array: Path, repetitions: int, warm: int) -> list[float]:
        crop = np.ascontiguousarray(np.load(array)[None, :160, :160])
        return calls_ms(lambda: predictor.predict(crop), repetitions, warm)

    return timer

"""Eight bits and score fusion of the free set, from free photos and rendered heads alone."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from facegeom import FaceAnalyzer
from facegeom.errors import InputError
from facegeom.geometry.boxes import iou, square
from facegeom.models.score_fusion import ScoreFusion
from facegeom_lab.datasets.published.pack import free_background_files, read_images
from facegeom_lab.datasets.training.detection import DetectionImages
from facegeom_lab.datasets.training.detection_photos import PhotoPyramid
from facegeom_lab.datasets.training.face_samples import Augmentation, FaceCropsPlain, close_view
from facegeom_lab.datasets.training.free_faces import FreeFaces, boxed
from facegeom_lab.export import ship
from facegeom_lab.measures.tables import Table
from facegeom_lab.quantization import detectors, variants
from facegeom_lab.quantization.convert import quantise

NETWORKS = ("face-free", "onepass-free")
CALIBRATION = 320
VIEW_PX, SCENE_PX = 224, 384

OFFSETS = (-6.0, -5.0, -4.0, -3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0)
SCENES = 240
MATCH_IOU = 0.4

_PROTOCOL = (
    "Scenes of 384 px made of held-out rendered heads and portraits, pasted before held-out photos without a "
    "face, and those photos alone. Offset: of the log-odds of both networks, at the least score of 0.9. "
    "Found: faces of 20 px and more with a box of IoU 0.4. False: boxes with an IoU below 0.2 with all faces."
)


def quantise_free(network: str, data: Path, labels: Path, rendered: Path, model: Path, out: Path) -> Path:
    """Write ``out/NETWORK.int8.onnx``, calibrated on training photos and rendered heads.

    Args:
        network: one of :data:`NETWORKS`.
        data: the data pack.
        labels: folder of the free photos' labels.
        rendered: folder of ``facegeom lab synth --free``.
        model: the float ONNX file.
        out: folder.

    Raises:
        InputError: another network; missing data.
    """
    if network not in NETWORKS:
        raise InputError(f"expected one of {', '.join(NETWORKS)}, got {network!r}")
    faces, shards = FreeFaces(data, labels), sorted(rendered.glob("synth_*.npz"))[:1]
    if network == "face-free":
        images, floats = face_crops(faces, shards), (0, variants.FLOAT_LAYERS)
    else:
        scenes = scene_images(faces, shards, "train", VIEW_PX)
        images = np.stack([scene["image"].permute(1, 2, 0).numpy() for scene in _drawn(scenes, CALIBRATION)])
        floats = (0, detectors.FLOAT_LAYERS)
    content = quantise(model.read_bytes(), images, floats=floats)
    return ship(network, content, out / f"{network}.int8.onnx")


def face_crops(faces: FreeFaces, shards: Sequence[Path]) -> np.ndarray:
    """Return crops (N, 128, 128, 3) of photos and of rendered heads, as many of each."""
    photos = read_images(free_background_files(faces.data, "train")[:50])
    crops = []
    for images, table in (faces.photos("train"), faces.rendered(shards)):
        plain = FaceCropsPlain(
            images, table, photos, augmentation=Augmentation(strength=0.5), view=close_view
        )
        rows = np.linspace(0, len(images) - 1, CALIBRATION // 2).astype(int)
        crops += [plain[int(row)]["crop"].permute(1, 2, 0).numpy() for row in rows]
    return np.stack(crops)


def scene_images(faces: FreeFaces, shards: Sequence[Path], split: str, size_px: int) -> DetectionImages:
    """Return random scenes of a split: its portraits, its heads pasted, its photos without a face."""
    empty = read_images(free_background_files(faces.data, split))
    return DetectionImages(
        [PhotoPyramid.build(image, box) for image, box in boxed(*faces.photos(split))],
        [PhotoPyramid.build(photo, np.zeros((0, 4))) for photo in empty],
        [PhotoPyramid.build(image, box) for image, box in boxed(*faces.rendered(shards))],
        (20.0, 0.5 * size_px),
        size_px=size_px,
    )


def _drawn(scenes: DetectionImages, count: int) -> list[dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    return [scenes[index] for index in range(count)]


def fusion_table(analyzer: FaceAnalyzer, data: Path, labels: Path, rendered: Path) -> Table:
    """Compare offsets of the score fusion on scenes of held-out people, and on photos without a face.

    Args:
        analyzer: with free weights; its fusion is changed.
        data: the data pack.
        labels: folder of the free photos' labels.
        rendered: folder of held-out rendered heads.
    """
    shards = sorted(rendered.glob("synth_*.npz"))
    scenes = _drawn(scene_images(FreeFaces(data, labels), shards, "val", SCENE_PX), SCENES)
    empty = read_images(free_background_files(data, "val"))
    rows = []
    for offset in OFFSETS:
        analyzer.detector.fusion = ScoreFusion(1.0, offset)
        counts = np.sum([matches(analyzer, scene) for scene in scenes], axis=0)
        alone = sum(len(analyzer(photo)) for photo in empty)
        rows.append((offset, 100 * counts[0] / counts[1], int(counts[1]), int(counts[2]), alone))
    columns = ("offset", "found, %", "faces", "false on scenes", f"false on {len(empty)} empty photos")
    return Table("Score fusion of the free set", _PROTOCOL, columns, rows)


def matches(analyzer: FaceAnalyzer, scene: dict[str, torch.Tensor]) -> tuple[int, int, int]:
    """Return faces found, faces and false boxes of a scene."""
    truth = scene["boxes"].numpy()[scene["sure"].numpy()].astype(np.float64)
    middle = (truth[:, :2] + truth[:, 2:]) / 2
    truth = truth[((middle > 0) & (middle < SCENE_PX)).all(axis=1)]
    found = square(analyzer(scene["image"].permute(1, 2, 0).numpy()).box_xyxy.astype(np.float64))
    overlap = iou(truth, found) if len(truth) and len(found) else np.zeros((len(truth), len(found)))
    hits = int((overlap.max(axis=1, initial=0) > MATCH_IOU).sum())
    return hits, len(truth), int((overlap.max(axis=0, initial=0) < 0.2).sum())

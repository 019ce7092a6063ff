"""PoseDetector: P-Net, R-Net and FPNet, the cascade whose last stage says where each head points."""

from collections.abc import Iterable, Sequence
from os import PathLike

import numpy as np

from facegeom.analyzer import CHUNK, MIN_FACE_PX, MIN_FACE_SHARE
from facegeom.geometry.boxes import nms
from facegeom.geometry.rotation import rotation_to_line_of_sight
from facegeom.image import reading
from facegeom.image.photo import Photo, check_options, chunks, opened
from facegeom.models import weights
from facegeom.models.cascade import WINDOW, Cascade, Thresholds
from facegeom.models.engine import Engine
from facegeom.models.fpnet import FPNetPredictor, Views
from facegeom.results import Poses

MIN_SCORE = 0.7
"""MTCNN's own threshold of the last stage, as is the overlap that follows."""

WINDOWS = Thresholds(
    propose=0.1,
    propose_overlap=0.6,
    propose_most=80,
    refine=0.2,
    refine_overlap=0.5,
    smallest_px=float(WINDOW),
)
"""More windows than a :class:`facegeom.FaceAnalyzer` lets pass: FPNet looks at one in a third of a
millisecond, and faces of ``min_face`` fill P-Net's window."""

SAME_FACE = 0.7
"""Overlap, of the smaller box, from which two boxes are about one face."""


class PoseDetector:
    """Photos in, boxes and directions of heads out, by three small networks.

    It answers less than :class:`facegeom.FaceAnalyzer` and costs less: FPNet looks at 48 pixels. One instance
    may be used from many threads, pickled, and used in forked children.

    Args:
        min_face: height of the smallest face to look for, pixels of the photo; by default 5.5 % of the
            longer side, but at least 12. Smaller takes longer.
        max_faces: keep the best so many faces; None for all.
        min_score: least score of a face, in [0, 1].
        face_pose_net: ONNX file of an FPNet (``facegeom lab train fpnet``); by default the one that ships.
        device: "cpu" or "cuda" (needs onnxruntime-gpu).
        threads: of one network call; None for all cores.
        fov_deg: angle of view across the photos' longer side, for the turn of the line of sight; by default
            that of each photo's EXIF, else 50.

    Raises:
        InputError: an argument out of its range.
        WeightsError: a weight file is missing, or is not what it should be.
    """

    def __init__(
        self,
        min_face: float | None = None,
        max_faces: int | None = None,
        min_score: float = MIN_SCORE,
        face_pose_net: str | PathLike[str] | None = None,
        device: str = "cpu",
        threads: int | None = None,
        fov_deg: float | None = None,
    ) -> None:
        check_options(min_face, max_faces, min_score, threads, fov_deg)
        self.min_face, self.max_faces, self.min_score, self.fov_deg = min_face, max_faces, min_score, fov_deg
        pnet, rnet = (Engine(weights.path(name), device, threads) for name in ("pnet", "rnet"))
        self.detector = Cascade(pnet, rnet, WINDOWS)
        self.predictor = FPNetPredictor.load(face_pose_net, device, threads)

    def __call__(self, source: reading.Source, fov_deg: float | None = None) -> Poses:
        """The heads of one photo, best first.

        Args:
            source: a path, the bytes of a file, a PIL image, or an array (H, W, 3) RGB or (H, W) grey.
            fov_deg: angle of view of this photo, by default the detector's.

        Raises:
            ImageError: the photo cannot be read or used.
            InputError: an angle out of its range.
        """
        return self._detect([opened(source, fov_deg, self.fov_deg)])[0]

    def batch(self, sources: Iterable[reading.Source]) -> list[Poses]:
        """The heads of many photos of any sizes; their windows share the calls of R-Net and FPNet.

        Raises:
            ImageError: a photo cannot be read or used.
        """
        photos = (opened(source, self.fov_deg) for source in sources)
        return [poses for part in chunks(photos, CHUNK) for poses in self._detect(part)]

    def _detect(self, photos: Sequence[Photo]) -> list[Poses]:
        pictures = [photo.picture for photo in photos]
        smallest = [
            self.min_face or max(MIN_FACE_PX, MIN_FACE_SHARE * max(picture.size)) for picture in pictures
        ]
        squares = [found for found, _ in self.detector(pictures, smallest)]
        views = self.predictor(pictures, squares)
        return [_poses(self._distinct(seen), photo) for seen, photo in zip(views, photos, strict=True)]

    def _distinct(self, views: Views) -> Views:
        """The faces among the answers, each once, best first."""
        views = views[np.flatnonzero(views.score >= self.min_score)]
        return views[nms(views.box_xyxy, views.score, SAME_FACE, over_smaller=True)[: self.max_faces]]


def _poses(views: Views, photo: Photo) -> Poses:
    """The answers with the turn of the line of sight to each box's middle."""
    middle = (views.box_xyxy[:, :2] + views.box_xyxy[:, 2:]) / 2
    sight = photo.camera.back_project(middle, np.ones(len(middle)))
    return Poses(
        box_xyxy=views.box_xyxy.astype(np.float32),
        score=views.score.astype(np.float32),
        rotation=(rotation_to_line_of_sight(sight) @ views.rotation).astype(np.float32),
        width=photo.camera.width,
        height=photo.camera.height,
        file=photo.file,
    )

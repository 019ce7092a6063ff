"""HeadPoseDetector: P-Net, R-Net and FPNet, the cascade whose last stage predicts head directions."""

from collections.abc import Sequence
from os import PathLike

import numpy as np

from facegeom.geometry.boxes import in_photo, nms
from facegeom.geometry.rotation import rotation_in_camera
from facegeom.image.photo import Photo
from facegeom.models import weights
from facegeom.models.cascade import WINDOW, CascadeDetector, Thresholds
from facegeom.models.engine import Engine
from facegeom.models.fpnet import FPNet, HeadPredictions
from facegeom.options import Orientation, PhotoSearch, SearchOptions
from facegeom.results import Poses

MIN_SCORE = 0.7
"""MTCNN's own threshold of the last stage."""

THRESHOLDS = Thresholds(
    propose=0.1,
    propose_overlap=0.6,
    propose_most=80,
    refine=0.2,
    refine_overlap=0.5,
    smallest_px=float(WINDOW),
)
"""More windows pass than in a :class:`facegeom.FaceAnalyzer`: FPNet takes a third of a millisecond for one,
and faces of ``min_face`` fill P-Net's window."""

SAME_FACE = 0.7
"""Overlap, over the smaller box, from which two boxes are of one face."""


class HeadPoseDetector(PhotoSearch[Poses]):
    """Find faces and head directions by three small networks.

    It predicts less than :class:`facegeom.FaceAnalyzer` and costs less: FPNet takes 48 pixels. One instance
    may be used from many threads, pickled, and used in forked children.

    Args:
        min_face: height of the smallest face to look for, pixels of the photo; by default 5.5 % of the
            longer side, but at least 12. Smaller takes longer.
        max_faces: keep at most so many faces, best first; None for all.
        min_score: least score of a face, in [0, 1].
        face_pose_net: ONNX file of an FPNet (``facegeom lab train fpnet``); by default the one that ships.
        device: as of :class:`facegeom.FaceAnalyzer`.
        threads: threads of one network call. By default one, and :meth:`batch` uses all cores; a number is
            kept to.
        fov_deg: angle of view across the photos' longer side, for ``camera_rotation``; by default that of
            each photo's EXIF, else 50.
        orientation: "exif", or "auto": a photo without a sure face is also tried turned by 90, 180 and 270°;
            the answer is in coordinates of the photo as given, and ``turned_deg`` says the turn.

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
        orientation: Orientation = "exif",
    ) -> None:
        self.options = SearchOptions(min_face, max_faces, min_score, fov_deg, orientation)
        self.threads = threads
        pnet, rnet = (Engine(weights.path(name), device, threads) for name in ("pnet", "rnet"))
        self.detector = CascadeDetector(pnet, rnet, THRESHOLDS)
        self.fpnet = FPNet.load(face_pose_net, device, threads)

    def _search_as_given(self, photos: Sequence[Photo], options: SearchOptions) -> list[Poses]:
        images = [photo.pyramid for photo in photos]
        sizes_px = [options.face_size.in_photo(each.camera.width, each.camera.height) for each in photos]
        factors = [max(photo.factor_xy) for photo in photos]
        candidates = self.detector(images, [px / by for px, by in zip(sizes_px, factors, strict=True)])
        predictions = self.fpnet(images, [each.box_xyxy for each in candidates])
        return [_to_poses(each, photo, options) for each, photo in zip(predictions, photos, strict=True)]


PoseDetector = HeadPoseDetector
"""The former name."""


def _to_poses(predictions: HeadPredictions, photo: Photo, options: SearchOptions) -> Poses:
    """Keep each face once, best first; add the rotation in the camera frame by the line of sight."""
    faces = predictions[np.flatnonzero(predictions.score >= options.min_score)]
    faces = faces[nms(faces.box_xyxy, faces.score, SAME_FACE, over_smaller=True)[: options.max_faces]]
    boxes_xyxy = faces.box_xyxy
    if (photo.factor_xy, photo.offset_xy) != ((1.0, 1.0), (0.0, 0.0)):
        boxes_xyxy = in_photo(boxes_xyxy, photo.factor_xy, photo.offset_xy)
    centre = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    sight = photo.camera.back_project(centre, np.ones(len(centre)))
    return Poses(
        box_xyxy=boxes_xyxy.astype(np.float32),
        score=faces.score.astype(np.float32),
        rotation=faces.rotation,
        camera_rotation=rotation_in_camera(faces.rotation, sight),
        width=photo.camera.width,
        height=photo.camera.height,
        file=photo.file,
    )

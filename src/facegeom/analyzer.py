"""FaceAnalyzer: the one place that joins the stages."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from facegeom.depth.source import depth_source
from facegeom.errors import InputError
from facegeom.geometry.boxes import nms, overlap, square
from facegeom.geometry.camera import Camera
from facegeom.geometry.placement import place
from facegeom.geometry.rotation import rotation_to_6d, rotation_to_line_of_sight
from facegeom.image import reading
from facegeom.image.crop import Picture, size_wh
from facegeom.image.photo import Photo, camera_of, check_options, chunks, file_of, opened
from facegeom.models import loading
from facegeom.models import weights as weight_files
from facegeom.models.engine import Engine
from facegeom.models.face import CROP_PX, CROP_SCALE, Answers, FacePredictor
from facegeom.models.fpnet import FPNetPredictor
from facegeom.results import Faces

FloatArray = npt.NDArray[np.floating]

MIN_FACE_SHARE = 0.055
"""Smallest face that is looked for by default, of the photo's longer side."""

MIN_FACE_PX = 12.0
"""... but never smaller than this."""

SAME_FACE_IOU = 0.4
NESTED = 0.5
"""Overlap, of the smaller square, from which two candidates are about one face."""

VARIANTS = ("float32", "int8")
"""Of the networks."""

CHUNK = 16
"""Photos whose faces go through the networks together in :meth:`FaceAnalyzer.batch`."""


class FaceAnalyzer:
    """Photos in, geometry of faces out; the networks are loaded once and come with the package.

    One instance may be used from many threads, pickled, and used in forked children.

    Args:
        min_face: height of the smallest face to look for, pixels of the photo; by default 5.5 % of the
            longer side, but at least 12. Smaller takes longer.
        max_faces: keep the best so many faces; None for all.
        min_score: least score of a face, in [0, 1].
        device: "cpu" or "cuda" (needs onnxruntime-gpu).
        threads: of one network call; None for all cores.
        fov_deg: angle of view across the photos' longer side, for distances in millimetres; by default that
            of each photo's EXIF, else 50. Arrays have no EXIF.
        pose_net: whose rotation the answers hold, "face", the face network's, or "fpnet", FPNet's.
        depth: whether the answers hold depth maps; "mesh" or "network" says where they come from, True is
            the default of these, :data:`facegeom.depth.DEFAULT`.
        detector: what finds the faces, "onepass", one network over the whole photo, or "cascade", P-Net and
            R-Net.
        weights: of the networks, "float32", or "int8": a quarter of the size and, on processors with dot
            products of bytes, half of its time, for a little accuracy (docs/model-cards/face.md). By
            default "int8" on a processor, "float32" on a GPU.

    Raises:
        InputError: an argument out of its range.
        WeightsError: a weight file is missing.
    """

    def __init__(
        self,
        min_face: float | None = None,
        max_faces: int | None = None,
        min_score: float = 0.9,
        device: str = "cpu",
        threads: int | None = None,
        fov_deg: float | None = None,
        pose_net: Literal["face", "fpnet"] = "face",
        depth: bool | Literal["mesh", "network"] = False,
        detector: Literal["onepass", "cascade"] = "onepass",
        weights: Literal["float32", "int8"] | None = None,
    ) -> None:
        check_options(min_face, max_faces, min_score, threads, fov_deg)
        self.min_face, self.max_faces, self.min_score, self.fov_deg = min_face, max_faces, min_score, fov_deg
        variant = _variant(weights, device)
        self.detector = loading.load(detector, device, threads, variant)
        self.predictor = FacePredictor(Engine(weight_files.path("face", variant), device, threads))
        self.pose = _pose_predictor(pose_net, device, threads)
        self.depth = depth_source(depth, device, threads)

    def __call__(self, source: reading.Source, fov_deg: float | None = None) -> Faces:
        """The faces of one photo, best first.

        Args:
            source: a path, the bytes of a file, a PIL image, or an array (H, W, 3) RGB or (H, W) grey.
            fov_deg: angle of view of this photo, by default the analyzer's; for an array, see
                :func:`facegeom.image.reading.fov_deg`.

        Raises:
            ImageError: the photo cannot be read or used.
            InputError: an angle out of its range.
        """
        return self._analyze([self._open(source, fov_deg)])[0]

    def batch(self, sources: Iterable[reading.Source]) -> list[Faces]:
        """The faces of many photos of any sizes; their crops share the calls of the networks.

        Raises:
            ImageError: a photo cannot be read or used.
        """
        photos = (self._open(source) for source in sources)
        return [faces for part in chunks(photos, CHUNK) for faces in self._analyze(part)]

    def at(self, source: reading.Source, boxes_xyxy: npt.ArrayLike) -> Faces:
        """The geometry of faces whose places are known, as from one frame of a video to the next.

        Nothing is searched, nothing is left out: a low ``score`` says that there is no face at that place.

        Args:
            source: as in a call.
            boxes_xyxy: (N, 4) the faces' boxes, pixels, right to about a tenth of their size.

        Returns:
            N faces in the order of the boxes.

        Raises:
            ImageError: the photo cannot be read or used.
            InputError: the boxes have another shape, or are empty or not finite.
        """
        boxes = _boxes(boxes_xyxy)
        pixels = reading.read(source)
        answers = self._posed([pixels], self.predictor([pixels], [square(boxes)]))[0]
        camera = camera_of(source, size_wh(pixels), self.fov_deg)
        return self._deepened([pixels], [self._faces(answers, camera, file_of(source))])[0]

    def _analyze(self, photos: Sequence[Photo]) -> list[Faces]:
        pictures = [photo.picture for photo in photos]
        found = self.detector(pictures, [self._min_face(photo) for photo in photos])
        answers = self._judge(pictures, found)
        answers = self.predictor.look_again(pictures, [self._distinct(answer) for answer in answers])
        answers = self._posed(pictures, answers)
        faces = [
            self._faces(answer.enlarged(*photo.pixels_per_pixel), photo.camera, photo.file)
            for answer, photo in zip(answers, photos, strict=True)
        ]
        return self._deepened(pictures, faces)

    def _judge(
        self, pictures: Sequence[Picture], found: Sequence[tuple[FloatArray, FloatArray]]
    ) -> list[Answers]:
        """Answers for the candidates; those nested in or around a face are not looked at."""
        leads = [nms(squares, scores, NESTED, over_smaller=True) for squares, scores in found]
        first = self._look(pictures, found, leads)
        rest = [
            self._unexplained(squares, lead, answers)
            for (squares, _), lead, answers in zip(found, leads, first, strict=True)
        ]
        if not any(len(rows) for rows in rest):
            return first
        second = self._look(pictures, found, rest)
        return [one.joined(other) for one, other in zip(first, second, strict=True)]

    def _unexplained(
        self, squares: FloatArray, lead: npt.NDArray[np.intp], answers: Answers
    ) -> npt.NDArray[np.intp]:
        """Rows of the squares that were not looked at and are not about a face that was found."""
        others = np.ones(len(squares), bool)
        others[lead] = False
        faces = square(answers.box_xyxy[answers.score >= self.min_score])
        others[others] = (overlap(squares[others], faces, over_smaller=True) <= NESTED).all(axis=1)
        return np.flatnonzero(others)

    def _look(
        self,
        pictures: Sequence[Picture],
        found: Sequence[tuple[FloatArray, FloatArray]],
        rows: Sequence[npt.NDArray[np.intp]],
    ) -> list[Answers]:
        """Answers for some of each photo's candidates; their scores are those of both networks together."""
        chosen = [(squares[row], scores[row]) for (squares, scores), row in zip(found, rows, strict=True)]
        answers = self.predictor(pictures, [squares for squares, _ in chosen])
        return [
            replace(answer, score=self.detector.evidence.joined(answer.score, scores))
            for answer, (_, scores) in zip(answers, chosen, strict=True)
        ]

    def _posed(self, pictures: Sequence[Picture], answers: list[Answers]) -> list[Answers]:
        """The answers with FPNet's rotations, where those were asked for."""
        if self.pose is None:
            return answers
        views = self.pose(pictures, [square(answer.box_xyxy) for answer in answers])
        return [
            replace(answer, rotation6d=rotation_to_6d(view.rotation))
            for answer, view in zip(answers, views, strict=True)
        ]

    def _deepened(self, pictures: Sequence[Picture], faces: list[Faces]) -> list[Faces]:
        """The faces with depth maps, where those were asked for."""
        if self.depth is None:
            return faces
        maps = self.depth(pictures, faces)
        return [replace(each, depth=found) for each, found in zip(faces, maps, strict=True)]

    def _min_face(self, photo: Photo) -> float:
        """In pixels of the picture."""
        return self._smallest(photo.camera.width, photo.camera.height) / max(photo.pixels_per_pixel)

    def _smallest(self, width: int, height: int) -> float:
        """Height of the smallest face, pixels of the photo."""
        return self.min_face or max(MIN_FACE_PX, MIN_FACE_SHARE * max(width, height))

    def _coarsest(self, width: int, height: int) -> float:
        """How many pixels of a photo may become one: no crop gets coarser than its network takes it.

        Depth networks look closer, so photos stay whole for them.
        """
        return self._smallest(width, height) * CROP_SCALE / CROP_PX if self.depth is None else 1.0

    def _distinct(self, answers: Answers) -> Answers:
        """The faces among the answers, each once, best first."""
        answers = answers[np.flatnonzero(answers.score >= self.min_score)]
        return answers[nms(answers.box_xyxy, answers.score, SAME_FACE_IOU)[: self.max_faces]]

    def _open(self, source: reading.Source, fov_deg: float | None = None) -> Photo:
        """What is said of this photo comes first, then what was said of all, then its EXIF."""
        return opened(source, fov_deg, self.fov_deg, coarsest=self._coarsest)

    @staticmethod
    def _faces(answers: Answers, camera: Camera, file: str | None) -> Faces:
        mesh_px = answers.mesh_px
        mesh_mm, translation_mm, _ = place(mesh_px, camera)
        return Faces(
            box_xyxy=answers.box_xyxy,
            score=answers.score,
            landmarks_px=answers.landmarks_px,
            landmarks_confidence=answers.landmarks_confidence,
            mesh_px=mesh_px,
            mesh_confidence=answers.mesh_confidence,
            mesh_mm=mesh_mm,
            rotation=(rotation_to_line_of_sight(translation_mm) @ answers.rotation).astype(np.float32),
            translation_mm=translation_mm,
            width=camera.width,
            height=camera.height,
            file=file,
        )


def _variant(name: str | None, device: str) -> str:
    name = name or ("int8" if device == "cpu" else "float32")
    if name not in VARIANTS:
        raise InputError(f"weights: expected one of {', '.join(VARIANTS)}, got {name!r}")
    return name


def _pose_predictor(name: str, device: str, threads: int | None) -> FPNetPredictor | None:
    if name not in ("face", "fpnet"):
        raise InputError(f"pose_net: expected face or fpnet, got {name!r}")
    return FPNetPredictor.load(device=device, threads=threads) if name == "fpnet" else None


def _boxes(boxes_xyxy: npt.ArrayLike) -> FloatArray:
    boxes = np.asarray(boxes_xyxy, np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(f"boxes_xyxy: expected the shape (N, 4), got {boxes.shape}")
    if not (np.isfinite(boxes).all() and (boxes[:, 2:] > boxes[:, :2]).all()):
        raise InputError("boxes_xyxy: expected left < right and top < bottom, finite pixels, for each box")
    return boxes


@cache
def _shared() -> FaceAnalyzer:
    return FaceAnalyzer()


def analyze(source: reading.Source) -> Faces:
    """The faces of one photo with the default settings; see :class:`FaceAnalyzer`."""
    return _shared()(source)

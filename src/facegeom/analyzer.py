"""FaceAnalyzer: the one place that joins the stages."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from facegeom.depth.two_stage import PlacedMeshes, depth_source
from facegeom.geometry.boxes import nms, overlap, square
from facegeom.geometry.camera import Camera
from facegeom.geometry.placement import Placement, place
from facegeom.image.photo import Photo, no_memory, open_photo
from facegeom.image.pyramid import Pyramid
from facegeom.image.reading import Source
from facegeom.models import devices
from facegeom.models import weights as weight_files
from facegeom.models.detector import Candidates
from facegeom.models.expression import Motion
from facegeom.models.face import CROP_PX, CROP_SCALE, FaceGeometry, FacePredictions
from facegeom.models.fpnet import FPNet
from facegeom.models.sets import VARIANTS, check_free, load_networks
from facegeom.options import Orientation, PhotoSearch, SearchOptions, check_name, check_places
from facegeom.results import Faces

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

SAME_FACE_IOU = 0.4
"""Intersection over union from which two predictions are of one face."""

NESTED = 0.5
"""Overlap, over the smaller square, from which two candidates are of one face."""


class _Views(NamedTuple):
    """Images with their lenses, where known, and with the candidates in them."""

    images: Sequence[Pyramid]
    lenses: Sequence[Camera | None]
    candidates: Sequence[Candidates]


class FaceAnalyzer(PhotoSearch[Faces]):
    """Find the faces of photos and their geometry; the networks are loaded once and come with the package.

    One instance may be used from many threads, pickled, and used in forked children.

    Args:
        min_face: height of the smallest face to look for, pixels of the photo. By default 5.5 % of the longer
            side, but at least 12, and 1.5 %, but at least 20, where something hints at smaller faces; what is
            given is looked for everywhere, and smaller takes longer. The cascade takes no hints.
        max_faces: keep at most so many faces, best first; None for all.
        min_score: least score of a face, in [0, 1].
        device: "cpu", "cuda", "coreml", "directml", "openvino", or "auto": a GPU where one works, else the
            CPU; see docs/devices.md.
        threads: threads of one network call. By default one, and :meth:`batch` and photos of many faces use
            all cores; a number is kept to.
        fov_deg: angle of view across the photos' longer side, for distances in millimetres; by default that
            of each photo's EXIF, else 50. Arrays have no EXIF.
        pose_net: source of the rotation, "face" for the face network or "fpnet" for FPNet.
        depth: whether faces get depth maps; "mesh" or "network" names their source, True is
            the default of these, :data:`facegeom.depth.two_stage.DEFAULT`.
        detector: "onepass", one network over the whole photo, or "cascade", P-Net and R-Net.
        weights: variant of detector and face network, "float32", or "int8", half of the size and time for a
            little accuracy (docs/model-cards/face.md). By default "int8" on a CPU, "float32" on a GPU. "free"
            is the set that may be used and shipped in products (docs/free-weights.md); its depth comes
            from the mesh.
        orientation: "exif", or "auto": a photo without a sure face is also tried turned by 90, 180 and 270°;
            the answer is in coordinates of the photo as given, and ``turned_deg`` says the turn.

    Raises:
        InputError: an argument out of its range.
        WeightsError: a weight file is missing.
    """

    face_px = CROP_PX / CROP_SCALE

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
        weights: Literal["float32", "int8", "free"] | None = None,
        orientation: Orientation = "exif",
    ) -> None:
        self.options = SearchOptions(min_face, max_faces, min_score, fov_deg, orientation)
        self.threads = threads
        device = devices.resolve(device)
        variant = ("int8" if device in devices.EIGHT_BITS else "float32") if weights is None else weights
        check_name("weights", variant, (*VARIANTS, weight_files.FREE))
        check_name("pose_net", pose_net, ("face", "fpnet"))
        check_name("detector", detector, ("onepass", "cascade"))
        if variant == weight_files.FREE:
            check_free(pose_net, detector, depth)
            depth = depth and "mesh"
        networks = load_networks(detector, device, threads, variant)
        self.detector, self.face_net, self.region_nets, self.expression_net = networks
        self.fpnet = FPNet.load(device=device, threads=threads) if pose_net == "fpnet" else None
        self.depth = depth_source(depth, device, threads)

    def at(
        self,
        source: Source | Photo,
        boxes_xyxy: npt.ArrayLike,
        roll_deg: npt.ArrayLike | None = None,
    ) -> Faces:
        """Predict the geometry of faces at known places, as from one frame of a video to the next.

        Nothing is searched and nothing is left out: a low ``score`` says that no face is there.

        Args:
            source: as in a call.
            boxes_xyxy: (N, 4) boxes of the faces, pixels, right to about a tenth of their size.
            roll_deg: (N,) roll of the faces, degrees clockwise, right to about 40; upright faces need none.

        Returns:
            N faces in the order of the boxes.

        Raises:
            ImageError: the photo cannot be read or used.
            InputError: the boxes or rolls have another shape, or are empty or not finite.
        """
        boxes, roll = check_places(boxes_xyxy, roll_deg)
        photo = open_photo(source, self.options.fov_deg)
        try:
            squares = square(photo.boxes_to_decoded(boxes))
            predictions = self.face_net([photo.pyramid], [squares], [photo.lens], [roll])
            return self._results([photo], predictions, [0.0], None if roll is None else [roll != 0])[0]
        except MemoryError as error:
            raise no_memory(photo.file, error) from error

    @property
    def max_faces(self) -> int | None:
        """Number of faces to keep at most; None for all."""
        return self.options.max_faces

    @property
    def fov_deg(self) -> float | None:
        """Angle of view for all photos, degrees; None for each photo's own."""
        return self.options.fov_deg

    def _search_as_given(self, photos: Sequence[Photo], options: SearchOptions) -> list[Faces]:
        """Detect, verify, suppress duplicates, refine, again, confirm, and convert to results."""
        images, lenses = [photo.pyramid for photo in photos], [photo.lens for photo in photos]
        smallest_px = [self._smallest_px(photo, options) for photo in photos]
        decoded_px = np.transpose(smallest_px) / [max(photo.factor_xy) for photo in photos]
        candidates = self.detector(images, *decoded_px.tolist())
        survivors = [nms(*each, NESTED, over_smaller=True) for each in candidates]
        faces = []
        views = _Views(images, lenses, candidates)
        for each in self._verify(views, survivors, options.min_score):
            sure = each[np.flatnonzero(each.score >= options.min_score)]
            faces.append(sure.distinct(SAME_FACE_IOU))
        refined = self.face_net.refine(images, faces, lenses)
        refined = [each.distinct(SAME_FACE_IOU) for each in refined]
        confirmed = self.face_net.confirm(images, refined, lenses)
        kept = [each[: options.max_faces] for each in confirmed]
        return self._results(photos, kept, list(map(min, smallest_px)))

    def _smallest_px(self, photo: Photo, options: SearchOptions) -> tuple[float, float]:
        """Return sizes of the smallest faces, pixels of the photo: everywhere, and where something hints."""
        everywhere = options.face_size.in_photo(photo.camera.width, photo.camera.height)
        if not self.detector.looks_closer:
            return everywhere, everywhere
        return everywhere, options.closest_size.in_photo(photo.camera.width, photo.camera.height)

    def _verify(
        self, views: "_Views", survivors: Sequence[IntArray], min_score: float
    ) -> list[FacePredictions]:
        """Run the face network on the survivors of NMS, then on the candidates that no face explains.

        Candidates nested in a better one are verified only if that one was no face.
        """
        first = self._predict(views, survivors)
        rest = [
            _remaining(each.box_xyxy, rows, predictions, min_score)
            for each, rows, predictions in zip(views.candidates, survivors, first, strict=True)
        ]
        if not any(len(rows) for rows in rest):
            return first
        second = self._predict(views, rest)
        return [one.joined(other) for one, other in zip(first, second, strict=True)]

    def _predict(self, views: "_Views", rows: Sequence[IntArray]) -> list[FacePredictions]:
        """Predict for some rows of each image's candidates; the scores of both networks are fused."""
        squares = [each.box_xyxy[chosen] for each, chosen in zip(views.candidates, rows, strict=True)]
        predictions = self.face_net(views.images, squares, views.lenses)
        return [
            replace(prediction, score=self.detector.fusion.fuse(prediction.score, each.score[chosen]))
            for prediction, each, chosen in zip(predictions, views.candidates, rows, strict=True)
        ]

    def _results(
        self,
        photos: Sequence[Photo],
        predictions: Sequence[FacePredictions],
        min_face_px: Sequence[float],
        rolled: Sequence[BoolArray] | None = None,
    ) -> list[Faces]:
        """Convert predictions to results in the photos' pixels and in millimetres; add depth if wanted."""
        images = [photo.pyramid for photo in photos]
        predictions, features = self.region_nets(images, predictions)
        rotations6d = [each.rotation6d for each in predictions]
        if self.fpnet is not None:
            predictions = self.fpnet.turned(images, predictions, rolled)
        pairs = zip(predictions, photos, strict=True)
        faces_px = [each.in_photo(photo.factor_xy, photo.offset_xy) for each, photo in pairs]
        placed = [place(each.mesh_px, photo.camera) for each, photo in zip(faces_px, photos, strict=True)]
        motions = self.expression_net(features, [each.mesh_mm for each in placed], rotations6d)
        scores = [each.score for each in predictions]
        columns = zip(scores, faces_px, placed, motions, photos, min_face_px, strict=True)
        faces = [_to_faces(*each) for each in columns]
        if self.depth is None:
            return faces
        meshes = [PlacedMeshes(each.mesh_px, each.mesh_mm, each.translation_mm) for each in faces]
        depths = self.depth(photos, meshes)
        return [replace(each, depth=maps) for each, maps in zip(faces, depths, strict=True)]


def analyze(source: Source | Photo) -> Faces:
    """Find the faces of one photo with default settings; see :class:`FaceAnalyzer`."""
    return _default_analyzer()(source)


@cache
def _default_analyzer() -> FaceAnalyzer:
    return FaceAnalyzer()


def _remaining(
    squares: FloatArray, survivors: IntArray, predictions: FacePredictions, min_score: float
) -> IntArray:
    """Return the rows of the squares that were not verified and do not overlap a face that was found."""
    others = np.ones(len(squares), bool)
    others[survivors] = False
    faces = square(predictions.box_xyxy[predictions.score >= min_score])
    others[others] = (overlap(squares[others], faces, over_smaller=True) <= NESTED).all(axis=1)
    return np.flatnonzero(others)


def _to_faces(
    score: FloatArray,
    geometry: FaceGeometry,
    placed: Placement,
    motion: Motion,
    photo: Photo,
    min_face_px: float,
) -> Faces:
    return Faces(
        **vars(geometry),
        **placed._asdict(),
        score=score,
        expression=motion.expression,
        gaze=(motion.gaze_seen @ geometry.rotation).astype(np.float32),
        gaze_confidence=motion.gaze_confidence,
        width=photo.camera.width,
        height=photo.camera.height,
        file=photo.file,
        fov_deg=photo.camera.fov_deg,
        fov_source=photo.fov_source,
        min_face_px=min_face_px,
    )

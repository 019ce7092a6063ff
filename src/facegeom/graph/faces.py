"""The analyzer as one graph; mirrors :mod:`facegeom.analyzer` with its defaults."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from facegeom.analyzer import NESTED, SAME_FACE_IOU
from facegeom.geometry.schemes import IBUG68_EYE_CORNERS, MESH478_EYE_CORNERS
from facegeom.graph.builder import Graph, Tensor
from facegeom.graph.detection import Found, detect, nms, overlap
from facegeom.graph.sampling import crop_affine, crop_squares
from facegeom.models import weights as weight_files
from facegeom.models.face import (
    CONFIRM_SCORE,
    CROP_SCALE,
    DOUBTFUL,
    NEAR,
    REFINE_IOU,
    UPSIDE_DOWN_MARGIN,
    UPSIDE_DOWN_SCORE,
    UPSIDE_DOWN_YAW_DEG,
)
from facegeom.models.face import CROP_PX as FACE_CROP_PX
from facegeom.models.regions import CROP_PX, REGIONS, Region
from facegeom.models.score_fusion import CERTAIN
from facegeom.models.sets import VARIANTS, fusion
from facegeom.options import check_name, check_number

OUTPUTS: dict[str, tuple[tuple[str | int, ...], str]] = {
    "boxes_xyxy": (("n", 4), "left, top, right, bottom, pixels"),
    "scores": (("n",), "probability of a face, in [0, 1]; best first"),
    "landmarks_px": (("n", 68, 2), "the 68 points of the iBUG markup, pixels"),
    "landmarks_confidence": (("n", 68), "in [0, 1]"),
    "mesh_px": (("n", 478, 3), "x, y pixels; z on the same scale, smaller is nearer"),
    "mesh_confidence": (("n", 478), "in [0, 1]"),
    "rotations": (("n", 3, 3), "head frame to the frame of the line of sight: the head as seen"),
}
"""Outputs of the graph: shape and meaning, as in :class:`facegeom.Faces`."""

LANDMARKS, MESH_POINTS = 68, 478


class _Predictions(NamedTuple):
    """Columns of :class:`facegeom.models.face.FacePredictions`; all but ``score`` are geometry."""

    score: Tensor
    box: Tensor
    rotation6d: Tensor
    landmarks: Tensor
    mesh: Tensor
    landmarks_scale: Tensor
    mesh_scale: Tensor
    crop_xyxy: Tensor

    def take(self, rows: Tensor) -> "_Predictions":
        return _Predictions(*(each.take(rows) for each in self))

    @property
    def size_and_centre(self) -> tuple[Tensor, Tensor]:
        """Size and centre (K, 1, 2) of the crops, pixels."""
        crop = self.crop_xyxy.reshape(-1, 1, 4)
        low, high = crop.part(2, 0, 2), crop.part(2, 2)
        return high - low, (low + high) * 0.5

    @property
    def box_xyxy(self) -> Tensor:
        """The boxes (K, 4), pixels."""
        size, centre = self.size_and_centre
        return (self.box.reshape(-1, 2, 2) * size + centre).reshape(-1, 4)

    @property
    def landmarks_confidence(self) -> Tensor:
        return _confidence(self.landmarks, IBUG68_EYE_CORNERS, self.landmarks_scale)


def build(weights: str = "int8", min_score: float = 0.9) -> onnx.ModelProto:
    """Join the networks that ship to one graph from a photo to its faces.

    It gives what :class:`facegeom.FaceAnalyzer` gives by default for an array, but for lengths in
    millimetres, expression and gaze.

    Args:
        weights: variant of detector and face network, "int8" or "float32"; or "free", the set for products.
        min_score: least score of a face, in [0, 1].

    Returns:
        A model with the input ``image`` (H, W, 3) uint8 RGB, of any size, and :data:`OUTPUTS`.

    Raises:
        InputError: an unknown variant, or a score out of its range.
        WeightsError: a weight file is missing.
    """
    check_name("weights", weights, (*VARIANTS, weight_files.FREE))
    check_number("min_score", min_score, 0, 1)
    graph = Graph([helper.make_tensor_value_info("image", TensorProto.UINT8, ["height", "width", 3])])
    image = Tensor(graph, "image", np.uint8)
    found = detect(image, weight_files.of_set("onepass", weights))
    faces = _Analysis(graph, image, found, weights, min_score).run()
    described = [
        (tensor, helper.make_tensor_value_info(name, TensorProto.FLOAT, shape, doc))
        for tensor, (name, (shape, doc)) in zip(faces, OUTPUTS.items(), strict=True)
    ]
    model = graph.model("facegeom", described)
    model.producer_name, model.producer_version = "facegeom", version("facegeom")
    licence = weight_files.manifest()[f"face-{weights}" if weights == weight_files.FREE else "face"].licence
    helper.set_model_props(model, {"weights": weights, "min_score": str(min_score), "licence": licence})
    return model


class _Analysis:
    """What follows the detector."""

    def __init__(self, graph: Graph, image: Tensor, found: Found, weights: str, min_score: float) -> None:
        self.graph, self.image, self.levels, self.min_score = graph, image, found.levels, min_score
        self.candidates = found.candidates
        self.weights, self.face_path = weights, weight_files.of_set("face", weights)
        self.fusion = fusion(weights)

    def run(self) -> list[Tensor]:
        """Return the outputs."""
        graph = self.graph
        empty = [graph.constant(np.zeros((0, *shape[1:]), np.float32)) for shape, _ in OUTPUTS.values()]
        some = self.candidates.score.size() > 0

        def faces() -> list[Tensor]:
            verified = self._verify()
            sure = verified.take(graph.rows(verified.score >= self.min_score))
            kept = sure.take(nms(sure.box_xyxy, sure.score, SAME_FACE_IOU))
            return graph.when(kept.score.size() > 0, lambda: self._outputs(kept), lambda: empty)

        return graph.when(some, faces, lambda: empty)

    def _outputs(self, kept: _Predictions) -> list[Tensor]:
        refined = self._refine(kept)
        distinct = refined.take(nms(refined.box_xyxy, refined.score, SAME_FACE_IOU))
        faces = self._closer_look(self._confirm(distinct))
        size, centre = faces.size_and_centre
        depth = faces.mesh.part(2, 2) * (size.column(0) * size.column(1)).sqrt().reshape(-1, 1, 1)
        mesh_px = self.graph.concat([faces.mesh.part(2, 0, 2) * size + centre, depth], 2)
        return [
            faces.box_xyxy,
            faces.score,
            faces.landmarks * size + centre,
            faces.landmarks_confidence,
            mesh_px,
            _confidence(faces.mesh, MESH478_EYE_CORNERS, faces.mesh_scale),
            _rotation(faces.rotation6d),
        ]

    def _verify(self) -> _Predictions:
        """Mirror ``FaceAnalyzer._verify``."""
        graph, (squares, score) = self.graph, self.candidates
        survivors = nms(squares, score, NESTED, over_smaller=True)
        first = self._predict(survivors)
        zero = graph.full(survivors.size(), 0, np.int64)
        is_other = graph.op(
            "ScatterElements", graph.full(score.size(), 1, np.int64), survivors, zero, axis=0
        ).cast(bool)
        sure = first.box_xyxy.take(graph.rows(first.score >= self.min_score))
        shared = (overlap(squares, _square(sure), over_smaller=True) > NESTED).cast(np.float32).sum(1)
        rest = graph.rows(is_other & (shared < 0.5))
        both = graph.when(
            rest.size() > 0,
            lambda: [graph.concat(list(each), 0) for each in zip(first, self._predict(rest), strict=True)],
            lambda: list(first),
        )
        return _Predictions(*both)

    def _predict(self, rows: Tensor) -> _Predictions:
        """Predict for some candidates; the scores of both networks are fused."""
        found = self._face_net(self.candidates.squares.take(rows))
        face, detector = (
            each.cast(np.float64).at_least(CERTAIN).at_most(1 - CERTAIN)
            for each in (found.score, self.candidates.score.take(rows))
        )
        odds = (face / (1 - face)).log() + (detector / (1 - detector)).log() * self.fusion.weight
        odds = odds + self.fusion.offset
        return found._replace(score=(1 / ((-odds).exp() + 1)).cast(np.float32))

    def _face_net(self, squares: Tensor) -> _Predictions:
        crops = _square(squares, CROP_SCALE)
        return self._seen(crop_squares(self.levels, crops), crops)

    def _seen(self, pixels: Tensor, crops: Tensor) -> _Predictions:
        return _Predictions(*[*self.graph.network(self.face_path, pixels, shared=True), crops])

    def _refine(self, faces: _Predictions) -> _Predictions:
        """Mirror ``FaceNet.refine``."""
        graph, own = self.graph, _square(faces.box_xyxy)
        seen = _square(faces.crop_xyxy, 1 / CROP_SCALE)
        shared = overlap(own.reshape(-1, 4), seen)
        each = graph.arange(own.size())
        aligned = shared.reshape(-1).take(each * own.size() + each)
        rows = graph.rows(aligned < REFINE_IOU)

        def refined() -> list[Tensor]:
            better = self._face_net(own.take(rows))
            index = rows.reshape(-1, 1)
            return [
                graph.op("ScatterND", old, index, new) for old, new in zip(faces[1:], better[1:], strict=True)
            ]

        return _Predictions(faces.score, *graph.when(rows.size() > 0, refined, lambda: list(faces[1:])))

    def _confirm(self, faces: _Predictions) -> _Predictions:
        """Mirror ``FaceNet.confirm``."""
        graph = self.graph
        rows = graph.rows(faces.landmarks_confidence.mean(1) < DOUBTFUL)

        def confirmed() -> list[Tensor]:
            squares = _square(_square(faces.box_xyxy.take(rows)), CROP_SCALE)
            crops = crop_squares(self.levels, squares)
            backwards = np.arange(FACE_CROP_PX)[::-1]
            turned = crops.take(backwards, 1).take(backwards, 2)
            both = self._seen(graph.concat([crops, turned], 0), graph.concat([squares, squares], 0))
            half = rows.size()
            seen = [both.take(graph.arange(half)), both.take(graph.arange(half) + half)]
            confidence = [each.landmarks_confidence.mean(1) for each in seen]
            is_upside_down = seen[1].score >= UPSIDE_DOWN_SCORE
            is_upside_down &= confidence[1] >= confidence[0] - UPSIDE_DOWN_MARGIN
            sine = _rotation(seen[0].rotation6d).part(1, 2).column(0).reshape(-1).abs()
            is_upside_down &= sine < float(np.sin(np.deg2rad(UPSIDE_DOWN_YAW_DEG)))
            wrong = rows.take(graph.rows(is_upside_down | (seen[0].score < CONFIRM_SCORE)))
            right = graph.op(
                "ScatterElements",
                graph.full(faces.score.size(), 1, np.int64),
                wrong,
                graph.full(wrong.size(), 0, np.int64),
                axis=0,
            )
            return list(faces.take(graph.rows(right.cast(bool))))

        return _Predictions(*graph.when(rows.size() > 0, confirmed, lambda: list(faces)))

    def _closer_look(self, faces: _Predictions) -> _Predictions:
        """Mirror :class:`facegeom.models.regions.RegionNets`."""
        graph = self.graph

        def better() -> list[Tensor]:
            rotation = _rotation(faces.rotation6d)
            mesh, landmarks = faces.mesh, faces.landmarks
            for region in REGIONS:
                mesh, landmarks = self._region(region, faces, rotation, mesh, landmarks)
            return [mesh, landmarks]

        mesh, landmarks = graph.when(faces.score.size() > 0, better, lambda: [faces.mesh, faces.landmarks])
        return faces._replace(mesh=mesh, landmarks=landmarks)

    def _region(
        self, region: Region, faces: _Predictions, rotation: Tensor, mesh: Tensor, landmarks: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Predict the points of one region, and of its mirror image, and put them in their places."""
        graph = self.graph
        size, centre = faces.size_and_centre
        parts, count = region.mesh_indices, region.mesh_indices.shape[1]
        linear, middle = self._frames(region, faces.mesh, rotation)  # (N, S, 2, 2), (N, S, 1, 2)
        side = len(parts)
        in_image = linear * size.reshape(-1, 1, 2, 1)
        offset = middle * size.reshape(-1, 1, 1, 2) + centre.reshape(-1, 1, 1, 2)
        step = in_image * (1 / CROP_PX)
        shift = offset.reshape(-1, side, 2, 1) + in_image.sum(3, keep=True) * (0.5 / CROP_PX - 0.5)
        maps = graph.concat([step, shift], 3).reshape(-1, 2, 3)
        crops = crop_affine(self.image, maps, CROP_PX)
        seen = graph.concat(
            [
                faces.mesh.take(parts, 1).part(3, 0, 2),
                faces.landmarks.take(region.ibug68_indices, 1),
            ],
            2,
        )
        # the axes of a frame are orthogonal and equally long: its inverse is its transpose over the square
        norm = (linear * linear).sum(2, keep=True).part(3, 0, 1)
        first = (seen - middle) @ linear / norm
        points = first.size(2)
        path = weight_files.of_set(region.name, self.weights)
        found, _ = graph.network(path, crops, first.reshape(-1, points, 2))
        found = found.reshape(-1, side, points, 2) @ linear.transpose(0, 1, 3, 2) + middle
        total = parts.size
        flat = graph.concat([mesh.part(2, 0, 2), found.part(2, 0, count).reshape(-1, total, 2)], 1)
        xy = flat.take(_places(MESH_POINTS, parts), 1)
        mesh = graph.concat([xy, mesh.part(2, 2)], 2)
        flat = graph.concat([landmarks, found.part(2, count).reshape(-1, region.ibug68_indices.size, 2)], 1)
        return mesh, flat.take(_places(LANDMARKS, region.ibug68_indices), 1)

    def _frames(self, region: Region, mesh: Tensor, rotation: Tensor) -> tuple[Tensor, Tensor]:
        """Mirror ``Region.frames``: linear parts (N, S, 2, 2) and middles (N, S, 1, 2), crop units."""
        graph, (sides, spans) = self.graph, region.span_indices.shape[:2]
        ends = [mesh.take(region.span_indices[..., end].ravel(), 1) for end in (0, 1)]
        apart = ends[0] - ends[1]
        length = (apart * apart).sum(2).sqrt().reshape(-1, sides, spans).max(2)
        side = length.at_least(1e-6) * region.scale
        middle = ((ends[0] + ends[1]) * 0.5).part(2, 0, 2).reshape(-1, sides, spans, 2).mean(2)
        down = rotation.part(1, 0, 2).column(1)  # (N, 2)
        down = down / (down * down).sum(1, keep=True).sqrt().at_least(1e-6)
        x, y = down.part(1, 0, 1), down.part(1, 1)
        axes = graph.concat([y, x, -x, y], 1).reshape(-1, 1, 2, 2)  # rows x, y; columns right, down
        mirrored = np.ones((1, sides, 1, 2), np.float32)
        mirrored[:, 1:, :, 0] = -1
        linear = axes * graph.constant(mirrored) * side.reshape(-1, sides, 1, 1)
        return linear, middle.reshape(-1, sides, 1, 2)


def _places(count: int, replaced: npt.NDArray[np.intp]) -> list[int]:
    """Return where each of ``count`` points stands when the new ones follow the old ones."""
    places = np.arange(count)
    places[replaced.ravel()] = count + np.arange(replaced.size)
    return list(map(int, places))


def _square(boxes: Tensor, scale: float = 1.0) -> Tensor:
    """Mirror :func:`facegeom.geometry.boxes.square`."""
    low, high = boxes.part(1, 0, 2), boxes.part(1, 2)
    centre, half = (low + high) * 0.5, (high - low).max(1).reshape(-1, 1) * (scale / 2)
    return boxes.graph.concat([centre - half, centre + half], 1)


def _confidence(points: Tensor, eye_corners: Sequence[int], scale: Tensor) -> Tensor:
    """Return the probability (K, P) that an exponential error of mean ``scale`` (K, P) stays small."""
    first, second = (points.part(1, corner, corner + 1).part(2, 0, 2) for corner in eye_corners)
    apart = first - second
    eyes = (apart * apart).sum(2).sqrt().reshape(-1, 1)
    return 1 - (-(eyes * NEAR) / scale).exp()


def _rotation(vectors: Tensor) -> Tensor:
    """Mirror :func:`facegeom.geometry.rotation.rotation_from_6d`: (N, 3, 3) of (N, 6)."""

    def unit(each: Tensor) -> Tensor:
        return each / (each * each).sum(1, keep=True).sqrt().at_least(1e-12)

    def cross(one: Tensor, other: Tensor) -> Tensor:
        following, last = [1, 2, 0], [2, 0, 1]
        return one.take(following, 1) * other.take(last, 1) - one.take(last, 1) * other.take(following, 1)

    b1 = unit(vectors.part(1, 0, 3))
    b3 = unit(cross(b1, vectors.part(1, 3)))
    return vectors.graph.stack([b1, cross(b3, b1), b3])

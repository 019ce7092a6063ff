"""The one-pass detector and NMS as nodes of a graph; mirrors :mod:`facegeom.models.detector`."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from facegeom.graph.builder import Tensor
from facegeom.graph.sampling import Level, reduce, resample, weights
from facegeom.image.crop import OUTSIDE
from facegeom.models.detector import (
    GRAIN,
    LARGEST_SCALE,
    LEVEL_FACTOR,
    PATCH_PX,
    SINGLE_LEVEL_PX,
    SMALLEST_PX,
    STRIDE,
    TYPICAL_SIDE_PX,
    Limits,
)
from facegeom.options import SearchOptions

CLOSER_LOOKS = 2
"""More are never taken: by default the smallest faces are a quarter of ``min_face`` at least."""


class Peaks(NamedTuple):
    """Squares (K, 4), pixels of the image, and their scores (K,)."""

    squares: Tensor
    score: Tensor


class Found(NamedTuple):
    """Candidates of an image, best first, and the levels that were made."""

    candidates: Peaks
    levels: list[Level]


def sides(squares: Tensor) -> Tensor:
    """Return the sides (K,) of squares (K, 4)."""
    return squares.column(2) - squares.column(0)


def overlap(first: Tensor, second: Tensor, over_smaller: bool = False) -> Tensor:
    """Mirror :func:`facegeom.geometry.boxes.overlap`: (N, M) of boxes (N, 4) and (M, 4)."""
    first, second = first.reshape(-1, 1, 4), second.reshape(1, -1, 4)
    low = first.part(2, 0, 2).at_least(second.part(2, 0, 2))
    high = first.part(2, 2).at_most(second.part(2, 2))
    inter, *areas = (
        each.column(0) * each.column(1)
        for each in (
            (high - low).at_least(0),
            *((boxes.part(2, 2) - boxes.part(2, 0, 2)).at_least(0) for boxes in (first, second)),
        )
    )
    whole = areas[0].at_most(areas[1]) if over_smaller else areas[0] + areas[1] - inter
    return inter / whole.at_least(1e-9)


def nms(boxes: Tensor, score: Tensor, threshold: float, over_smaller: bool = False) -> Tensor:
    """Mirror :func:`facegeom.geometry.boxes.nms`: the indices of the kept boxes, best first.

    ONNX's NonMaxSuppression knows the union alone. Here all boxes are dropped at once that a kept better one
    overlaps, until nothing changes: the same boxes as one by one.
    """
    graph = boxes.graph
    order = graph.order(score)
    best = boxes.take(order)
    rank = graph.arange(order.size())
    worse = (rank.reshape(-1, 1) > rank.reshape(1, -1)).cast(np.float32)
    drops = (overlap(best, best, over_smaller) > threshold).cast(np.float32) * worse

    def drop(_: Tensor, alive: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        kept = ((drops * alive).sum(1) < 0.5).cast(np.float32)
        return (kept - alive).abs().sum(0, keep=True) > 0, [kept], []

    alive = graph.loop(order.size() + 1, drop, [graph.full(order.size(), 1.0)])[0]
    return order.take(graph.rows(alive > 0.5))


def detect(image: Tensor, path: Path) -> Found:
    """Return the candidates of an image (H, W, 3) uint8 by the detector in a file, with default options."""
    return _Detection(image, path).run()


class _Detection:
    """One search, with the sizes that depend on the image."""

    def __init__(self, image: Tensor, path: Path) -> None:
        self.graph, self.image, self.path, self.limits = image.graph, image, path, Limits()
        longer = image.size(0).at_least(image.size(1)).cast(np.float32)
        self.longer, options = longer, SearchOptions()
        self.min_px, self.closest_px = (
            (longer * size.fraction).at_least(size.px) for size in (options.face_size, options.closest_size)
        )
        self.scale = (SMALLEST_PX / self.min_px).at_most(LARGEST_SCALE)
        self.is_upscaled = self.scale > 1
        self.factor = (1 / self.scale + 1e-6).cast(np.int64).at_least(1)
        self.parts: list[tuple[Peaks, Tensor, Tensor]] = []  # with the least and the most side, pixels
        self.levels: list[Level] = []
        self.largest_px = self.longer * 0  # of the clear faces on the first levels

    def network(self, canvas: Tensor) -> list[Tensor]:
        return self.graph.network(self.path, canvas)

    def run(self) -> Found:
        """Look at one or two levels, then closer where they hint at smaller faces."""
        base = reduce(self.image, self.factor, self.factor, large=True)
        first = self._look(*self._finest(base))
        second, coarse = self._second(base)
        self.parts = [
            (each, self.min_px, self.graph.constant(np.array([3e38], np.float32))) for each in (first, second)
        ]
        self.levels = [Level(self.image, self.graph.ints(1)), Level(base, self.factor), coarse]
        self._closer_looks(first)
        return Found(self._chosen(), self.levels)

    def _second(self, base: Tensor) -> tuple[Peaks, Level]:
        """Look at a level at about a third of the finest one, if that is large."""
        graph, upscaled = self.graph, self.is_upscaled
        times = graph.where(
            upscaled, (LEVEL_FACTOR / self.scale).rint(), graph.full(graph.ints(1), LEVEL_FACTOR)
        )
        times = times.cast(np.int64)
        scale = graph.where(upscaled, self.scale, 1 / self.factor.cast(np.float32))
        is_wanted = self.longer * scale > float(SINGLE_LEVEL_PX)
        pixels, factor = reduce(base, times, times), self.factor * times
        peaks = graph.when(is_wanted, lambda: self._look(pixels, factor.cast(np.float32)), self._none)
        return Peaks(*peaks), self._level(is_wanted, pixels, factor)

    def _level(self, is_there: Tensor, pixels: Tensor, factor: Tensor) -> Level:
        """Return a level; crops never take one that was not made."""
        return Level(pixels, self.graph.where(is_there, factor, self.graph.ints(2**30)))

    def _closer_looks(self, coarser: Peaks) -> None:
        """Add peaks of levels about twice as fine each, down to the smallest faces."""
        hint, shown = self._hints(Peaks(*self._joined([each for each, *_ in self.parts])))
        goes_on, factor = self.graph.constant(np.array([True])), self.factor
        last = (self.closest_px / SMALLEST_PX).cast(np.int64).at_least(1)
        for _ in range(CLOSER_LOOKS):
            closer = (factor / 2).at_least(last)
            goes_on = goes_on & (factor > last)
            goes_on, *found, pixels = self._closer(goes_on, coarser, factor, closer, hint, shown)
            coarser, factor = Peaks(*found), closer
            least_px = self.closest_px.at_least(closer.cast(np.float32) * SMALLEST_PX)
            self.parts.append((coarser, least_px, least_px * self.limits.closer_times))
            self.levels.append(self._level(goes_on, pixels, closer))

    def _joined(self, peaks: list[Peaks]) -> list[Tensor]:
        return [self.graph.concat(list(each), 0) for each in zip(*peaks, strict=True)]

    def _finest(self, base: Tensor) -> tuple[Tensor, Tensor]:
        """Return the finest level and the pixels of the image (2,) for one of its pixels."""
        graph, image = self.graph, self.image
        height, width = image.size(0), image.size(1)

        def enlarged() -> list[Tensor]:
            along, ratios = [], []
            for side in (height, width):
                length = side.cast(np.float32)
                count = (length * self.scale).rint()
                ratio = length / count
                along.append(weights((graph.arange(count).cast(np.float32) + 0.5) * ratio, ratio, side))
                ratios.append(ratio)
            return [resample(image, *along), graph.concat(ratios[::-1], 0)]

        def plain() -> list[Tensor]:
            factor = self.factor.cast(np.float32)
            return [base, graph.concat([factor, factor], 0)]

        finest, ratio = graph.when(self.is_upscaled, enlarged, plain)
        return finest, ratio

    def _none(self) -> list[Tensor]:
        return [self.graph.full(self.graph.ints(0, 4), 0.0), self.graph.full(self.graph.ints(0), 0.0)]

    def _look(self, level: Tensor, ratio: Tensor) -> Peaks:
        """Return the peaks of a level; ``ratio`` pixels of the image, (1,) or (2,), are one of the level."""
        graph = self.graph
        grey = graph.constant(np.array(OUTSIDE, np.uint8))
        room = [(level.size(a) + (GRAIN - 1)) / GRAIN * GRAIN - level.size(a) for a in (0, 1)]
        canvas = graph.op("Pad", level, graph.ints(0, 0, 0, *room, 0), grey)
        score, placement = self.network(canvas.reshape(1, canvas.size(0), canvas.size(1), 3))
        score = score.reshape(score.size(1), score.size(2))
        around = graph.op(
            "MaxPool",
            score.reshape(1, 1, score.size(0), score.size(1)),
            kernel_shape=[3, 3],
            pads=[1, 1, 1, 1],
        ).reshape(score.size(0), score.size(1))
        cells = graph.rows(((score > self.limits.hints[0][0]) & (score >= around)).reshape(-1))
        width = score.size(1)
        offsets = placement.reshape(3, -1).take(cells, 1).transpose(1, 0)
        side = offsets.part(1, 2).exp() * TYPICAL_SIDE_PX
        rows = cells / width
        grid = graph.stack([cells - rows * width, rows]).cast(np.float32)
        centre = grid * float(STRIDE) + (STRIDE - 1) / 2 + offsets.part(1, 0, 2) * side
        corners = [(centre + side * half + 0.5) * ratio - 0.5 for half in (-0.5, 0.5)]
        return Peaks(graph.concat(corners, 1), score.reshape(-1).take(cells))

    def _hints(self, peaks: Peaks) -> tuple[Tensor, Tensor]:
        """Return the scores of a hint and of a small face on its patch, which depend on the faces so far."""
        graph, limits = self.graph, self.limits
        clear = (peaks.score > limits.clear).cast(np.float32) * sides(peaks.squares)
        self.largest_px = graph.concat([clear, graph.full(graph.ints(1), 0.0)], 0).max(0).reshape(1)
        is_large = self.largest_px / self.factor.cast(np.float32) > limits.large_px
        kind = (self.largest_px > 0).cast(np.int64) + is_large.cast(np.int64)
        scores = graph.constant(np.array(limits.hints, np.float32)).take(kind).reshape(2)
        return scores.part(0, 0, 1), scores.part(0, 1)

    def _closer(
        self, wanted: Tensor, peaks: Peaks, factor: Tensor, closer: Tensor, hint: Tensor, shown: Tensor
    ) -> list[Tensor]:
        """Look at 1/``closer`` if a patch there shows a small face: whether, squares, scores, the level."""
        graph, limits = self.graph, self.limits
        no = graph.constant(np.array([False]))
        nothing = [*self._none(), self.image.part(0, 0, 1)]
        small = (sides(peaks.squares) / factor.cast(np.float32)) < limits.hint_px
        centres = (peaks.squares.part(1, 0, 2) + peaks.squares.part(1, 2)) * 0.5
        clear = peaks.squares.take(graph.rows((peaks.score > limits.clear) & ~small)).reshape(1, -1, 4)
        points = centres.reshape(-1, 1, 2)
        within = ((points >= clear.part(2, 0, 2)) & (points <= clear.part(2, 2))).cast(np.float32)
        inside = (within.column(0) * within.column(1)).sum(1) > 0.5
        rows = graph.rows((peaks.score > hint) & small & ~inside)
        best = rows.take(graph.order(peaks.score.take(rows)).part(0, 0, limits.patches))

        def looked() -> list[Tensor]:
            score, placement = self.network(self._patches(centres.take(best), closer))
            shown_px = placement.part(1, 2, 3).reshape(*(score.size(a) for a in range(3))).exp()
            shown_px = shown_px * (closer.cast(np.float32) / factor.cast(np.float32) * TYPICAL_SIDE_PX)
            is_shown = ((score > shown) & (shown_px < limits.shown_px)).any()

            def whole() -> list[Tensor]:
                level = reduce(self.image, closer, closer, large=True)
                return [*self._look(level, closer.cast(np.float32)), level]

            return [is_shown, *graph.when(is_shown, whole, lambda: nothing)]

        return graph.when(wanted & (best.size() > 0), looked, lambda: [no, *nothing])

    def _patches(self, centres: Tensor, factor: Tensor) -> Tensor:
        """Cut patches (K, 64, 64, 3) of the level of a factor around points (K, 2) of the image."""
        graph, image = self.graph, self.image
        grey = graph.constant(np.array(OUTSIDE, np.uint8))

        def cut(row: Tensor) -> tuple[None, list[Tensor], list[Tensor]]:
            centre = centres.take(row).reshape(2) / factor.cast(np.float32)
            part = image
            for axis in (0, 1):
                size = (image.size(axis) + factor - 1) / factor
                start = (centre.part(0, 1 - axis, 2 - axis) - PATCH_PX / 2).at_least(0).cast(np.int64)
                start = start.at_most((size - PATCH_PX).at_least(0))
                part = part.part(axis, start * factor, (start + PATCH_PX) * factor)
            part = reduce(part, factor, factor)
            room = [PATCH_PX - part.size(axis) for axis in (0, 1)]
            return None, [], [graph.op("Pad", part, graph.ints(0, 0, 0, *room, 0), grey)]

        return graph.loop(centres.size(), lambda row: cut(row))[0]

    def _chosen(self) -> Peaks:
        """Leave out what is unsure, too small or too large, and duplicates."""
        graph, limits = self.graph, self.limits
        squares, score = self._joined([each for each, *_ in self.parts])
        least, most = (
            graph.concat([graph.full(part[0].score.size(), 0.0) + part[end] for part in self.parts], 0)
            for end in (1, 2)
        )
        side = sides(squares)
        kept = (score > limits.score) & (side >= least * limits.smallest) & (side < most)
        beside_clear = (self._joined([each for each, *_ in self.parts[:2]])[1] > limits.clear).any()
        small = (side < least * limits.clear_times) & ~beside_clear
        kept = kept & (small | (score > limits.clear_score))
        rows = graph.rows(kept)
        squares, score = squares.take(rows), score.take(rows)
        order = nms(squares, score, limits.overlap)
        return Peaks(squares.take(order), score.take(order))

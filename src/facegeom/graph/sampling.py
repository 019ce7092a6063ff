"""Downscaling and crops as :mod:`facegeom.image` makes them with Pillow, as nodes of a graph.

Images are (H, W, 3) uint8. Sums are exact in float32, so pixels differ by a level at most, and seldom.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from facegeom.graph.builder import Tensor
from facegeom.models.face import CROP_PX, REDUCING_GAP


class Level(NamedTuple):
    """A level of the image pyramid.

    Attributes:
        pixels: (h, w, 3) uint8.
        factor: pixels of the image for one of the level along each axis, a scalar.
    """

    pixels: Tensor
    factor: Tensor


BAND_PX = 200_000
"""Pixels of a large image that are converted to floats at a time, so that they stay in the cache."""


def reduce(pixels: Tensor, down: Tensor, across: Tensor, large: bool = False) -> Tensor:
    """Average blocks of ``down`` x ``across`` pixels; the last ones may be cut. Mirrors ``Image.reduce``.

    Args:
        pixels: (H, W, 3) uint8.
        down: rows of a block, a scalar.
        across: columns of a block.
        large: whether to go through the image in bands.
    """
    graph = pixels.graph

    def averaged() -> list[Tensor]:
        height, width = pixels.size(0), pixels.size(1)
        rows, columns = (height + down - 1) / down, (width + across - 1) / across
        mean = 1 / (down * across).cast(np.float32)
        eye = graph.constant(np.eye(3, dtype=np.float32))
        channels = graph.op("Tile", eye * mean, graph.ints(across, 1))

        def means(part: Tensor, count: Tensor) -> Tensor:
            room = graph.ints(0, 0, 0, count * down - part.size(0), columns * across - width, 0)
            strips = graph.op("Pad", part, room).reshape(count, down, columns * (across * 3))
            strips = strips.cast(np.float32).sum(1).reshape(count * columns, across * 3)
            return (strips @ channels).reshape(count, columns * 3)

        if large:
            count = (graph.like(BAND_PX, width) / (down * width)).at_least(1)

            def band(number: Tensor) -> tuple[None, list[Tensor], list[Tensor]]:
                part = pixels.part(0, number * (count * down), (number + 1) * (count * down))
                return None, [], [means(part, count)]

            cells = graph.loop((rows + count - 1) / count, band)[0].reshape(-1, columns * 3).part(0, 0, rows)
        else:
            cells = means(pixels, rows)
        cells = cells * _of_whole(height, rows, down).reshape(-1, 1)
        wholes = graph.op("Tile", _of_whole(width, columns, across).reshape(-1, 1), graph.ints(1, 3))
        cut_down, cut_across = height - (rows - 1) * down, width - (columns - 1) * across  # of the last cells
        is_last = graph.arange(columns * 3) >= (columns - 1) * 3
        above, below = (
            graph.where(is_last, _to_round(each * cut_across), _to_round(each * across))
            for each in (down, cut_down)
        )
        is_below = (graph.arange(rows) >= rows - 1).reshape(-1, 1)
        cells = cells * wholes.reshape(columns * 3) + graph.where(is_below, below, above)
        return [cells.cast(np.uint8).reshape(rows, columns, 3)]

    return graph.when((down * across) > 1, averaged, lambda: [pixels])[0]


def _to_round(count: Tensor) -> Tensor:
    """Return what is added to means of ``count`` pixels before they are cut to integers, as Pillow does it.

    Half of the pixels are added to the sum. Then Pillow multiplies by a reciprocal that is too small but for
    powers of two: what would be an integer goes down.
    """
    lack = ((count.graph.like(2**24, count) / count * count) < 2**24).cast(np.float32) * 5e-5
    return (count / 2).cast(np.float32) / count.cast(np.float32) - lack


def _of_whole(size: Tensor, cells: Tensor, step: Tensor) -> Tensor:
    """Return by what the sums of cells (cells,) are multiplied: 1, more for the last one where it is cut."""
    length = (size - size.graph.arange(cells) * step).at_most(step)
    return step.cast(np.float32) / length.cast(np.float32)


def weights(centre: Tensor, step: Tensor, size: Tensor) -> Tensor:
    """Return the weights (cells, size) of Pillow's triangle filter along one axis.

    Args:
        centre: (cells,) middles of the cells, counted from the source's edge; far outside for no weight.
        step: pixels of the source for one cell, a scalar.
        size: pixels of the source, a scalar.
    """
    pixel = centre.graph.arange(size).cast(np.float32) + 0.5
    triangle = (1 - (pixel - centre.reshape(-1, 1)).abs() / step.at_least(1)).at_least(0)
    return triangle / triangle.sum(1, keep=True).at_least(1e-9)


def resample(pixels: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Resize by the weights (h, H) of the rows and (w, W) of the columns; (h, w, 3) uint8."""
    across = pixels.cast(np.float32).transpose(0, 2, 1) @ columns.transpose(1, 0) + 0.5
    height, width = rows.size(0), columns.size(0)
    down = rows @ across.floor().reshape(pixels.size(0), width * 3) + 0.5
    return down.cast(np.uint8).reshape(height, 3, width).transpose(0, 2, 1)


def crop_squares(levels: Sequence[Level], squares: Tensor) -> Tensor:
    """Cut crops (K, 128, 128, 3) of squares (K, 4), black outside.

    Mirrors :func:`facegeom.image.crop.crop_squares`.

    Args:
        levels: the image itself, then its levels in any order.
        squares: pixels of the image.
    """
    graph, image = squares.graph, levels[0].pixels
    size_wh = graph.concat([image.size(1), image.size(0)], 0).cast(np.float32)
    corner = squares.part(1, 0, 2) + 0.5  # (K, 2) along x and y, like all that follows
    step = (squares.part(1, 2) - squares.part(1, 0, 2)) / CROP_PX
    first = (-corner / step - 0.5).ceil().at_least(0).at_most(CROP_PX)
    last = ((size_wh - corner) / step + 0.5).floor().at_least(0).at_most(CROP_PX)
    factors = graph.concat([level.factor for level in levels], 0).cast(np.float32)
    largest = (step.part(1, 0, 1) / REDUCING_GAP).at_least(1)
    fit = factors * (factors <= largest).cast(np.float32)
    level = graph.op("ArgMax", fit, axis=1, keepdims=0, dtype=np.int64)
    factor = fit.max(1).reshape(-1, 1)
    low = (corner + first * step).at_least(0).at_most(size_wh) / factor
    high = (corner + last * step).at_least(0).at_most(size_wh) / factor
    ratio = (high - low) / (last - first).at_least(1)
    blocks = (ratio / REDUCING_GAP).cast(np.int64).at_least(1)
    is_reduced = (blocks.part(1, 0, 1) * blocks.part(1, 1)) > 1
    margin = graph.where(is_reduced, ratio * 0.5, ratio.at_least(1) + 1)
    limit = (size_wh / factor).ceil()
    start = (low - margin).at_least(0).at_most(limit - 1).cast(np.int64)
    end = (high + margin).ceil().at_most(limit).cast(np.int64).at_least(start + 1)
    scale = blocks.cast(np.float32).reshape(-1, 2, 1)
    cell = graph.constant(np.arange(CROP_PX, dtype=np.float32))
    begin, stop = first.reshape(-1, 2, 1), last.reshape(-1, 2, 1)
    local = (low - start).reshape(-1, 2, 1) / scale
    step = ratio.reshape(-1, 2, 1) / scale
    centre = local + (cell - begin + 0.5) * step
    centre = graph.where((cell >= begin) & (cell < stop), centre, centre * 0 + FAR)

    def cut(row: Tensor) -> tuple[None, list[Tensor], list[Tensor]]:
        edges = [each.take(row).reshape(2) for each in (start, end, blocks)]
        (left, top), (right, bottom), (across, down) = ((v.part(0, 0, 1), v.part(0, 1)) for v in edges)
        part = _part_of(levels, level.take(row), (left, top, right, bottom))
        part = reduce(part, down, across)
        middles, steps = centre.take(row).reshape(2, CROP_PX), step.take(row).reshape(2)
        along = [
            weights(middles.part(0, axis, axis + 1), steps.part(0, axis, axis + 1), part.size(1 - axis))
            for axis in (0, 1)
        ]
        return None, [], [resample(part, along[1], along[0])]

    return graph.loop(squares.size(), lambda row: cut(row))[0]


def _part_of(levels: Sequence[Level], chosen: Tensor, box: Sequence[Tensor], number: int = 0) -> Tensor:
    """Cut left, top, right, bottom from the chosen level."""
    graph, pixels = chosen.graph, levels[number].pixels

    def cut() -> Tensor:
        left, top, right, bottom = box
        axes = graph.ints(0, 1)
        return graph.op("Slice", pixels, graph.ints(top, left), graph.ints(bottom, right), axes)

    if number == len(levels) - 1:
        return cut()
    is_this = graph.op("Equal", chosen, graph.ints(number), dtype=bool)
    return graph.when(is_this, lambda: [cut()], lambda: [_part_of(levels, chosen, box, number + 1)])[0]


def crop_affine(image: Tensor, maps: Tensor, size_px: int) -> Tensor:
    """Cut crops (K, size, size, 3) through maps (K, 2, 3).

    Mirrors :func:`facegeom.image.rotated_crop.crop_affine`.

    Args:
        image: (H, W, 3) uint8.
        maps: from a crop's pixels to the image's, pixel centres at integers.
        size_px: side of the crops.
    """
    graph = image.graph
    rows, columns = np.mgrid[:size_px, :size_px] + 0.5
    from_edge = graph.constant(np.stack([columns, rows], axis=-1).reshape(-1, 2).astype(np.float32))
    image_wh = graph.concat([image.size(1), image.size(0)], 0)
    linear, shift = maps.part(2, 0, 2), maps.part(2, 2).reshape(-1, 2)
    corner = shift + 0.5 - linear.sum(2) * 0.5
    a, b, c, d = (linear.reshape(-1, 4).part(1, entry, entry + 1) for entry in range(4))
    factor = (a * d - b * c).abs().sqrt().at_least(1).cast(np.int64)
    scale = factor.cast(np.float32)
    limits = (image_wh + factor - 1) / factor
    reach = linear * float(size_px)
    low, high = ((corner + side) / scale for side in (-(-reach).at_least(0).sum(2), reach.at_least(0).sum(2)))
    start = (low.floor().cast(np.int64) - 1).at_least(0).at_most(limits - 1)
    end = (high.floor().cast(np.int64) + 2).at_most(limits).at_least(start + 1)
    size_wh = (end - start).cast(np.float32).reshape(-1, 1, 2)
    seen = (from_edge @ linear.transpose(0, 2, 1) + corner.reshape(-1, 1, 2)) / scale.reshape(-1, 1, 1)
    seen = seen - start.cast(np.float32).reshape(-1, 1, 2)
    inside = ((seen >= 0) & (seen < size_wh)).cast(np.float32)
    grids = (seen * 2.0 / size_wh - 1).reshape(-1, size_px, size_px, 2)
    first, last = start * factor, end * factor

    def cut(row: Tensor) -> tuple[None, list[Tensor], list[Tensor]]:
        (left, top), (right, bottom) = (
            (edge.part(0, 0, 1), edge.part(0, 1))
            for edge in (each.take(row).reshape(2) for each in (first, last))
        )
        part = _part_of([Level(image, factor)], row, (left, top, right, bottom))
        block = factor.take(row).reshape(1)
        part = reduce(part, block, block).cast(np.float32).transpose(2, 0, 1)
        planes = graph.op("Unsqueeze", part, graph.ints(0))
        grid = grids.take(row)
        return None, [], [graph.op("GridSample", planes, grid, mode="bilinear", padding_mode="border")]

    sampled = graph.loop(maps.size(), lambda row: cut(row))[0].reshape(-1, 3, size_px, size_px)
    shown = (inside.column(0) * inside.column(1)).reshape(-1, 1, size_px, size_px)
    return (sampled * shown + 1e-3).floor().transpose(0, 2, 3, 1).cast(np.uint8)


FAR = -1e6
"""Place of cells that show nothing of the image."""

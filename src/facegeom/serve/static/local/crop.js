/** Square crops of an image at a network's input size. Mirrors `facegeom.image.crop`. */

import { Pyramid } from "./pyramid.js";
import { clip } from "./numbers.js";
import { resize } from "./resample.js";

const THINNEST_PX = 1e-3;

/**
 * Cut antialiased square crops; return them as one input batch.
 *
 * @param {import("./resample.js").Image | Pyramid} image
 * @param {import("./boxes.js").Box[]} squares pixels, centres at integers; they may extend beyond the image
 * @param {number} sizePx side of the crops
 * @param {number} outside grey level outside the image
 * @param {number | null} gap see `resize`
 * @returns {Uint8Array} (N, size, size, 3) RGB
 */
export function cropSquares(image, squares, sizePx, outside, gap = null) {
  const bytes = sizePx * sizePx * 3;
  const crops = new Uint8Array(squares.length * bytes).fill(outside);
  const pyramid = Pyramid.of(image);
  squares.forEach((square, index) => {
    const crop = crops.subarray(index * bytes, (index + 1) * bytes);
    const { cells, part } = inside(square, sizePx, pyramid);
    const step = (square[2] - square[0]) / sizePx;
    if (worthwhile(cells, part)) paste(crop, sizePx, piece(pyramid, cells, part, step, gap), cells);
  });
  return crops;
}

/** Return the crop's cells inside the image, and the part of the image that they show, counted from its edge. */
function inside([left, top, right, bottom], sizePx, { width, height }) {
  const x = along(left, right, sizePx, width);
  const y = along(top, bottom, sizePx, height);
  return { cells: [x.first, y.first, x.last, y.last], part: [x.from, y.from, x.to, y.to] };
}

function along(low, high, sizePx, length) {
  const corner = low + 0.5;
  const step = (high - low) / sizePx;
  const first = clip(Math.ceil((0 - corner) / step - 0.5), 0, sizePx);
  const last = clip(Math.floor((length - corner) / step + 0.5), 0, sizePx);
  const edge = (cell) => clip(corner + cell * step, 0, length);
  return { first, last, from: edge(first), to: edge(last) };
}

function worthwhile(cells, part) {
  const thin = Math.min(part[2] - part[0], part[3] - part[1]);
  return cells[2] > cells[0] && cells[3] > cells[1] && thin > THINNEST_PX;
}

/** Resize a part of the image to the size of the cells; `step` is the downscale factor. */
function piece(pyramid, [left, top, right, bottom], part, step, gap) {
  const { level, factor } = pyramid.coarsest(gap === null ? 1 : step / gap);
  return resize(level, [right - left, bottom - top], part.map((edge) => edge / factor), gap);
}

/** Copy an image into a larger one of width `widthPx`, with its top left pixel at (left, top). */
export function paste(target, widthPx, { width, height, data }, [left, top]) {
  for (let row = 0; row < height; row++) {
    const line = data.subarray(row * width * 3, (row + 1) * width * 3);
    target.set(line, ((top + row) * widthPx + left) * 3);
  }
}

/** Crops through affine maps and homographies. Mirrors `facegeom.image.rotated_crop` and Pillow's transforms. */

import { cropSquares } from "./crop.js";
import { apply, product } from "./rotation.js";

/** Return the point to which a homography maps a point. */
export function project(matrix, [x, y]) {
  const [across, down, scale] = apply(matrix, [x, y, 1]);
  return [across / scale, down / scale];
}

/**
 * Cut an antialiased crop through a homography that scales about equally all over the crop.
 *
 * @param {import("./resample.js").Image | import("./pyramid.js").Pyramid} image
 * @param {number[][]} imageFromCrop (3, 3) from the crop's pixels to the image's, pixel centres at integers
 * @param {number} sizePx side of the crop
 * @param {number} outside grey level outside the image
 * @param {number} largestShrink side of the upright cut-out, as a multiple of the crop's, at most
 * @param {number | null} gap see `resize`
 * @returns {Uint8Array} (size, size, 3) RGB
 */
export function cropProjected(image, imageFromCrop, sizePx, outside, largestShrink, gap = null) {
  const ends = [[0, 0], [sizePx, 0], [0, sizePx], [sizePx, sizePx]];
  const corners = ends.map(([x, y]) => project(imageFromCrop, [x - 0.5, y - 0.5]));
  const low = [0, 1].map((axis) => Math.min(...corners.map((corner) => corner[axis])));
  const high = [0, 1].map((axis) => Math.max(...corners.map((corner) => corner[axis])));
  const middle = [0, 1].map((axis) => (low[axis] + high[axis]) / 2);
  const side = Math.max(high[0] - low[0], high[1] - low[1]);
  const diagonal = Math.hypot(corners[3][0] - corners[0][0], corners[3][1] - corners[0][1]);
  const step = Math.max(diagonal / Math.hypot(sizePx, sizePx), side / (largestShrink * sizePx));
  const widePx = Math.ceil(side / step) + 2;
  const half = (widePx * step) / 2;
  const square = [middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half];
  const upright = cropSquares(image, [square], widePx, outside, gap);
  const toWide = [[1 / step, 0, widePx / 2], [0, 1 / step, widePx / 2], [0, 0, 1]];
  const shift = [[1, 0, -middle[0]], [0, 1, -middle[1]], [0, 0, 1]];
  const fromEdge = [[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]]; // in both images counted from edges, as Pillow does
  const wideFromCrop = product(product(product(toWide, shift), imageFromCrop), fromEdge);
  return transformed({ data: upright, width: widePx, height: widePx }, wideFromCrop, sizePx);
}

/**
 * Cut a crop through an affine map that scales about equally in all directions; black outside of the image.
 *
 * @param {import("./pyramid.js").Pyramid} image
 * @param {number[][]} imageFromCrop (2, 3) from the crop's pixels to the image's, pixel centres at integers
 * @param {number} sizePx side of the crop
 * @returns {Uint8Array} (size, size, 3) RGB
 */
export function cropAffine(image, imageFromCrop, sizePx) {
  const [[a, b], [c, d]] = imageFromCrop;
  const corner = imageFromCrop.map(([across, down, shift]) => shift + 0.5 - (across + down) / 2); // from edges
  const factor = Math.trunc(Math.max(Math.sqrt(Math.abs(a * d - b * c)), 1));
  const reach = (pick) => [[a, b], [c, d]].map((row, axis) => row.reduce((sum, side) => sum + pick(side * sizePx, 0), corner[axis]));
  const limits = [image.width, image.height].map((side) => Math.ceil(side / factor));
  const [left, top] = reach(Math.min).map((edge) => Math.max(0, Math.floor(edge / factor) - 1));
  const [right, bottom] = reach(Math.max).map((edge, axis) => Math.min(limits[axis], Math.floor(edge / factor) + 2));
  if (left >= right || top >= bottom) return new Uint8Array(sizePx * sizePx * 3);
  const rows = [[a, b, corner[0]], [c, d, corner[1]]].map((row) => row.map((value) => value / factor));
  const partFromCrop = [[rows[0][0], rows[0][1], rows[0][2] - left], [rows[1][0], rows[1][1], rows[1][2] - top], [0, 0, 1]];
  return transformed(image.part(factor, [left, top, right, bottom]), partFromCrop, sizePx);
}

/** Sample an image through a homography, bilinearly and with Pillow's rounding down; black outside. */
function transformed({ data: pixels, width, height }, matrix, sizePx) {
  const [[a, b, c], [d, e, f], [g, h, i]] = matrix.map((row) => row.map((value) => value / matrix[2][2]));
  const out = new Uint8Array(sizePx * sizePx * 3);
  for (let row = 0, to = 0; row < sizePx; row++) {
    for (let column = 0; column < sizePx; column++, to += 3) { // no arrays in here: one for each pixel costs more than the pixel
      const [right, down] = [column + 0.5, row + 0.5];
      const scale = g * right + h * down + i;
      const x = (a * right + b * down + c) / scale;
      const y = (d * right + e * down + f) / scale;
      if (!(x >= 0 && x < width && y >= 0 && y < height)) continue;
      const left = Math.floor(x - 0.5);
      const top = Math.floor(y - 0.5);
      const first = Math.max(left, 0) * 3;
      const second = Math.min(left + 1, width - 1) * 3;
      const upper = Math.max(top, 0) * width * 3;
      const lower = Math.min(top + 1, height - 1) * width * 3;
      for (let channel = 0; channel < 3; channel++) {
        const above = mix(pixels[upper + first + channel], pixels[upper + second + channel], x - 0.5 - left);
        const below = mix(pixels[lower + first + channel], pixels[lower + second + channel], x - 0.5 - left);
        out[to + channel] = Math.trunc(mix(above, below, y - 0.5 - top));
      }
    }
  }
  return out;
}

function mix(one, other, fraction) {
  return one + (other - one) * fraction;
}

/** Crops through homographies. Mirrors `facegeom.image.rotated_crop` and Pillow's perspective transform. */

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
  return transformed(upright, widePx, wideFromCrop, sizePx);
}

/** Sample a square image through a homography, bilinearly and with Pillow's rounding down; black outside. */
function transformed(pixels, widePx, matrix, sizePx) {
  const scaled = matrix.map((row) => row.map((value) => value / matrix[2][2]));
  const out = new Uint8Array(sizePx * sizePx * 3);
  const kept = (index) => Math.min(Math.max(index, 0), widePx - 1);
  for (let row = 0, to = 0; row < sizePx; row++) {
    for (let column = 0; column < sizePx; column++, to += 3) {
      const [x, y] = project(scaled, [column + 0.5, row + 0.5]);
      if (!(x >= 0 && x < widePx && y >= 0 && y < widePx)) continue;
      const [left, top] = [Math.floor(x - 0.5), Math.floor(y - 0.5)];
      const [dx, dy] = [x - 0.5 - left, y - 0.5 - top];
      const [first, second] = [kept(left) * 3, kept(left + 1) * 3];
      const [upper, lower] = [kept(top) * widePx * 3, kept(top + 1) * widePx * 3];
      for (let channel = 0; channel < 3; channel++) {
        const above = mix(pixels[upper + first + channel], pixels[upper + second + channel], dx);
        const below = mix(pixels[lower + first + channel], pixels[lower + second + channel], dx);
        out[to + channel] = Math.trunc(mix(above, below, dy));
      }
    }
  }
  return out;
}

function mix(one, other, fraction) {
  return one + (other - one) * fraction;
}

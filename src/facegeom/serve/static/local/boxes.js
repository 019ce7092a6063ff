/**
 * Axis-aligned boxes [left, top, right, bottom] in pixels, x right, y down. Mirrors `facegeom.geometry.boxes`.
 *
 * @typedef {[number, number, number, number]} Box
 */

import { descending } from "./numbers.js";

/** Return the area in square pixels; an inverted box has area 0. */
export function area([left, top, right, bottom]) {
  return Math.max(right - left, 0) * Math.max(bottom - top, 0);
}

/** Return the intersection over union of two boxes, in [0, 1]. */
export function iou(one, other) {
  const inter = intersection(one, other);
  return inter / Math.max(area(one) + area(other) - inter, 1e-9);
}

/** Return the intersection of two boxes over the smaller one, in [0, 1]. */
export function overlapOfSmaller(one, other) {
  return intersection(one, other) / Math.max(Math.min(area(one), area(other)), 1e-9);
}

function intersection(one, other) {
  const low = [Math.max(one[0], other[0]), Math.max(one[1], other[1])];
  return area([...low, Math.min(one[2], other[2]), Math.min(one[3], other[3])]);
}

/**
 * Run greedy non-maximum suppression; return the indices of the kept boxes, best score first.
 *
 * @param {Box[]} boxes
 * @param {number[]} scores
 * @param {number} threshold a box is dropped when its overlap with a better one is larger
 * @param {(one: Box, other: Box) => number} overlap
 */
export function nms(boxes, scores, threshold, overlap = iou) {
  const kept = [];
  for (const index of descending(scores)) {
    if (kept.every((better) => overlap(boxes[better], boxes[index]) <= threshold)) kept.push(index);
  }
  return kept;
}

/** Return the square with the box's centre; its side is `scale` times the box's longer side. */
export function square([left, top, right, bottom], scale = 1) {
  const [x, y] = [(left + right) / 2, (top + bottom) / 2];
  const half = Math.max(right - left, bottom - top) * (scale / 2);
  return [x - half, y - half, x + half, y + half];
}

/**
 * An image pyramid packed into one canvas, so that one call of a convolutional network sees all of it.
 * Mirrors `facegeom.detection.pyramid`.
 *
 * @typedef {{size: [number, number], corner: [number, number]}} Level width and height, top left pixel
 * @typedef {{levels: Level[], canvasWh: [number, number]}} Plan levels largest first
 */

import { paste } from "./crop.js";
import { rint } from "./numbers.js";
import { resize } from "./resample.js";

/**
 * Lay out the levels of a photo: the first at `scale`, each next one `factor` of it.
 *
 * @param {number} width of the photo, pixels
 * @param {number} height of the photo, pixels
 * @param {number} scale of the first level
 * @param {{window: number, factor: number, gap: number}} settings
 * @returns {Plan}
 */
export function plan(width, height, scale, { window, factor, gap }) {
  const levels = [];
  const corner = [gap, gap];
  let size = [width, height].map((side) => Math.max(rint(side * scale), 1));
  while (Math.min(...size) >= window || !levels.length) {
    const whole = size.map((side) => Math.max(rint(side), window));
    const axis = levels.length % 2;
    levels.push({ size: whole, corner: [...corner] });
    corner[axis] += whole[axis] + gap;
    size = size.map((side) => side * factor);
  }
  const extent = (axis) => Math.max(...levels.map((level) => level.corner[axis] + level.size[axis])) + gap;
  return { levels, canvasWh: [extent(0), extent(1)] };
}

/**
 * The canvas: each level made from the one before, antialiased, grey between them.
 *
 * @param {import("./resample.js").Picture} picture
 * @param {Plan} plan
 * @param {number} outside grey level
 * @returns {import("./resample.js").Picture}
 */
export function paint(picture, { levels, canvasWh: [width, height] }, outside) {
  const data = new Uint8Array(width * height * 3).fill(outside);
  let level = picture;
  for (const { size, corner } of levels) {
    level = resize(level, size);
    paste(data, width, level, corner);
  }
  return { width, height, data };
}

/**
 * A window on the canvas as a window of the photo; null when it does not belong to one level.
 *
 * @param {import("./boxes.js").Box} window
 * @param {Plan} plan
 * @param {[number, number]} photoWh
 * @param {number} gap
 * @returns {import("./boxes.js").Box | null}
 */
export function windowToPhoto(window, { levels }, photoWh, gap) {
  const centre = [0, 1].map((axis) => (window[axis] + window[axis + 2]) / 2 + 0.5);
  const level = levels.find((one) => one.corner.every((low, axis) => within(centre[axis], low, one.size[axis])));
  if (!level) return null;
  const local = window.map((edge, side) => edge + 0.5 - level.corner[side % 2]);
  const near = level.size.every((size, axis) => local[axis] >= -gap && local[axis + 2] <= size + gap);
  return near ? local.map((edge, side) => edge / (level.size[side % 2] / photoWh[side % 2]) - 0.5) : null;
}

function within(value, low, size) {
  return value >= low && value <= low + size;
}

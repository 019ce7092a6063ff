/**
 * One-pass face detector: candidate squares around faces. Mirrors `facegeom.models.detector`.
 *
 * @typedef {{square: import("./boxes.js").Box, score: number}} Candidate
 */

import { nms } from "./boxes.js";
import { paste } from "./crop.js";
import { clip, rint } from "./numbers.js";
import { Pyramid } from "./pyramid.js";
import { resize } from "./resample.js";

export class OnePassDetector {
  /**
   * @param {import("./engine.js").Engine} engine of the network "onepass"
   * @param {object} settings the part "detection" of /model.json
   */
  constructor(engine, settings) {
    Object.assign(this, { engine, settings });
  }

  /**
   * Find candidates in a photo, in its pixels, best score first.
   *
   * @param {import("./resample.js").Image | Pyramid} image
   * @param {number} minFacePx smallest face to find, pixels
   * @returns {Promise<Candidate[]>}
   */
  async detect(image, minFacePx) {
    const found = [];
    for (const { level, ratio } of levels(Pyramid.of(image), minFacePx, this.settings)) {
      found.push(...(await this.detectInLevel(level, ratio)));
    }
    const kept = found.filter((one) => wanted(one, minFacePx, this.settings.limits));
    const squares = kept.map((one) => one.square);
    const scores = kept.map((one) => one.score);
    return nms(squares, scores, this.settings.limits.overlap).map((index) => kept[index]);
  }

  /** Detect candidates in a level; `ratio` is photo pixels per level pixel along x and y. */
  async detectInLevel(level, ratio) {
    const canvas = toCanvas(level, this.settings);
    const { score, places: placement } = await this.engine.run(canvas.data, [1, canvas.height, canvas.width, 3]);
    return [...findPeaks(score, this.settings.limits.score)].map((cell) => ({
      square: decode(cell, score, placement, this.settings).map((edge, side) => (edge + 0.5) * ratio[side % 2] - 0.5),
      score: score.data[cell],
    }));
  }
}

/** Fuse the scores of the face network and the detector (log-odds). Mirrors `facegeom.models.score_fusion`. */
export function fuse(faceScore, detectorScore, { weight, offset, certain }) {
  const logOdds = (value) => {
    const kept = clip(value, certain, 1 - certain);
    return Math.log(kept / (1 - kept));
  };
  return 1 / (1 + Math.exp(-(logOdds(faceScore) + weight * logOdds(detectorScore) + offset)));
}

/** Check that a candidate is large enough; large ones also need a higher score. */
export function wanted({ square, score }, minFacePx, { clear_score: clear, clear_times: from, smallest }) {
  const times = (square[2] - square[0]) / minFacePx;
  return times >= smallest && (times < from || score > clear);
}

/** Return the scales of the levels: 1 over an integer, or above 1 for tiny faces. */
export function scales(longerPx, minFacePx, settings) {
  const { smallest_px: smallest, largest_scale: largest, single_level_px: single, level_factor: factor } = settings;
  const scale = Math.min(largest, smallest / minFacePx);
  const found = [scale > 1 ? scale : 1 / Math.trunc(1 / scale)];
  while (longerPx * found.at(-1) > single) found.push(1 / Math.max(1, rint(factor / found.at(-1))));
  return found;
}

/** Yield the levels of a pyramid at each of `scales`, with photo pixels per level pixel. */
export function* levels(pyramid, minFacePx, settings) {
  const { width, height } = pyramid;
  for (const scale of scales(Math.max(width, height), minFacePx, settings)) {
    if (scale > 1) {
      const size = [rint(width * scale), rint(height * scale)];
      yield { level: resize(pyramid.level(1), size), ratio: [width / size[0], height / size[1]] };
    } else {
      const factor = rint(1 / scale);
      yield { level: pyramid.level(factor), ratio: [factor, factor] };
    }
  }
}

/** Pad a level with grey at the right and bottom to multiples of `grain`. */
export function toCanvas(level, { grain, outside }) {
  const [width, height] = [level.width, level.height].map((side) => Math.ceil(side / grain) * grain);
  const data = new Uint8Array(width * height * 3).fill(outside);
  paste(data, width, level, [0, 0]);
  return { width, height, data };
}

/** Yield the cells above the threshold that are maxima among their eight neighbours. */
export function* findPeaks({ dims: [, rows, columns], data }, threshold) {
  for (let cell = 0; cell < rows * columns; cell++) {
    if (data[cell] > threshold && neighbours(cell, rows, columns).every((one) => data[one] <= data[cell])) yield cell;
  }
}

function neighbours(cell, rows, columns) {
  const [row, column] = [Math.floor(cell / columns), cell % columns];
  const near = [];
  for (let y = Math.max(row - 1, 0); y <= Math.min(row + 1, rows - 1); y++) {
    for (let x = Math.max(column - 1, 0); x <= Math.min(column + 1, columns - 1); x++) near.push(y * columns + x);
  }
  return near;
}

/** Decode the square of a cell from its offsets and log-size, pixels of the canvas. */
function decode(cell, { dims: [, rows, columns] }, placement, { stride, typical_side_px: typical }) {
  const [x, y, logSide] = [0, 1, 2].map((part) => placement.data[part * rows * columns + cell]);
  const side = typical * Math.exp(logSide);
  const centre = (index, offset) => index * stride + (stride - 1) / 2 + offset * side;
  const [left, top] = [centre(cell % columns, x) - side / 2, centre(Math.floor(cell / columns), y) - side / 2];
  return [left, top, left + side, top + side];
}

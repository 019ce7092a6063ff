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
   * @param {number} minFacePx smallest face to find everywhere, pixels
   * @param {number} closestPx smallest face to find where something hints at smaller ones
   * @returns {Promise<Candidate[]>}
   */
  async detect(image, minFacePx, closestPx = minFacePx) {
    const pyramid = Pyramid.of(image);
    const { limits, smallest_px: smallest } = this.settings;
    const { closer_times: times } = limits;
    const [finest] = scales(Math.max(pyramid.width, pyramid.height), minFacePx, this.settings);
    const factors = closerFactors(rint(1 / finest), closestPx, this.settings);
    const least = factors.length ? limits.hints[0][0] : limits.score;
    const looks = [];
    for (const { level, ratio } of levels(pyramid, minFacePx, this.settings)) {
      looks.push({ found: await this.look(level, ratio, least), leastPx: minFacePx, mostPx: Infinity });
    }
    const clear = looks.flatMap(({ found }) => found).filter(({ score }) => score > limits.clear);
    const isLarge = ({ square }) => side(square) * finest > limits.large_px;
    const hints = limits.hints[clear.some(isLarge) ? 2 : clear.length ? 1 : 0];
    let [coarser, factor] = [looks[0].found, rint(1 / finest)];
    for (const closer of factors) {
      if (!(await this.showsSmaller(pyramid, coarser, factor, closer, hints))) break;
      [coarser, factor] = [await this.look(pyramid.level(closer), [closer, closer], least), closer];
      const leastPx = Math.max(closestPx, smallest * closer);
      looks.push({ found: coarser, leastPx, mostPx: times * leastPx });
    }
    const kept = looks.flatMap(({ found, leastPx, mostPx }) =>
      found.filter((one) => wanted(one, leastPx, limits, clear.length > 0) && side(one.square) < mostPx),
    );
    const squares = kept.map((one) => one.square);
    const scores = kept.map((one) => one.score);
    return nms(squares, scores, limits.overlap).map((index) => kept[index]);
  }

  /** Return the peaks of a level above a score; `ratio` is photo pixels per level pixel along x and y. */
  async look(level, ratio, least) {
    const canvas = toCanvas(level, this.settings);
    const { score, places: placement } = await this.engine.run(canvas.data, [1, canvas.height, canvas.width, 3]);
    return [...findPeaks(score, least)].map((cell) => ({
      square: decode(cell, score, placement, this.settings).map((edge, side) => (edge + 0.5) * ratio[side % 2] - 0.5),
      score: score.data[cell],
    }));
  }

  /** Return whether a patch at 1 / `closer` around a hint of the level 1 / `factor` shows a small face. */
  async showsSmaller(pyramid, peaks, factor, closer, [hint, shown]) {
    const { limits, typical_side_px: typical, patch_px: patchPx } = this.settings;
    const { shown_px: shownPx } = limits;
    const clear = peaks.filter(({ square, score }) => score > limits.clear && side(square) / factor >= limits.hint_px);
    const best = peaks
      .filter(({ square, score }) => score > hint && side(square) / factor < limits.hint_px)
      .filter(({ square }) => !clear.some((face) => contains(face.square, centre(square))))
      .sort((one, other) => other.score - one.score)
      .slice(0, limits.patches);
    if (!best.length) return false;
    const bytes = patchPx * patchPx * 3;
    const patches = new Uint8Array(best.length * bytes);
    best.forEach(({ square }, index) => patches.set(patch(pyramid, centre(square), closer, this.settings), index * bytes));
    const { score, places } = await this.engine.run(patches, [best.length, patchPx, patchPx, 3]);
    const cells = score.dims[1] * score.dims[2];
    return score.data.some((value, cell) => {
      const logSide = places.data[(3 * Math.floor(cell / cells) + 2) * cells + (cell % cells)];
      return value > shown && (typical * Math.exp(logSide) * closer) / factor < shownPx;
    });
  }
}

const side = (square) => square[2] - square[0];
const centre = (square) => [(square[0] + square[2]) / 2, (square[1] + square[3]) / 2];
const contains = (square, [x, y]) => x >= square[0] && x <= square[2] && y >= square[1] && y <= square[3];

/** Fuse the scores of the face network and the detector (log-odds). Mirrors `facegeom.models.score_fusion`. */
export function fuse(faceScore, detectorScore, { weight, offset, certain }) {
  const logOdds = (value) => {
    const kept = clip(value, certain, 1 - certain);
    return Math.log(kept / (1 - kept));
  };
  return 1 / (1 + Math.exp(-(logOdds(faceScore) + weight * logOdds(detectorScore) + offset)));
}

/** Check that a candidate is large enough; large ones, and those beside a clear face, also need a higher score. */
export function wanted({ square, score }, leastPx, limits, besideClear) {
  const times = side(square) / leastPx;
  const isLarge = times >= limits.clear_times;
  const isClear = score > limits.clear_score || !(isLarge || besideClear);
  return score > limits.score && times >= limits.smallest && isClear;
}

/** Return the scales of the levels: 1 over an integer, or above 1 for tiny faces. */
export function scales(longerPx, minFacePx, settings) {
  const { smallest_px: smallest, largest_scale: largest, single_level_px: single, level_factor: factor } = settings;
  const scale = Math.min(largest, smallest / minFacePx);
  const found = [scale > 1 ? scale : 1 / Math.trunc(1 / scale)];
  while (longerPx * found.at(-1) > single) found.push(1 / Math.max(1, rint(factor / found.at(-1))));
  return found;
}

/** Return the downscale factors of closer looks, about halved until faces of `closestPx` are seen. */
export function closerFactors(factor, closestPx, { smallest_px: smallest }) {
  const [factors, last] = [[factor], Math.max(1, Math.trunc(closestPx / smallest))];
  while (factors.at(-1) > last) factors.push(Math.max(last, Math.floor(factors.at(-1) / 2)));
  return factors.slice(1);
}

/** Cut a square of `patch_px` pixels of a level around a point of the image, grey beyond its edges. */
export function patch(pyramid, [x, y], factor, { patch_px: size, outside }) {
  const [width, height] = [pyramid.width, pyramid.height].map((length) => Math.ceil(length / factor));
  const [left, top] = [[x, width], [y, height]].map(([middle, length]) =>
    Math.trunc(Math.min(Math.max(middle / factor - size / 2, 0), Math.max(length - size, 0))),
  );
  const data = new Uint8Array(size * size * 3).fill(outside);
  const box = [left, top, Math.min(left + size, width), Math.min(top + size, height)];
  paste(data, size, pyramid.part(factor, box), [0, 0]);
  return data;
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

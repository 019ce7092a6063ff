/**
 * P-Net over the packed pyramid, then R-Net: candidate squares around faces. Mirrors `facegeom.detection.cascade`.
 *
 * @typedef {{square: import("./boxes.js").Box, score: number}} Candidate
 */

import { nms, square } from "./boxes.js";
import { cut } from "./crop.js";
import { descending, rint } from "./numbers.js";
import { paint, plan, windowToPhoto } from "./pyramid.js";
import { reduce } from "./resample.js";

const TAKEN = 6;

export class Cascade {
  /**
   * @param {import("./engine.js").Engine} pnet
   * @param {import("./engine.js").Engine} rnet
   * @param {object} settings the part "detection" of the model data
   */
  constructor(pnet, rnet, settings) {
    Object.assign(this, { pnet, rnet, settings });
  }

  /**
   * Candidates of a photo, in its pixels, best first.
   *
   * @param {import("./resample.js").Picture} picture
   * @param {number} minFacePx smallest face to look for, pixels
   * @returns {Promise<Candidate[]>}
   */
  async find(picture, minFacePx) {
    const small = reduced(picture, minFacePx, this.settings.smallest_in_window);
    const proposed = await this.propose(small, minFacePx);
    return proposed.length ? this.refine(small, proposed) : [];
  }

  async propose(photo, minFacePx) {
    const { smallest_in_window: smallest, outside, thresholds } = this.settings;
    const scale = Math.min(1, smallest / minFacePx);
    const levels = plan(...photo.fullWh, scale, this.settings);
    const canvas = paint(photo.picture, levels, outside);
    const answer = await this.pnet.run(canvas.data, [1, canvas.height, canvas.width, 3]);
    const found = [...windowsAbove(thresholds.propose, answer, this.settings)];
    return best(found.flatMap((hit) => followed(hit, levels, photo.fullWh, this.settings)), thresholds);
  }

  async refine(photo, proposed) {
    const { refine_px: size, outside, thresholds } = this.settings;
    const windows = cut(photo.picture, proposed.map((box) => shrink(box, photo.factor)), size, outside);
    const { score, offsets } = await this.rnet.run(windows, [proposed.length, size, size, 3]);
    const candidates = proposed.map((box, index) => ({
      square: square(box.map((edge, side) => edge + offsets.data[4 * index + side] * (box[2] - box[0]))),
      score: score.data[index],
    }));
    return distinct(candidates.filter((one) => one.score > thresholds.refine), thresholds.refine_overlap);
  }
}

/** A photo at about twice the resolution of the pyramid's first level: enough for both networks. */
function reduced(picture, minFacePx, smallest) {
  const factor = Math.max(1, rint(minFacePx / (2 * smallest)));
  const fullWh = [picture.width, picture.height];
  return { picture: factor > 1 ? reduce(picture, factor) : picture, fullWh, factor };
}

function shrink(box, factor) {
  return box.map((edge) => (edge + 0.5) / factor - 0.5);
}

/** Windows of P-Net with a score above the threshold: their corner, the offsets of the face's edges, the score. */
function* windowsAbove(threshold, { score, offsets }, { stride }) {
  const [, rows, columns] = score.dims;
  const cells = rows * columns;
  for (let cell = 0; cell < cells; cell++) {
    if (score.data[cell] > threshold) {
      const corner = [(cell % columns) * stride - 0.5, Math.floor(cell / columns) * stride - 0.5];
      const edges = [0, 1, 2, 3].map((side) => offsets.data[side * cells + cell]);
      yield { corner, edges, score: score.data[cell] };
    }
  }
}

/** The square of the photo to which a window leads, as a list of one; of none if it lies between levels. */
function followed({ corner, edges, score }, levels, photoWh, { window, gap }) {
  const [x, y] = corner;
  const seen = windowToPhoto([x, y, x + window, y + window], levels, photoWh, gap);
  if (!seen) return [];
  const sides = [seen[2] - seen[0], seen[3] - seen[1]];
  const ends = [0, 0, 1, 1].map((end, side) => end + edges[side]);
  return [{ square: square(ends.map((end, side) => seen[side % 2] + end * sides[side % 2])), score }];
}

function best(windows, { propose_most: most, propose_overlap: threshold }) {
  const order = descending(windows.map((one) => one.score)).slice(0, TAKEN * most);
  const ranked = order.map((index) => windows[index]);
  return distinct(ranked, threshold).slice(0, most).map((one) => one.square);
}

/** The candidates that do not overlap a better one, best first. */
function distinct(candidates, threshold) {
  const squares = candidates.map((one) => one.square);
  return nms(squares, candidates.map((one) => one.score), threshold).map((index) => candidates[index]);
}

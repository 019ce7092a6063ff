/**
 * Pillow's antialiased resizing and integer reduction in the same fixed-point arithmetic: bit-equal to
 * `PIL.Image.resize(BILINEAR, box)` and `PIL.Image.reduce` of Pillow 13. Older versions always resize the rows first;
 * where that matters, pixels differ by at most one level.
 *
 * @typedef {{width: number, height: number, data: Uint8Array}} Image RGB, three bytes a pixel, row by row.
 */

const FRACTION_BITS = 22;
const HALF = 1 << (FRACTION_BITS - 1);

/**
 * @param {Image} image
 * @param {[number, number]} sizeWh width and height of the result, pixels
 * @param {number[]} box left, top, right, bottom of the source part, continuous, from the image's corner
 * @param {number | null} gap Pillow's `reducing_gap`: an integer reduction first leaves the part at least this many
 *   times larger than the result; null never reduces
 * @returns {Image}
 */
export function resize(image, [width, height], box = [0, 0, image.width, image.height], gap = null) {
  if (gap !== null) [image, box] = reducedPart(image, [width, height], box, gap);
  const [left, top, right, bottom] = box.map(Math.fround); // Pillow stores the box in single precision
  const columns = coefficients(image.width, left, right, width);
  const rows = coefficients(image.height, top, bottom, height);
  const [fewerColumns, fewerRows] = [image.width - width, image.height - height];
  if (fewerRows > Math.max(0, 2 * fewerColumns)) return alongRows(alongColumns(image, rows), columns);
  return alongColumns(alongRows(image, columns, rows), rows);
}

/** Reduce the image around a box by integer factors; return it and the box in it. */
function reducedPart(image, sizeWh, box, gap) {
  const steps = [0, 1].map((axis) => (box[axis + 2] - box[axis]) / sizeWh[axis]);
  const factors = steps.map((step) => Math.trunc(step / gap) || 1);
  if (Math.max(...factors) === 1) return [image, box];
  const sides = [image.width, image.height];
  const low = steps.map((step, axis) => Math.max(0, Math.trunc(box[axis] - step / 2)));
  const high = steps.map((step, axis) => Math.min(sides[axis], Math.ceil(box[axis + 2] + step / 2)));
  const part = [...low, ...high];
  return [reduce(image, factors, part), box.map((edge, side) => (edge - low[side % 2]) / factors[side % 2])];
}

/**
 * Reduce a part of the image by integer factors: each pixel is the mean of a block.
 *
 * @param {Image} image
 * @param {[number, number]} factors along x and y
 * @param {number[]} part left, top, right, bottom in whole pixels
 * @returns {Image}
 */
export function reduce(image, [across, down], part = [0, 0, image.width, image.height]) {
  const [left, top, right, bottom] = part;
  const width = Math.ceil((right - left) / across);
  const height = Math.ceil((bottom - top) / down);
  const data = new Uint8Array(width * height * 3);
  if (across === 1 && down === 1) return { width, height, data: copied(image, part, data) };
  for (let row = 0, to = 0; row < height; row++) {
    const y = top + row * down;
    for (let column = 0; column < width; column++, to += 3) {
      const x = left + column * across;
      meanOf(image, x, y, Math.min(x + across, right), Math.min(y + down, bottom), data, to);
    }
  }
  return { width, height, data };
}

/** Copy a part of the image. */
function copied({ width, data }, [left, top, right, bottom], target) {
  for (let y = top, to = 0; y < bottom; y++, to += (right - left) * 3) {
    target.set(data.subarray((y * width + left) * 3, (y * width + right) * 3), to);
  }
  return target;
}

function meanOf({ width, data }, left, top, right, bottom, target, to) {
  const count = (right - left) * (bottom - top);
  let red = count >> 1; // half a count, to round to the nearest
  let [green, blue] = [red, red];
  for (let y = top; y < bottom; y++) {
    const end = (y * width + right) * 3;
    for (let at = (y * width + left) * 3; at < end; at += 3) {
      red += data[at];
      green += data[at + 1];
      blue += data[at + 2];
    }
  }
  const reciprocal = Math.floor(Math.fround(2 ** 32 / Math.fround(256 * count)));
  target[to] = (red * reciprocal) >>> 24;
  target[to + 1] = (green * reciprocal) >>> 24;
  target[to + 2] = (blue * reciprocal) >>> 24;
}

/** Return, for each output pixel along an axis, the first input pixel, the count, and the weights. */
function coefficients(sizeIn, from, to, sizeOut) {
  const scale = Math.fround(to - from) / sizeOut;
  const support = Math.max(scale, 1);
  const most = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(sizeOut);
  const counts = new Int32Array(sizeOut);
  const weights = new Int32Array(sizeOut * most);
  for (let index = 0; index < sizeOut; index++) {
    const centre = from + (index + 0.5) * scale;
    const start = Math.max(Math.trunc(centre - support + 0.5), 0);
    const end = Math.min(Math.trunc(centre + support + 0.5), sizeIn);
    [starts[index], counts[index]] = [start, end - start];
    weights.set(triangle(start, end, centre, support), index * most);
  }
  return { starts, counts, weights, most, size: sizeOut };
}

/** Return the triangle filter's weights of the pixels from start to end: fixed point, sum 1. */
function triangle(start, end, centre, support) {
  const weights = [];
  let total = 0;
  for (let pixel = start; pixel < end; pixel++) {
    const weight = Math.max(1 - Math.abs((pixel - centre + 0.5) * (1 / support)), 0);
    weights.push(weight);
    total += weight;
  }
  return weights.map((weight) => Math.trunc(0.5 + (total ? weight / total : weight) * 2 ** FRACTION_BITS));
}

/** Resize each row to its new width; in a first pass, only the rows that the second pass reads. */
function alongRows(image, columns, rows = null) {
  const top = rows ? rows.starts[0] : 0;
  const height = rows ? rows.starts[rows.size - 1] + rows.counts[rows.size - 1] - top : image.height;
  const data = new Uint8Array(columns.size * height * 3);
  for (let row = 0, to = 0; row < height; row++) {
    const line = (top + row) * image.width;
    for (let column = 0; column < columns.size; column++, to += 3) {
      const first = (line + columns.starts[column]) * 3;
      weigh(image.data, first, 3, columns, column, data, to);
    }
  }
  return { width: columns.size, height, top, data };
}

/** Resize each column to its new height; `top` is the source row of the image's first row. */
function alongColumns({ width, top = 0, data: source }, rows) {
  const data = new Uint8Array(width * rows.size * 3);
  for (let row = 0, to = 0; row < rows.size; row++) {
    const line = (rows.starts[row] - top) * width;
    for (let column = 0; column < width; column++, to += 3) {
      weigh(source, (line + column) * 3, width * 3, rows, row, data, to);
    }
  }
  return { width, height: rows.size, data };
}

/** Write one pixel: the weighted sum of a run of pixels, `step` bytes apart. */
function weigh(source, first, step, { weights, counts, most }, index, target, to) {
  let [red, green, blue] = [HALF, HALF, HALF];
  const end = index * most + counts[index];
  for (let k = index * most, at = first; k < end; k++, at += step) {
    const weight = weights[k];
    red += source[at] * weight;
    green += source[at + 1] * weight;
    blue += source[at + 2] * weight;
  }
  target[to] = red >> FRACTION_BITS;
  target[to + 1] = green >> FRACTION_BITS;
  target[to + 2] = blue >> FRACTION_BITS;
}

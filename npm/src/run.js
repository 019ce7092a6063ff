/** Pixels in, faces out. */

import { InputError } from "./page/local/errors.js";
import { oriented } from "./page/local/photo.js";
import { bestTurn } from "./page/local/turning.js";

const ORIENTATION_OF_TURN = { 90: 6, 180: 3, 270: 8 };

/**
 * Return RGB of RGB or RGBA; transparent parts over white. An alpha that is 0 everywhere was never set, and is ignored.
 *
 * @param {{width: number, height: number, data: ArrayLike<number>}} image three or four bytes a pixel, row by row
 * @returns {{width: number, height: number, data: Uint8Array}}
 */
export function rgbOf({ width, height, data }) {
  const pixels = width * height;
  if (!(Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0)) {
    throw new InputError(`expected a width and a height of at least 1 pixel, got ${width} x ${height}`);
  }
  if (data?.length === pixels * 3) return { width, height, data: Uint8Array.from(data) };
  if (data?.length !== pixels * 4) {
    throw new InputError(`expected ${pixels * 3} bytes of RGB or ${pixels * 4} of RGBA, got ${data?.length}`);
  }
  const rgb = new Uint8Array(pixels * 3);
  let isSet = false;
  for (let at = 3; at < data.length && !isSet; at += 4) isSet = data[at] > 0;
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    const alpha = isSet ? data[from + 3] : 255;
    for (let channel = 0; channel < 3; channel++) {
      rgb[to + channel] = (data[from + channel] * alpha + 255 * (255 - alpha) + 127) / 255;
    }
  }
  return { width, height, data: rgb };
}

/**
 * Find the faces of an upright image.
 *
 * @param {import("./page/local/analyzer.js").FaceAnalyzer} analyzer
 * @param {{width: number, height: number, data: Uint8Array}} image RGB
 * @param {import("./page/local/analyzer.js").Options} options
 */
export async function analyzePixels(analyzer, image, options = {}) {
  const view = analyzer.view(image, options);
  const find = (/** @type {any} */ upright) => analyzer.find(analyzer.view(upright, options));
  let found = { faces: await analyzer.find(view), turnedDeg: 0 };
  if (view.chosen.orientation === "auto") {
    const turned = (/** @type {90 | 180 | 270} */ turn) => find(oriented(image, ORIENTATION_OF_TURN[turn]));
    found = await bestTurn(image, found.faces, turned, analyzer.settings.turning);
  }
  return analyzer.toDict(view, found.faces, { turnedDeg: found.turnedDeg });
}

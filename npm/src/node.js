/** The package in Node.js: pixels in, faces out, on the thread that calls. */

import { loadAnalyzer } from "./load.js";
import { FaceTracker } from "./page/local/tracker.js";
import { analyzePixels, rgbOf } from "./run.js";

export { EngineError, ImageError, InputError } from "./page/local/errors.js";

/** @type {{data?: string | URL, threads?: number}} */
let settings = {};
/** @type {Promise<any> | undefined} */
let analyzer;
/** @type {FaceTracker | undefined} */
let tracker;

/** Say where the folder `data` lies and how many threads to use, before the first photo. */
export function configure(options = {}) {
  settings = { ...settings, ...options };
  analyzer = tracker = undefined;
}

/** Open the networks; the first photo does it, too. */
export async function load(options = {}) {
  analyzer ??= loadAnalyzer({ ...settings, ...options });
  try {
    await analyzer;
  } catch (error) {
    analyzer = undefined; // the next photo tries it again
    throw error;
  }
}

/** Find the faces of an image {width, height, data}, RGB or RGBA. */
export async function analyze(image, options = {}) {
  await load();
  return analyzePixels(await analyzer, rgbOf(image), options);
}

/** Follow the faces of a video to its next frame. */
export async function follow(image, { timeS, restart = false, ...options }) {
  await load();
  if (restart || !tracker) tracker = new FaceTracker(await analyzer);
  return tracker.track(rgbOf(image), timeS, options);
}

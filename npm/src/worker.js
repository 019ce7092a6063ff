/** Web worker of the package: one photo or frame after the other, so that the page stays responsive. */

import { loadAnalyzer } from "./load.js";
import { pixels } from "./page/local/photo.js";
import { FaceTracker } from "./page/local/tracker.js";
import { analyzePixels, rgbOf } from "./run.js";

/** @type {Promise<any> | undefined} */
let analyzer;
/** @type {FaceTracker | undefined} */
let tracker;
let queue = Promise.resolve();

addEventListener("message", ({ data }) => {
  queue = queue.then(() => answer(data));
});

async function answer({ id, settings, input, frame, options }) {
  try {
    analyzer ??= opening({ ...settings, onProgress: (loaded, total) => postMessage({ id, loaded, total }) });
    const opened = await analyzer;
    if (frame?.restart || !tracker) tracker = new FaceTracker(opened);
    postMessage({ id, result: await run(opened, tracker, { input, frame, options }) });
  } catch (error) {
    analyzer = error.name === "EngineError" ? undefined : analyzer;
    postMessage({ id, error: { name: error.name, message: error.message } });
  }
}

/** Open the networks; after a failure the next photo tries it again. */
function opening(options) {
  return loadAnalyzer(options).catch((error) => {
    analyzer = undefined;
    throw error;
  });
}

/** Find the faces of a file, a bitmap or pixels; a frame is followed from the last one. */
async function run(opened, followed, { input, frame, options }) {
  if (input instanceof Blob && !frame) return opened.analyze(input, options);
  const image = input instanceof Blob ? await createImageBitmap(input) : input;
  const rgb = image instanceof ImageBitmap ? pixels(image) : rgbOf(image);
  if (image instanceof ImageBitmap) image.close();
  return frame ? followed.track(rgb, frame.timeS, options) : analyzePixels(opened, rgb, options);
}

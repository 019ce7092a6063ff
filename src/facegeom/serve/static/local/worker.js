/** Web worker that runs the analyzer, one photo or frame after the other, so that the page stays responsive. */

import { FaceAnalyzer } from "./analyzer.js";
import { pixels } from "./photo.js";
import { FaceTracker } from "./tracker.js";

let analyzer = null;
let tracker = null;
let queue = Promise.resolve();
const dropped = new Set();

addEventListener("message", ({ data }) => {
  if (data.drop) dropped.add(data.id);
  else queue = queue.then(() => answer(data));
});

async function answer({ id, base, blob, frame, options }) {
  if (dropped.delete(id)) return; // aborted before it began
  try {
    analyzer ??= await FaceAnalyzer.load(base, (loaded, total) => postMessage({ id, loaded, total }));
    if (frame) await follow(id, frame, options);
    else postMessage({ id, result: await analyzer.analyze(blob, options) });
  } catch (error) {
    postMessage({ id, error: { name: error.name, message: error.message } });
  } finally {
    dropped.delete(id);
  }
}

/** Follow the faces to the next frame of a video; the picture goes back to the page. */
async function follow(id, { picture, timeS, restart }, options) {
  if (restart) tracker = new FaceTracker(analyzer);
  const answer = await tracker.track(pixels(picture), timeS, options);
  postMessage({ id, result: { answer, picture } }, [picture]);
}

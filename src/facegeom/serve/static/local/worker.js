/** The analyzer in a thread of its own, so that the page stays responsive. Photos are taken one after the other. */

import { FaceAnalyzer } from "./analyzer.js";

let analyzer = null;
let queue = Promise.resolve();

addEventListener("message", ({ data }) => {
  queue = queue.then(() => answer(data));
});

async function answer({ id, base, blob, options }) {
  try {
    analyzer ??= await FaceAnalyzer.load(base, (loaded, total) => postMessage({ id, loaded, total }));
    postMessage({ id, faces: await analyzer.analyze(blob, options) });
  } catch (error) {
    postMessage({ id, error: { name: error.name, message: error.message } });
  }
}

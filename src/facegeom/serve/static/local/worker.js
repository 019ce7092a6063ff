/** Web worker that runs the analyzer, one photo after the other, so that the page stays responsive. */

import { FaceAnalyzer } from "./analyzer.js";

let analyzer = null;
let queue = Promise.resolve();
const dropped = new Set();

addEventListener("message", ({ data }) => {
  if (data.drop) dropped.add(data.id);
  else queue = queue.then(() => answer(data));
});

async function answer({ id, base, blob, options }) {
  if (dropped.delete(id)) return; // aborted before it began
  try {
    analyzer ??= await FaceAnalyzer.load(base, (loaded, total) => postMessage({ id, loaded, total }));
    postMessage({ id, faces: await analyzer.analyze(blob, options) });
  } catch (error) {
    postMessage({ id, error: { name: error.name, message: error.message } });
  } finally {
    dropped.delete(id);
  }
}

/** The package in browsers: photos, canvases and videos in, faces out; a web worker computes. */

import { WorkerClient } from "./page/local/worker_client.js";
import { settings } from "./settings.js";

export { EngineError, ImageError, InputError } from "./page/local/errors.js";

const client = new WorkerClient(
  () => new Worker(new URL("./worker.js", import.meta.url), { type: "module" }),
  "the worker stopped",
);

/** Say where the folder `data` lies and how many threads to use, before the first photo. */
export function configure(options = {}) {
  const { data } = options;
  Object.assign(settings, options, data ? { data: new URL(data, document.baseURI).href } : {});
  client.stop();
}

/** Open the networks; the first photo does it, too. */
export async function load({ onProgress } = {}) {
  await ask({ input: { width: 1, height: 1, data: new Uint8Array(3) }, options: {} }, { onProgress });
}

/** Find the faces of one photo, best score first. */
export async function analyze(input, { onProgress, ...options } = {}) {
  const [picture, owned] = await transferable(input);
  return ask({ input: picture, options }, { onProgress }, owned);
}

/** Follow the faces of a video to its next frame. */
export async function follow(input, { timeS, restart = false, onProgress, ...options }) {
  const [picture, owned] = await transferable(input);
  return ask({ input: picture, frame: { timeS, restart }, options }, { onProgress }, owned);
}

/** Return what a worker can take of an input, and what is handed over. */
async function transferable(input) {
  if (input instanceof Blob) return [input, []];
  if (ArrayBuffer.isView(input?.data)) return [{ width: input.width, height: input.height, data: input.data }, []];
  if (input instanceof HTMLImageElement) await input.decode();
  const bitmap = await createImageBitmap(input, { colorSpaceConversion: "default" });
  return [bitmap, [bitmap]];
}

function ask(message, { onProgress = undefined } = {}, owned = []) {
  return client.ask({ settings, ...message }, { onProgress }, owned);
}

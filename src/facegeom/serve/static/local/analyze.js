/** Local analysis for the page: the photo goes to a web worker of the page and nowhere else. */

import { EngineError } from "./errors.js";
import { WorkerClient } from "./worker_client.js";

const UNABLE = "this browser has no WebAssembly; use a current browser, or let the service analyze";

const client = new WorkerClient(
  () => new Worker(new URL("worker.js", import.meta.url), { type: "module" }),
  "the analysis on this device stopped",
);

/**
 * Analyze a photo in this browser; the networks are loaded with the first photo.
 *
 * @param {Blob} blob an encoded image
 * @param {import("./analyzer.js").Options & {
 *   signal?: AbortSignal, onProgress?: (loaded: number, total: number) => void
 * }} options `onProgress` reports the bytes of the download
 * @returns {Promise<object>} faces in the published schema (/v1/schema)
 * @throws {Error} with a message for the user
 */
export async function analyze(blob, { signal, onProgress, ...options } = {}) {
  return ask({ blob, options }, { signal, onProgress });
}

/**
 * Follow the faces of a video to its next frame; the first frame says `restart`.
 *
 * @param {ImageBitmap} picture the frame; it is handed over, and comes back with the answer
 * @param {import("./analyzer.js").Options & {
 *   timeS: number, restart?: boolean, onProgress?: (loaded: number, total: number) => void
 * }} options `timeS` is the time of the frame, seconds
 * @returns {Promise<{answer: object, picture: ImageBitmap}>} faces in the published schema, with their `ids` in the video
 * @throws {Error} with a message for the user
 */
export async function follow(picture, { timeS, restart = false, onProgress, ...options }) {
  return ask({ frame: { picture, timeS, restart }, options }, { onProgress }, [picture]);
}

async function ask(message, options, handedOver) {
  options.signal?.throwIfAborted();
  if (typeof WebAssembly !== "object" || typeof Worker !== "function") throw new EngineError(UNABLE);
  return client.ask({ base: document.baseURI, ...message }, options, handedOver);
}

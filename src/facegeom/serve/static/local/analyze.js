/** Local analysis for the page: the photo goes to a web worker of the page and nowhere else. */

import { EngineError } from "./errors.js";

const UNABLE = "this browser has no WebAssembly; use a current browser, or let the service analyze";

/** The worker, the pending photos by id, and the last id. */
const state = { worker: null, waiting: new Map(), last: 0 };

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

async function ask(message, { signal, onProgress = () => {} }, handedOver = []) {
  signal?.throwIfAborted();
  if (typeof WebAssembly !== "object" || typeof Worker !== "function") throw new EngineError(UNABLE);
  state.worker ??= start();
  const id = ++state.last;
  return new Promise((resolve, reject) => {
    state.waiting.set(id, { resolve, reject, onProgress });
    signal?.addEventListener("abort", () => drop(id, signal.reason));
    state.worker.postMessage({ id, base: document.baseURI, ...message }, handedOver);
  });
}

function start() {
  const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  worker.addEventListener("message", ({ data }) => receive(data));
  worker.addEventListener("error", ({ message }) => fail(message));
  return worker;
}

function receive({ id, result, error, loaded, total }) {
  const photo = state.waiting.get(id);
  if (!photo) return; // aborted
  if (loaded !== undefined) return photo.onProgress(loaded, total);
  state.waiting.delete(id);
  if (error) photo.reject(Object.assign(new Error(error.message), { name: error.name }));
  else photo.resolve(result);
}

/** Abort a photo; the worker skips it if it has not begun. */
function drop(id, reason) {
  if (state.waiting.has(id)) state.worker.postMessage({ id, drop: true });
  forget(id, reason);
}

function forget(id, reason) {
  state.waiting.get(id)?.reject(reason);
  state.waiting.delete(id);
}

/** Handle a crash of the worker: all pending photos fail, the next one starts a new worker. */
function fail(message) {
  const reason = new EngineError(`the analysis on this device stopped (${message ?? "its script did not load"})`);
  for (const id of [...state.waiting.keys()]) forget(id, reason);
  state.worker.terminate();
  state.worker = null;
}

/** The package in browsers: photos, canvases and videos in, faces out; a web worker computes. */

import { EngineError } from "./page/local/errors.js";

export { EngineError, ImageError, InputError } from "./page/local/errors.js";

/** @type {{worker: Worker | null, waiting: Map<number, any>, last: number, settings: object}} */
const state = { worker: null, waiting: new Map(), last: 0, settings: {} };

/** Say where the folder `data` lies and how many threads to use, before the first photo. */
export function configure(options = {}) {
  const { data } = options;
  state.settings = { ...state.settings, ...options, ...(data ? { data: new URL(data, document.baseURI).href } : {}) };
  state.worker?.terminate();
  state.worker = null;
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

function ask(message, { onProgress = (/** @type {number} */ _loaded, /** @type {number} */ _total) => {} } = {}, owned = []) {
  state.worker ??= start();
  const { worker } = state;
  const id = ++state.last;
  return new Promise((resolve, reject) => {
    state.waiting.set(id, { resolve, reject, onProgress });
    worker.postMessage({ id, settings: state.settings, ...message }, owned);
  });
}

function start() {
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  worker.addEventListener("message", ({ data }) => receive(data));
  worker.addEventListener("error", ({ message }) => fail(message));
  return worker;
}

function receive({ id, result, error, loaded, total }) {
  const asked = state.waiting.get(id);
  if (!asked) return;
  if (loaded !== undefined) return void asked.onProgress(loaded, total);
  state.waiting.delete(id);
  if (error) asked.reject(Object.assign(new Error(error.message), { name: error.name }));
  else asked.resolve(result);
}

/** Handle a crash of the worker: what is pending fails, the next photo starts a new one. */
function fail(message) {
  const reason = new EngineError(`the worker stopped (${message ?? "its script did not load"})`);
  for (const { reject } of state.waiting.values()) reject(reason);
  state.waiting.clear();
  state.worker?.terminate();
  state.worker = null;
}

/** Opens the analyzer with the networks of this package, in browsers and in Node.js. */

import { Engine, prepare, usualThreads } from "./page/local/engine.js";
import { FaceAnalyzer } from "./page/local/analyzer.js";

const DATA = new URL("data/", import.meta.url);
const RUNTIME = "onnxruntime.wasm";

/** Whether this is Node.js, not a page or a worker of one. */
const isNode = typeof process === "object" && Boolean(process.versions?.node);

/**
 * Read a file of the package; those that end in .packed are compressed.
 *
 * @param {string} name in the folder `data`
 * @param {string | URL} data address of that folder
 * @returns {Promise<Uint8Array>}
 */
export async function asset(name, data = DATA) {
  const url = new URL(name, data);
  let stored;
  if (isNode && url.protocol === "file:") {
    const { readFile } = await import("node:fs/promises");
    stored = new Blob([await readFile(url)]);
  } else {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`cannot load ${url}: status ${response.status}; serve the folder data of the package there`);
    stored = await response.blob();
  }
  const stream = name.endsWith(".packed") ? stored.stream().pipeThrough(new DecompressionStream("gzip")) : stored.stream();
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * Read a JSON file of the package.
 *
 * @param {string} name in the folder `data`
 * @param {string | URL} data address of that folder
 */
export async function json(name, data = DATA) {
  return JSON.parse(new TextDecoder().decode(await asset(name, data)));
}

/**
 * Open the networks.
 *
 * @param {{data?: string | URL, threads?: number, onProgress?: (loaded: number, total: number) => void}} options
 * @returns {Promise<FaceAnalyzer>}
 */
export async function loadAnalyzer({ data = DATA, threads, onProgress = () => {} } = {}) {
  const model = await json("model.json", data);
  const names = [RUNTIME, ...Object.keys(model.files)];
  let loaded = 0;
  const files = await Promise.all(names.map(async (name) => {
    const bytes = await asset(`${name}.packed`, data);
    onProgress(++loaded, names.length);
    return bytes;
  }));
  prepare(files[0], threads ?? (isNode ? 1 : usualThreads()));
  const engines = {};
  for (const [index, name] of Object.keys(model.files).entries()) engines[name] = await Engine.open(name, files[index + 1]);
  return new FaceAnalyzer(model, engines);
}

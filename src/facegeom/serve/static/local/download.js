/** Downloads from the page's own server, with progress. */

import { EngineError } from "./errors.js";

/**
 * @param {{url: string, bytes: number}[]} files and their sizes after decompression
 * @param {(loaded: number, total: number) => void} onProgress bytes of all files
 * @returns {Promise<Uint8Array[]>}
 */
export async function download(files, onProgress) {
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  let loaded = 0;
  const count = (bytes) => onProgress((loaded += bytes), total);
  return Promise.all(files.map((file) => one(file, count)));
}

async function one({ url, bytes }, count) {
  const response = await request(url);
  const whole = new Uint8Array(bytes);
  let end = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    if (end + value.length <= bytes) whole.set(value, end);
    end += value.length;
    count(value.length);
  }
  if (end !== bytes) throw new EngineError(`expected ${bytes} bytes of ${url}, got ${end}; load the page again`);
  return whole;
}

/** Fetch a URL; an error status or no response throws. */
export async function request(url) {
  let response;
  try {
    response = await fetch(url);
  } catch (error) {
    throw new EngineError(`cannot load ${url} (${error.message}); check that the server runs`, { cause: error });
  }
  if (!response.ok) throw new EngineError(`cannot load ${url}: status ${response.status}; load the page again`);
  return response;
}

/** Analysis by the service: the photo is sent, with progress. */

/** The service's limits, fetched once; without them the service itself says what is too large. */
const limits = fetch("v1/health").then((answer) => answer.json()).catch(() => ({ max_bytes: Infinity }));

/** An error after which trying the next photo is useless. */
export class UnreachableError extends Error {}

/**
 * Analyze a photo with the service.
 *
 * @param {Blob} blob an encoded image.
 * @param {{min_face?: number, max_faces?: number, min_score?: number, fov_deg?: number,
 *   orientation?: "exif" | "auto", signal?: AbortSignal, onProgress?: (text: string, fraction?: number) => void}} options
 * @returns {Promise<object>} faces in the published schema (/v1/schema).
 * @throws {Error} with a message for the user.
 */
export async function analyze(blob, { signal, onProgress = () => {}, ...options } = {}) {
  const { max_bytes: most } = await limits;
  if (blob.size > most) {
    throw new Error(`it has ${megabytes(blob.size)}, and this service takes at most ${megabytes(most)}; make it smaller, or analyze it on this device`);
  }
  signal?.throwIfAborted();
  const { status, text } = await post(blob, new URLSearchParams(options), signal, onProgress);
  const body = parsed(text);
  if (status !== 200 || !body) throw new Error(forUser(body?.detail ?? `the service answered with status ${status}`));
  return body;
}

/** Send a photo; fetch would not say how much of it is sent. */
function post(blob, query, signal, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let sent = 0;
    const fail = () => reject(new UnreachableError(sent > 0 && sent < 1
      ? `the connection broke when ${percent(sent)} of the photo were sent; check that the service still runs, and try again`
      : "the service does not answer; check that it still runs, and try again, or analyze on this device"));
    request.open("POST", `v1/analyze?${query}`);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      sent = loaded / total;
      if (sent < 1) onProgress(`Sending the photo… ${percent(sent)}`, sent);
      else onProgress("Looking for faces…");
    });
    request.addEventListener("load", () => resolve({ status: request.status, text: request.responseText }));
    request.addEventListener("error", fail);
    request.addEventListener("abort", () => reject(signal.reason));
    signal?.addEventListener("abort", () => request.abort());
    request.send(blob);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Leave out "the N bytes: ": the service gets no file name, the page says it. */
function forUser(detail) {
  return detail.replace(/^the \d+ bytes: /, "");
}

function percent(fraction) {
  return `${Math.floor(100 * fraction)} %`;
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** The service's limits, fetched once. */
const limits = fetch("v1/health").then((answer) => answer.json()).catch(() => ({ max_bytes: Infinity }));

/**
 * Analyze a photo with the service.
 *
 * @param {Blob} blob an encoded image.
 * @param {{min_face?: number, max_faces?: number, min_score?: number, fov_deg?: number,
 *   orientation?: "exif" | "auto", signal?: AbortSignal}} options
 * @returns {Promise<object>} faces in the published schema (/v1/schema).
 * @throws {Error} with a message for the user.
 */
export async function analyze(blob, { signal, onProgress, ...options } = {}) {
  const { max_bytes: most } = await limits;
  if (blob.size > most) {
    throw new Error(`The photo has ${megabytes(blob.size)}; this service takes at most ${megabytes(most)}.`);
  }
  const answer = await post(blob, new URLSearchParams(options), signal);
  const body = await answer.json();
  if (!answer.ok) throw new Error(forUser(body.detail ?? `the service answered ${answer.status}`));
  return body;
}

async function post(blob, query, signal) {
  const headers = { Accept: "application/json", "Content-Type": "application/octet-stream" };
  try {
    return await fetch(`v1/analyze?${query}`, { method: "POST", headers, body: blob, signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Error("The service does not answer. Is it still running?");
  }
}

/** Say "this file" where the service, which gets no file name, says "the N bytes". */
function forUser(detail) {
  return detail.replace(/^the \d+ bytes/, "this file");
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

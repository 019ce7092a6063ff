/**
 * Faces of a photo, found by the service.
 *
 * @param {Blob} blob an encoded picture.
 * @param {{min_face?: number, max_faces?: number, min_score?: number, fov_deg?: number, signal?: AbortSignal}} options
 * @returns {Promise<object>} the JSON of the published schema (/v1/schema).
 * @throws {Error} with a message for people.
 */
export async function analyze(blob, { signal, ...options } = {}) {
  const query = new URLSearchParams(Object.entries(options).filter(([, value]) => value != null));
  const answer = await fetch(`v1/analyze?${query}`, {
    method: "POST",
    headers: { Accept: "application/json", "Content-Type": "application/octet-stream" },
    body: blob,
    signal,
  }).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Error("The service does not answer. Is it still running?");
  });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail ?? `The service answered ${answer.status}.`);
  return body;
}

import { analyze as remotely } from "./remote.js";

const keepLocal = document.getElementById("keep-local");

/** Faces of a photo, by the service or, with the switch on, by the networks in this browser. */
async function analyze(blob, options) {
  if (!keepLocal.checked) return remotely(blob, options);
  const local = await import("./local/analyze.js");
  return local.analyze(blob, options);
}

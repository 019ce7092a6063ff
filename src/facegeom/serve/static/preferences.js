/** Choices that are remembered over reloads, in this browser alone. */

const KEY = "facegeom";

/** Return a remembered choice; `fallback` where there is none. */
export function recall(name, fallback) {
  return all()[name] ?? fallback;
}

/** Remember a choice; a browser that stores nothing forgets it with the page. */
export function remember(name, value) {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...all(), [name]: value }));
  } catch {
    // storage is switched off or full
  }
}

function all() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}

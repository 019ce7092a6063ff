/** What the user chooses: layers, where photos are analyzed, format of files, search settings. Most is remembered. */

import { FORMATS } from "./files.js";
import { recall, remember } from "./preferences.js";

const part = (id) => document.getElementById(id);
const LAYERS = { box: true, contours: true, points: false, mesh: false, axes: true, gaze: true };
const SETTINGS = ["min_score", "min_face", "max_faces", "fov_deg", "orientation"];
const NOTES = {
  here: "Photos and video stay here: the networks, 16 MB, come from the service once and run in this browser.",
  service: "Photos go to this service, which keeps them in memory until it has answered and stores them nowhere.",
};

/** Return the layers that are shown, as flags by name. */
export function layers() {
  return Object.fromEntries(Object.keys(LAYERS).map((name) => [name, part(`show-${name}`).checked]));
}

/** Return whether photos are analyzed in this browser. */
export function isHere() {
  return part("where-here").checked;
}

/** Return the search settings that the user made and that are valid; the others are left to the analyzer. */
export function settings() {
  const made = SETTINGS.map(part).filter((input) => input.value !== "" && input.validity.valid);
  return Object.fromEntries(made.map(({ id, type, value }) => [id, type === "number" ? Number(value) : value]));
}

/** Return the name of the chosen format. */
export function format() {
  return part("formats").querySelector("input:checked").value;
}

export function isPressed(id) {
  return part(id).getAttribute("aria-pressed") === "true";
}

/** Make a button a toggle that is remembered. */
export function press(id, follow) {
  const set = (on) => part(id).setAttribute("aria-pressed", String(on));
  set(recall(id, isPressed(id)));
  part(id).addEventListener("click", () => {
    set(!isPressed(id));
    remember(id, isPressed(id));
    follow();
  });
}

/**
 * Restore the choices, and call a function when one changes.
 *
 * @param {{onLayers: () => void, onSettings: () => void, onHere: () => void, onFormat: () => void}} page
 */
export function wireChoices({ onLayers, onSettings, onHere, onFormat }) {
  for (const [name, usual] of Object.entries(LAYERS)) {
    const box = part(`show-${name}`);
    box.checked = recall(box.id, usual);
    box.addEventListener("change", () => {
      remember(box.id, box.checked);
      onLayers();
    });
  }
  for (const id of SETTINGS) part(id).addEventListener("change", onSettings);
  wireWhere(onHere);
  wireFormats(onFormat);
}

/** Where photos are analyzed is what was chosen last, else what the service was started with. */
function wireWhere(onHere) {
  const usual = "private" in document.documentElement.dataset ? "here" : "service";
  const chosen = recall("where", usual);
  part(`where-${chosen in NOTES ? chosen : usual}`).checked = true;
  const where = () => (isHere() ? "here" : "service");
  const note = () => { part("where-note").textContent = NOTES[where()]; };
  note();
  part("where").addEventListener("change", () => {
    remember("where", where());
    note();
    if (isHere()) onHere(); // the other way, the shown photo must not be sent
  });
}

function wireFormats(onFormat) {
  const usual = recall("format", "json");
  const choices = Object.entries(FORMATS).map(([value, { label }]) => {
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "format", value, checked: value === usual });
    const box = document.createElement("label");
    box.append(input, Object.assign(document.createElement("span"), { textContent: label }));
    return box;
  });
  part("formats").append(...choices);
  if (!part("formats").querySelector("input:checked")) choices[0].firstChild.checked = true;
  part("formats").addEventListener("change", () => {
    remember("format", format());
    onFormat();
  });
}

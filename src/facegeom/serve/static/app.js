/** The page: a photo comes in, is analysed, and is shown. */

import { glbBlob, jsonBlob, pngBlob, save } from "./downloads.js";
import { drawPhoto } from "./overlay.js";
import { showAngles, showFaces, showFacts, summary } from "./panel.js";
import { analyze as remotely } from "./remote.js";
import { listen } from "./sources.js";
import { topology } from "./topology.js";

const part = (id) => document.getElementById(id);
const SHOWN = ["box", "points", "mesh", "axes"];
const SETTINGS = ["min_score", "min_face", "max_faces", "fov_deg"];
const REMOTE_NOTE = part("where-note").textContent;
const LOCAL_NOTE = "Nowhere: the networks, 8 MB, come here and run in this browser.";
const MOST_CANVAS_PIXELS = 16e6; // some phones refuse larger ones

/** What is on the page: the photo, its answer, the selected face; null until there is one. */
let current = null;
let running = new AbortController();
let head = null;

/** Faces of a photo, by the service or, with the switch on, by the networks in this browser. */
async function analyze(blob, options) {
  if (!part("keep-local").checked) return remotely(blob, options);
  const local = await import("./local/analyze.js");
  return local.analyze(blob, options);
}

/** Analyse a photo and show it; a newer photo puts an older one aside. */
async function take(blob, name) {
  running.abort();
  const { signal } = (running = new AbortController());
  const started = performance.now();
  complain(null);
  say("Looking for faces…");
  part("picture").classList.add("busy");
  try {
    const answer = await analyze(blob, { ...settings(), signal, onProgress: sayProgress });
    const [picture, shared] = await Promise.all([decode(blob), topology()]);
    if (signal.aborted) return;
    answer.image.file = name;
    current = { blob, name, picture, answer, topology: shared, selected: 0 };
    await showAll();
    say(summary(answer, (performance.now() - started) / 1000));
  } catch (error) {
    if (signal.aborted) return;
    say("");
    complain(error);
  } finally {
    if (!signal.aborted) part("picture").classList.remove("busy");
  }
}

function again() {
  if (current) take(current.blob, current.name);
}

async function decode(blob) {
  try {
    return await createImageBitmap(blob);
  } catch {
    throw new Error("This browser cannot show pictures of this format. Convert it to JPEG or PNG.");
  }
}

function say(text) {
  part("status").textContent = text;
}

/** Of the networks, before the first photo that stays on this device. */
function sayProgress(loaded, total) {
  say(`Loading the networks… ${Math.round((100 * loaded) / total)} %`);
}

/** Show an error, or none. */
function complain(error) {
  const text = error?.message ?? "";
  part("error").textContent = text && `${text[0].toUpperCase()}${text.slice(1).replace(/\.$/, "")}.`;
  part("error").hidden = !error;
}

/** The search settings that a person has made. */
function settings() {
  const made = SETTINGS.map(part).filter((input) => input.value !== "" && input.validity.valid);
  return Object.fromEntries(made.map((input) => [input.id, input.valueAsNumber]));
}

async function showAll() {
  const { answer, picture } = current;
  const none = answer.faces.length === 0;
  part("main").classList.remove("empty");
  part("drop").hidden = true;
  part("photo").hidden = false;
  part("head").hidden = none;
  part("found").hidden = answer.faces.length < 2;
  part("save").hidden = false;
  part("save-glb").disabled = none;
  showFaces(part("faces"), answer.faces, picture, select);
  part("photo").setAttribute("aria-label", `The photo with ${answer.faces.length} faces found`);
  await select(0);
}

async function select(index) {
  current.selected = index;
  drawOver();
  const face = current.answer.faces[index];
  if (!face) return;
  showAngles(part("angles"), face);
  showFacts(part("facts"), face);
  await showHead(face);
}

/** The photo as large as its place allows, at the screen's own resolution. */
function drawOver() {
  if (!current) return;
  const { picture, answer, selected, topology } = current;
  const fit = Math.min(part("picture").clientWidth / picture.width, (0.82 * innerHeight) / picture.height);
  const scale = Math.min(fit * devicePixelRatio, Math.sqrt(MOST_CANVAS_PIXELS / (picture.width * picture.height)));
  const { triangles } = topology;
  drawPhoto(part("photo"), picture, answer.faces, { selected, show: shown(), scale, triangles });
  part("photo").style.width = `${Math.round(picture.width * fit)}px`;
}

function shown() {
  return Object.fromEntries(SHOWN.map((name) => [name, part(`show-${name}`).checked]));
}

/** The 3D view; three.js is loaded with the first face. */
async function showHead(face) {
  const { picture, topology } = current;
  try {
    const { HeadView } = await import("./head3d.js");
    head ??= new HeadView(part("head-canvas"));
  } catch (error) {
    part("head-keys").textContent = `This browser shows no 3D (${error.message}).`;
    return;
  }
  head.setFace(face, picture, topology);
  updateHead();
}

function updateHead() {
  head?.setShown({ ...shown(), skin: part("skin").getAttribute("aria-pressed") === "true" });
}

/** The photo at its own resolution with what is shown over it. */
function overlayCanvas() {
  const { picture, answer, selected, topology } = current;
  const canvas = document.createElement("canvas");
  const { triangles } = topology;
  drawPhoto(canvas, picture, answer.faces, { selected, show: shown(), scale: 1, triangles });
  return canvas;
}

/** Make a file when a button is pressed. */
function offer(id, ending, make) {
  part(id).addEventListener("click", async () => {
    try {
      const stem = current.name.replace(/\.[^.]*$/, "") || "photo";
      save(await make(current), stem + ending);
    } catch (error) {
      complain(error);
    }
  });
}

function wire() {
  listen(take, complain);
  for (const name of SHOWN) {
    part(`show-${name}`).addEventListener("change", () => {
      drawOver();
      updateHead();
    });
  }
  for (const id of SETTINGS) part(id).addEventListener("change", again);
  part("keep-local").addEventListener("change", ({ target }) => {
    part("where-note").textContent = target.checked ? LOCAL_NOTE : REMOTE_NOTE;
    again();
  });
  part("skin").addEventListener("click", ({ target }) => {
    target.setAttribute("aria-pressed", String(target.getAttribute("aria-pressed") !== "true"));
    updateHead();
  });
  part("home").addEventListener("click", () => head?.reset());
  part("photo").addEventListener("click", selectAt);
  new ResizeObserver(drawOver).observe(part("picture"));
  offer("save-json", ".json", ({ answer }) => jsonBlob(answer));
  offer("save-png", ".faces.png", () => pngBlob(overlayCanvas()));
  offer("save-glb", ".glb", ({ answer, selected, picture, topology }) =>
    glbBlob(answer.faces[selected], picture, topology));
}

/** A click on a face selects it. */
function selectAt(event) {
  const { picture, answer } = current;
  const scale = picture.width / part("photo").clientWidth;
  const [x, y] = [event.offsetX * scale - 0.5, event.offsetY * scale - 0.5];
  const index = answer.faces.findIndex(({ box_xyxy: [left, top, right, bottom] }) =>
    left <= x && x <= right && top <= y && y <= bottom);
  const choice = part("faces").querySelectorAll("input")[index];
  if (choice) choice.click();
}

wire();

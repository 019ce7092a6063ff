/** The page: take a photo, analyze it, show the result. */

import { glbBlob, jsonBlob, pngBlob, save } from "./downloads.js";
import { closeUp, drawPhoto, whole } from "./overlay.js";
import { showAngles, showExpression, showFaces, showFacts, showGaze, summary } from "./panel.js";
import { analyze as remotely } from "./remote.js";
import { listen } from "./sources.js";
import { topology } from "./topology.js";

const part = (id) => document.getElementById(id);
const SHOWN = ["box", "points", "mesh", "axes", "gaze"];
const SETTINGS = ["min_score", "min_face", "max_faces", "fov_deg", "orientation"];
const REMOTE_NOTE = part("where-note").textContent;
const LOCAL_NOTE = "Nowhere: the networks, 24 MB with what runs them, come here and run in this browser.";
const MOST_CANVAS_PIXELS = 16e6; // some phones refuse larger ones

/** The photo on the page, its faces and the selected face; null before the first photo. */
let current = null;
let running = new AbortController();
let head = null;

/** Analyze a photo: by the service or, with the switch on, by the networks in this browser. */
async function analyze(blob, options) {
  if (!part("keep-local").checked) return remotely(blob, options);
  const local = await import("./local/analyze.js");
  return local.analyze(blob, options);
}

/** Analyze a photo and show it; a newer photo aborts the analysis of an older one. */
async function take(blob, name) {
  running.abort();
  const { signal } = (running = new AbortController());
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
    say(summary(answer));
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

/** Show the progress of the networks' download, before the first local analysis. */
function sayProgress(loaded, total) {
  say(`Loading the networks… ${Math.round((100 * loaded) / total)} %`);
}

/** Show an error; null hides the message. */
function complain(error) {
  const text = error?.message ?? "";
  part("error").textContent = text && `${text[0].toUpperCase()}${text.slice(1).replace(/\.$/, "")}.`;
  part("error").hidden = !error;
}

/** Return the search settings that the user made and that are valid; the others are left to the service. */
function settings() {
  const made = SETTINGS.map(part).filter((input) => input.value !== "" && input.validity.valid);
  return Object.fromEntries(made.map(({ id, type, value }) => [id, type === "number" ? Number(value) : value]));
}

async function showAll() {
  const { answer, picture } = current;
  const none = answer.faces.length === 0;
  part("main").classList.remove("empty");
  part("drop").hidden = true;
  part("photo").hidden = false;
  part("head").hidden = part("motion").hidden = none;
  part("found").hidden = answer.faces.length < 2;
  part("under").hidden = false;
  part("close").hidden = none;
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
  showGaze(part("gaze"), part("gaze-note"), face);
  showBars();
  await showHead(face);
}

/** Show the selected face's coefficients. */
function showBars() {
  const { answer, selected } = current;
  showExpression(part("expression"), part("expression-note"), answer.faces[selected], isPressed("all"));
}

/** Draw the photo, or the part around the selected face, to fit the layout at the screen's resolution. */
function drawOver() {
  if (!current) return;
  const view = viewed();
  const fit = Math.min(part("picture").clientWidth / view.width, (0.8 * innerHeight) / view.height);
  const scale = Math.min(fit * devicePixelRatio, Math.sqrt(MOST_CANVAS_PIXELS / (view.width * view.height)));
  drawOn(part("photo"), view, scale);
  part("photo").style.width = `${Math.round(view.width * fit)}px`;
}

function drawOn(canvas, view, scale) {
  const { picture, answer, selected, topology } = current;
  const { triangles, mesh478: { regions } } = topology;
  const irises = [regions.iris_right[0], regions.iris_left[0]];
  const how = { selected, show: shown(), scale, part: view, triangles, irises };
  drawPhoto(canvas, picture, answer.faces, how);
}

/** Return the part of the photo that is shown. */
function viewed() {
  const { picture, answer, selected } = current;
  const face = answer.faces[selected];
  return face && isPressed("close") ? closeUp(picture, face) : whole(picture);
}

function isPressed(id) {
  return part(id).getAttribute("aria-pressed") === "true";
}

function shown() {
  return Object.fromEntries(SHOWN.map((name) => [name, part(`show-${name}`).checked]));
}

/** Show the 3D view; three.js is loaded with the first face. */
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
  head?.setShown({ ...shown(), skin: isPressed("skin") });
}

/** Return the photo at full resolution with the overlay. */
function overlayCanvas() {
  const canvas = document.createElement("canvas");
  drawOn(canvas, whole(current.picture), 1);
  return canvas;
}

/** Save a file when the button is pressed. */
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
    if (target.checked) again(); // switching off must not send the current photo
  });
  press("skin", updateHead);
  press("close", drawOver);
  press("all", showBars);
  part("home").addEventListener("click", () => head?.reset());
  part("photo").addEventListener("click", selectAt);
  new ResizeObserver(drawOver).observe(part("picture"));
  offer("save-json", ".json", ({ answer }) => jsonBlob(answer));
  offer("save-png", ".faces.png", () => pngBlob(overlayCanvas()));
  offer("save-glb", ".glb", ({ answer, selected, picture, topology }) =>
    glbBlob(answer.faces[selected], picture, topology));
}

/** Make a button a toggle. */
function press(id, follow) {
  part(id).addEventListener("click", () => {
    part(id).setAttribute("aria-pressed", String(!isPressed(id)));
    follow();
  });
}

/** Select the face at a click. */
function selectAt(event) {
  const view = viewed();
  const scale = view.width / part("photo").clientWidth;
  const [x, y] = [view.left + event.offsetX * scale - 0.5, view.top + event.offsetY * scale - 0.5];
  const index = current.answer.faces.findIndex(({ box_xyxy: [left, top, right, bottom] }) =>
    left <= x && x <= right && top <= y && y <= bottom);
  const choice = part("faces").querySelectorAll("input")[index];
  if (choice) choice.click();
}

wire();

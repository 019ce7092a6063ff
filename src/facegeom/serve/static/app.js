/** The page: take photos, analyze them, show the results. */

import { format, isHere, isPressed, layers, press, settings, wireChoices } from "./choices.js";
import { FORMATS, copy, isCopied, save } from "./files.js";
import { Live, pace } from "./live.js";
import { showAngles, showExpression, showFaces, showFacts, showGaze, showPhotos, summary, thumbnail } from "./panel.js";
import { UnreachableError, analyze as remotely } from "./remote.js";
import { isVideo, listen } from "./sources.js";
import { busy, complain, say, sayLoading } from "./status.js";
import { topology } from "./topology.js";
import { PhotoView } from "./viewer.js";

const part = (id) => document.getElementById(id);
const LEAST_FACE_PX = 8; // smaller faces have no details to look for
const PANEL_MS = 120; // between two updates of numbers and 3D in a live view
const SLOW_HEAD_MS = 500; // of 3D without a graphics card

/** What is on the page: the photos of the last choice, the shown one, the work that goes on, the 3D view. */
const page = { photos: [], shown: null, job: null, taking: null, turn: 0, head: null, liveName: "", liveNote: "" };
const [areNumbersDue, isHeadDue] = [pace(), pace()];
const view = new PhotoView(part("photo"), part("tip"), { show: layers, onSelect: (index) => part("faces").querySelectorAll("input")[index]?.click() });
const live = new Live(part("video"), {
  onFrame: showFrame,
  onEnd: (error) => {
    leave();
    if (error) complain({ error });
  },
  onProgress: (loaded, total) => (loaded < total ? sayLoading(loaded, total) : say(page.liveNote)),
});

/** Analyze photos, or follow a video, and show the results; newer ones abort the work on older ones. */
async function take(files) {
  leave();
  const video = files.find(isVideo);
  if (video) return openVideo(video);
  const photos = [];
  const complaints = await work(async (job) => {
    const failed = [];
    page.taking = files.length > 1 ? job : null;
    for (const [index, file] of files.entries()) {
      const before = files.length > 1 ? `Photo ${index + 1} of ${files.length}. ` : "";
      try {
        photos.push(await analyzed(file, file.name || "photo", job, settings(), before));
      } catch (error) {
        if (job.signal.aborted) throw error;
        const isFatal = error instanceof UnreachableError || error.name === "EngineError"; // whatever the file
        failed.push({ error, file: isFatal ? undefined : file.name });
        if (isFatal) break;
        continue;
      }
      page.photos = photos;
      if (photos.length === 1) await show(photos[0]);
      else free(photos.at(-1));
      listPhotos();
    }
    return failed;
  });
  if (page.taking === page.job) page.taking = null;
  if (complaints?.length) complain(...complaints);
  if (complaints) sayResult(photos.length === 0);
}

/** Do something that the user may cancel; return nothing if he did or it was replaced. */
async function work(action) {
  page.job?.abort();
  const job = (page.job = new AbortController());
  complain();
  busy(true);
  try {
    return await Promise.race([action(job), aborted(job.signal)]);
  } catch (error) {
    if (page.job !== job) return undefined;
    if (job.signal.aborted) sayResult(true, "Cancelled. ");
    else {
      sayResult(true);
      complain({ error });
    }
    return undefined;
  } finally {
    if (page.job === job) busy(false);
  }
}

function aborted(signal) {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}

/** Analyze one photo. */
async function analyzed(blob, name, { signal }, options, before = "") {
  say(`${before}Looking for faces…`);
  const onProgress = (text, fraction) => say(before + text, fraction);
  const answer = isHere() ? await locally(blob, { ...options, signal }) : await remotely(blob, { ...options, signal, onProgress });
  const picture = await decode(blob);
  signal.throwIfAborted();
  answer.image.file = name;
  return { blob, name, answer, thumbnail: thumbnail(picture), picture };
}

async function locally(blob, options) {
  const local = await import("./local/analyze.js");
  const answer = await local.analyze(blob, { ...options, onProgress: sayLoading });
  navigator.serviceWorker?.ready.then(({ active }) => active?.postMessage("keep networks"));
  return answer;
}

/** Analyze the shown photo again; `changed` options hold for this time. */
function again(changed = {}) {
  const { shown: old } = page;
  if (!old?.blob || live.isOn || (page.taking && page.taking === page.job)) return undefined; // the next photos get them
  return work(async (job) => {
    const photo = await analyzed(old.blob, old.name, job, { ...settings(), ...changed });
    page.photos = page.photos.map((each) => (each.blob === old.blob ? photo : each));
    await show(photo, true);
    listPhotos();
    sayResult();
  });
}

/** Look for faces half as large; a service that looks for none so small says what it can. */
async function lookForSmaller() {
  const { min_face_px: before } = page.shown.answer.image;
  await again({ min_face: Math.max(LEAST_FACE_PX, Math.floor(before / 2)) });
  const least = Number(/min_face: expected at least (\d+)/i.exec(part("error").textContent)?.[1]);
  if (least < before) await again({ min_face: least });
  else if (least) complain({ error: new Error("this service looks for no smaller faces in a photo of this size; analyze it on this device") });
}

async function decode(blob) {
  try {
    return await createImageBitmap(blob);
  } catch {
    throw new Error("this browser cannot show pictures of this format; convert it to JPEG or PNG");
  }
}

/** Say what the shown photo holds; `still` says that it is an older one. */
function sayResult(still = false, before = "") {
  const { shown: now } = page;
  say(now ? `${before}${still ? `Still shown: ${now.name}. ` : ""}${summary(now.answer)}` : before);
  part("smaller").hidden = !now?.blob || now.answer.faces.length > 0 || now.answer.image.min_face_px <= LEAST_FACE_PX;
}

/** Show a photo with its faces; `keep` keeps the part that is looked at. */
async function show(photo, keep = false) {
  const { blob, name, answer } = photo;
  const turn = ++page.turn;
  const [picture, shared] = await Promise.all([photo.picture ?? decode(blob), topology()]);
  photo.picture = null; // it is the page's now
  if (turn !== page.turn) return picture.close(); // another was chosen meanwhile
  page.shown?.picture.close();
  page.shown = { blob, name, picture, answer, topology: shared, selected: 0 };
  reveal();
  view.set(page.shown, keep);
  showFaces(part("faces"), answer.faces, picture, select);
  part("photo").setAttribute("aria-label", `The photo with ${answer.faces.length} faces found`);
  await showFace();
}

/** Free the pixels of a photo that is not shown; it is decoded again when it is. */
function free(photo) {
  photo.picture.close();
  photo.picture = null;
}

/** Show the parts of the page that the shown photo needs. */
function reveal() {
  const none = page.shown.answer.faces.length === 0;
  part("main").classList.remove("empty");
  part("drop").hidden = true;
  part("photo").hidden = part("tools").hidden = part("photo-keys").hidden = part("under").hidden = false;
  part("head").hidden = part("motion").hidden = part("close").hidden = none;
  part("found").hidden = page.shown.answer.faces.length < 2;
  offerFormat();
}

function listPhotos() {
  part("photos").hidden = page.photos.length < 2;
  const index = page.photos.findIndex(({ blob }) => blob === page.shown?.blob);
  showPhotos(part("photos"), page.photos, index, async (chosen) => {
    await show(page.photos[chosen]);
    if (!page.job || part("cancel").hidden) sayResult();
  });
}

async function select(index) {
  page.shown.selected = index;
  view.set(page.shown, true);
  await showFace();
}

/** Show numbers and 3D of the selected face. */
function showFace() {
  showNumbers();
  return showHead();
}

function showNumbers() {
  const face = page.shown.answer.faces[page.shown.selected];
  if (!face) return;
  showAngles(part("angles"), face);
  showFacts(part("facts"), face);
  showGaze(part("gaze"), part("gaze-note"), face);
  showBars();
}

function showBars() {
  const face = page.shown?.answer.faces[page.shown.selected];
  if (face) showExpression(part("expression"), part("expression-note"), face, isPressed("all"));
}

/** Show the 3D view; three.js is loaded with the first face. */
async function showHead() {
  const { picture, answer, selected, topology: shared } = page.shown;
  const face = answer.faces[selected];
  if (!face) return;
  try {
    const { HeadView } = await import("./head3d.js");
    page.head ??= new HeadView(part("head-canvas"));
  } catch (error) {
    part("head-keys").textContent = `This browser shows no 3D (${error.message}).`;
    return;
  }
  if (page.shown.picture !== picture) return; // the next frame is there
  page.head.setFace(face, picture, shared);
  updateHead();
}

function updateHead() {
  page.head?.setShown({ ...layers(), skin: isPressed("skin") });
}

/** Open the camera: followed in this browser, or shown only, to take a photo for the service. */
async function openCamera() {
  leave();
  const opened = await work(async () => {
    say("Waiting for the camera: answer the browser's question.");
    await live.openCamera(isHere());
    return live.isOn;
  });
  if (!opened) return;
  showShutter("camera.jpg", isHere() ? "Live: every frame stays on this device." : "Take a photo. With “on this device”, faces are followed live.");
  if (isHere()) await live.follow(settings());
}

/** Follow the faces of a video file, in this browser in any case. */
async function openVideo(file) {
  const opened = await work(async () => {
    say("Opening the video…");
    try {
      await live.openFile(file);
    } catch (error) {
      sayResult(true);
      complain({ error, file: file.name });
    }
    return live.isOn;
  });
  if (!opened) return;
  showShutter(file.name, `${file.name} is followed on this device, and sent nowhere.`, true);
  await live.follow(settings());
}

/** Show the buttons of a camera or of a video file. */
function showShutter(name, note, file = false) {
  Object.assign(page, { liveName: name, liveNote: note });
  page.turn++; // a photo that is being opened is not shown
  say(note);
  part("video").hidden = false; // until the first frame is followed
  part("video").classList.toggle("mirror", !file);
  part("picture").classList.add("preview");
  part("drop").hidden = true;
  part("sources").classList.add("live");
  part("shutter").hidden = false;
  part("pause").hidden = !file;
  part("pause").setAttribute("aria-pressed", "false");
  part("smaller").hidden = true;
  part("photos").hidden = true;
  part("snap").focus();
}

/** Show one frame of a camera or video: the picture at once, numbers and 3D a few times a second. */
async function showFrame({ picture, answer: { ids, ...answer }, perSecond }) {
  const shared = page.shown?.topology ?? (await topology());
  if (!live.isOn) return picture.close();
  const { shown: last } = page;
  const selected = Math.max(0, ids.indexOf(last?.ids?.[last.selected]));
  last?.picture.close();
  page.shown = { blob: null, name: page.liveName, picture, answer, topology: shared, selected, ids };
  if (!last?.ids) {
    part("video").hidden = true;
    part("picture").classList.remove("preview");
  }
  if (last?.ids?.join() !== ids.join()) {
    reveal();
    showFaces(part("faces"), answer.faces, picture, select, selected);
  }
  view.set(page.shown, last?.ids !== undefined);
  part("photo").dispatchEvent(new CustomEvent("frame", { detail: answer }));
  if (areNumbersDue(PANEL_MS)) {
    part("rate").hidden = false;
    part("rate").textContent = `${perSecond.toFixed(0)} frames a second`;
    showNumbers();
  }
  return isHeadDue(page.head?.isSlow ? SLOW_HEAD_MS : PANEL_MS) && showHead();
}

function pauseOrPlay() {
  part("pause").setAttribute("aria-pressed", String(!isPressed("pause")));
  live.pause(isPressed("pause"));
}

function cancel() {
  leave();
  page.job?.abort();
}

/** Close camera or video; the last frame stays. */
function leave() {
  const wasShown = !part("shutter").hidden;
  live.stop();
  part("picture").classList.remove("preview");
  part("sources").classList.remove("live");
  part("video").hidden = part("shutter").hidden = part("rate").hidden = true;
  if (!wasShown) return;
  if (page.shown) {
    if (!page.shown.blob) keepFrame();
    view.draw(); // as a photo is drawn, and with its own numbers and head
    showFace();
    listPhotos();
    sayResult();
  } else {
    part("drop").hidden = false;
    say("");
  }
  part("camera").focus();
}

/** Keep the last frame as a photo: it can then be analyzed again. */
function keepFrame() {
  const { shown: last } = page;
  const canvas = Object.assign(document.createElement("canvas"), { width: last.picture.width, height: last.picture.height });
  canvas.getContext("2d").drawImage(last.picture, 0, 0);
  canvas.toBlob((blob) => { last.blob = blob; }, "image/png");
  delete last.ids;
  page.photos = [];
}

/** Say what the chosen format is; formats of one face need one. */
function offerFormat() {
  const { note, all } = FORMATS[format()];
  const lacking = !all && !page.shown?.answer.faces.length;
  part("format-note").textContent = note;
  part("download").disabled = lacking;
  part("copy").disabled = lacking || !isCopied(format());
}

async function download() {
  const { ending, make } = FORMATS[format()];
  const stem = page.shown.name.replace(/\.[^.]*$/, "") || "photo";
  save(await make(page.shown, layers()), stem + ending);
}

async function copyFile() {
  await copy(FORMATS[format()].make(page.shown, layers()));
  say(`${FORMATS[format()].label} was copied.`);
}

/** Do something at a click; errors are shown. */
function onClick(id, action) {
  part(id).addEventListener("click", async () => {
    try {
      await action();
    } catch (error) {
      complain({ error });
    }
  });
}

function wire() {
  listen(take, (error) => complain({ error }));
  const redraw = () => {
    view.draw();
    updateHead();
  };
  wireChoices({ onLayers: redraw, onSettings: () => again(), onHere: () => again(), onFormat: offerFormat });
  press("skin", updateHead);
  press("all", showBars);
  const acts = {
    camera: openCamera, leave, smaller: lookForSmaller, home: () => page.head?.reset(), download, copy: copyFile,
    snap: async () => take([await live.photo()]), pause: pauseOrPlay, cancel,
    "zoom-in": () => view.zoom(1.5), "zoom-out": () => view.zoom(1 / 1.5), whole: () => view.fit(), close: () => view.closeUp(),
  };
  for (const [id, act] of Object.entries(acts)) onClick(id, act);
  new ResizeObserver(() => view.draw()).observe(part("picture"));
  navigator.serviceWorker?.register("sw.js").catch(() => {}); // the page works without
}

wire();

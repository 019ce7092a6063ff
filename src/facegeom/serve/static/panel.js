/** The panel beside the photo: summary, angles, facts, gaze, expression, list of faces. */

const ANGLES = [
  ["yaw_deg", "Yaw", "to the right", "to the left"],
  ["pitch_deg", "Pitch", "lifted", "lowered"],
  ["roll_deg", "Roll", "clockwise", "counter-clockwise"],
];
const LOOKS = [
  ["yaw_deg", "Yaw", "to the right", "to the left"],
  ["pitch_deg", "Pitch", "up", "down"],
];
const LEAST_SHOWN = 0.1; // coefficients below it, and above it
const MOST_SHOWN = 10; // of them, are shown on demand only
const FOV_SOURCES = { given: "as set", exif: "from the photo", assumed: "assumed" };
const THUMBNAIL = 112; // pixels

/** Return a sentence on the faces found. */
export function summary({ faces, image }) {
  const where = `in ${image.width} × ${image.height} pixels`;
  const limit = `Faces below ${Math.round(image.min_face_px)} pixels were not looked for.`;
  if (!faces.length) return `No face found ${where}. ${limit} A lower minimum score may help.`;
  const count = faces.length === 1 ? "One face" : `${faces.length} faces`;
  const turn = image.turned_deg ? ` The photo was turned by ${image.turned_deg}° for that.` : "";
  return `${count} found ${where}.${turn}`;
}

/** Show the three angles of the head as seen, each as a number and in words. */
export function showAngles(list, { pose }) {
  showReadings(list, pose, ANGLES);
}

function showReadings(list, angles, names) {
  fill(list, names.map(([key, name, positive, negative]) => {
    const degrees = angles[key];
    const words = Math.abs(degrees) < 0.5 ? "straight" : degrees > 0 ? positive : negative;
    return { name, parts: [signed(degrees), words] };
  }));
}

/** Fill a list of terms; rows that are there are kept, so that a live view costs little. */
function fill(list, rows) {
  while (list.children.length > rows.length) list.lastChild.remove();
  rows.forEach(({ name, title = "", parts }, index) => {
    const row = list.children[index] ?? list.appendChild(make("div", {}, make("dt"), ...parts.map(() => make("dd"))));
    row.title = title;
    [name, ...parts].forEach((text, cell) => {
      if (row.children[cell].textContent !== text) row.children[cell].textContent = text;
    });
  });
}

function signed(degrees) {
  return `${degrees < 0 ? "−" : "+"}${Math.abs(degrees).toFixed(1)}°`;
}

/** Show score, mean confidence, distance, and the angle of view on which the distance depends. */
export function showFacts(list, face) {
  const { camera } = face.pose;
  const distance = Math.hypot(...camera.translation_mm) / 1000;
  const points = face.confidence.ibug68;
  const facts = {
    Score: face.score.toFixed(3),
    "Confidence of the points": (points.reduce((sum, value) => sum + value, 0) / points.length).toFixed(2),
    "Distance, for a head of average size": `${distance.toFixed(2)} m`,
    "Angle of view": `${Number(camera.fov_deg.toFixed(1))}°, ${FOV_SOURCES[camera.fov_source]}`,
  };
  fill(list, Object.entries(facts).map(([name, value]) => ({ name, parts: [value] })));
}

/** Show where both eyes together look as seen, and how sure that is. */
export function showGaze(list, note, { gaze }) {
  showReadings(list, gaze, LOOKS);
  const [right, left] = gaze.confidence.map((value) => value.toFixed(2));
  note.textContent = `0°: a look into the lens. Confidence: right eye ${right}, left eye ${left}.`;
}

/** Show the coefficients of the expression as bars, the largest first: the largest few or all that are measured. */
export function showExpression(list, note, { expression }, all) {
  const measured = Object.entries(expression).filter(([name]) => name !== "tongueOut");
  const sorted = measured.sort(([, one], [, other]) => other - one);
  const shown = all ? sorted : sorted.filter(([, value]) => value >= LEAST_SHOWN).slice(0, MOST_SHOWN);
  fill(list, shown.map(([name, value]) => ({ name: readable(name), title: name, parts: ["", value.toFixed(2)] })));
  shown.forEach(([, value], index) => {
    const bar = list.children[index].children[1];
    bar.className = "bar";
    bar.ariaHidden = "true";
    bar.style.setProperty("--value", value);
  });
  const rest = shown.length ? "" : `At rest: no coefficient reaches ${LEAST_SHOWN}. `;
  note.textContent = `${rest}Left and right are the person's own.`;
}

/** Return "Eye blink left" for "eyeBlinkLeft". */
function readable(name) {
  const words = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return words[0].toUpperCase() + words.slice(1);
}

/** Show a thumbnail of each face, to select one. */
export function showFaces(group, faces, picture, select, selected = 0) {
  showChoices(group, "face", selected, select, faces.map((face, index) => {
    const [left, top, right, bottom] = face.box_xyxy;
    const side = Math.max(right - left, bottom - top) * 1.15;
    const corner = [(left + right - side + 1) / 2, (top + bottom - side + 1) / 2];
    return { label: `Face ${index + 1}, score ${face.score.toFixed(2)}`, thumbnail: thumbnail(picture, ...corner, side), text: index + 1 };
  }));
}

/** Show a thumbnail of each photo, to select one. */
export function showPhotos(group, photos, selected, select) {
  showChoices(group, "photo", selected, select, photos.map(({ name, answer, thumbnail: small }) => {
    const count = answer.faces.length;
    return { label: `${name}, ${count} ${count === 1 ? "face" : "faces"}`, thumbnail: small, text: count };
  }));
}

function showChoices(group, name, selected, select, choices) {
  const focused = [...group.children].findIndex((each) => each.contains(document.activeElement));
  group.replaceChildren(...choices.map(({ label, thumbnail: small, text }, index) => {
    const input = make("input", { type: "radio", name, value: index, checked: index === selected, title: label });
    input.setAttribute("aria-label", label);
    input.addEventListener("change", () => select(index));
    return make("label", {}, input, small, make("span", { textContent: text }));
  }));
  group.children[focused]?.querySelector("input").focus(); // a keyboard stays where it was
}

/** Draw a square part of a picture, by default the middle of it, small. */
export function thumbnail(picture, left, top, side) {
  const whole = Math.min(picture.width, picture.height);
  const part = side ? [left, top, side, side] : [(picture.width - whole) / 2, (picture.height - whole) / 2, whole, whole];
  const canvas = make("canvas", { width: THUMBNAIL, height: THUMBNAIL });
  canvas.getContext("2d").drawImage(picture, ...part, 0, 0, THUMBNAIL, THUMBNAIL);
  return canvas;
}

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** The panel beside the photo: summary, angles, facts, gaze, expression, list of faces. */

const ANGLES = [
  ["yaw_deg", "Yaw", "to the picture's right", "to the picture's left"],
  ["pitch_deg", "Pitch", "lifted", "lowered"],
  ["roll_deg", "Roll", "clockwise", "counter-clockwise"],
];
const LOOKS = [
  ["yaw_deg", "Yaw", "to the picture's right", "to the picture's left"],
  ["pitch_deg", "Pitch", "up", "down"],
];
const LEAST_SHOWN = 0.1; // coefficients below it, and above it
const MOST_SHOWN = 10; // of them, are shown on demand only
const FOV_SOURCES = { given: "as set", exif: "from the photo", assumed: "assumed" };
const DIAL_DEG = 90; // from the centre of a dial to its end
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

/** Show the three angles of the head as seen, each with a dial. */
export function showAngles(list, { pose }) {
  showDials(list, pose, ANGLES);
}

function showDials(list, angles, names) {
  const rows = names.map(([key, name, positive, negative]) => {
    const degrees = angles[key];
    const dial = make("dd", { className: "dial" }, make("i"));
    const fraction = Math.max(-1, Math.min(1, degrees / DIAL_DEG));
    dial.firstChild.style.left = `${50 + 50 * fraction}%`;
    dial.title = Math.abs(degrees) < 0.5 ? "straight" : degrees > 0 ? positive : negative;
    return make("div", {}, make("dt", { textContent: name }), dial, make("dd", { textContent: signed(degrees) }));
  });
  list.replaceChildren(...rows);
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
  list.replaceChildren(
    ...Object.entries(facts).map(([name, value]) =>
      make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: value }))),
  );
}

/** Show where both eyes together look as seen, and how sure that is. */
export function showGaze(list, note, { gaze }) {
  showDials(list, gaze, LOOKS);
  const [right, left] = gaze.confidence.map((value) => value.toFixed(2));
  note.textContent = `Yaw and pitch are 0 for a look into the lens. Confidence: right eye ${right}, left eye ${left}.`;
}

/** Show the coefficients of the expression as bars, the largest first: the largest few or all that are measured. */
export function showExpression(list, note, { expression }, all) {
  const measured = Object.entries(expression).filter(([name]) => name !== "tongueOut");
  const sorted = measured.sort(([, one], [, other]) => other - one);
  const shown = all ? sorted : sorted.filter(([, value]) => value >= LEAST_SHOWN).slice(0, MOST_SHOWN);
  const rows = shown.map(([name, value]) => {
    const bar = make("dd", { className: "bar", ariaHidden: "true" }, make("i"));
    bar.firstChild.style.width = `${100 * value}%`;
    return make("div", { title: name }, make("dt", { textContent: readable(name) }), bar, make("dd", { textContent: value.toFixed(2) }));
  });
  list.replaceChildren(...rows);
  const rest = shown.length ? "" : `At rest: no coefficient reaches ${LEAST_SHOWN}. `;
  note.textContent = `${rest}Left and right are the person's own.`;
}

/** Return "Eye blink left" for "eyeBlinkLeft". */
function readable(name) {
  const words = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return words[0].toUpperCase() + words.slice(1);
}

/** Show a thumbnail of each face, to select one. */
export function showFaces(group, faces, picture, select) {
  const choices = faces.map((face, index) => {
    const input = make("input", { type: "radio", name: "face", value: index, checked: index === 0 });
    input.setAttribute("aria-label", `Face ${index + 1}, score ${face.score.toFixed(2)}`);
    input.addEventListener("change", () => select(index));
    return make("label", {}, input, thumbnail(face, picture), make("span", { textContent: index + 1 }));
  });
  group.replaceChildren(...choices);
}

function thumbnail(face, picture) {
  const [left, top, right, bottom] = face.box_xyxy;
  const side = Math.max(right - left, bottom - top) * 1.15;
  const canvas = make("canvas", { width: THUMBNAIL, height: THUMBNAIL });
  const corner = [(left + right - side + 1) / 2, (top + bottom - side + 1) / 2];
  canvas.getContext("2d").drawImage(picture, ...corner, side, side, 0, 0, THUMBNAIL, THUMBNAIL);
  return canvas;
}

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

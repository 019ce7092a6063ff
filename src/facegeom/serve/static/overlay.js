/** Drawing of faces over their photo, at any scale. */

import { AXES, BOX, GAZE, SHADE, colour } from "./colours.js";

const SHADES_OF_MESH = 10; // lines of similar confidence are stroked together
export const OUTLINES = ["oval", "brow_right", "brow_left", "eye_right", "eye_left", "lips_outer", "lips_inner"];
const IRISES = ["iris_right", "iris_left"]; // the centre, then four points of the rim
const NOSE = [[27, 28, 29, 30], [31, 32, 33, 34, 35]]; // of the 68 points: the mesh has no outline of it

/** Smallest size of a face on the screen, CSS pixels, at which a layer is drawn: below, layers hide the face. */
const LEAST = { contours: 24, axes: 48, gaze: 48, points: 80, mesh: 110 };

/**
 * Draw a part of a photo with its faces: all layers on the selected face, box and contours on the others.
 *
 * @param {HTMLCanvasElement} canvas is filled with the part.
 * @param {CanvasImageSource} picture the photo.
 * @param {object[]} faces of the published schema.
 * @param {{selected: number, show: object, part: object, topology: object, density?: number, smoothing?: string}} how
 *   part: left, top, width, height in the photo; show: flags box, contours, points, mesh, axes, gaze; density: pixels of
 *   the canvas for one of the screen.
 */
export function drawPhoto(canvas, picture, faces, { selected, show, part, topology, density = 1, smoothing = "high" }) {
  const pen = canvas.getContext("2d");
  const scale = canvas.width / part.width;
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.imageSmoothingQuality = smoothing;
  pen.imageSmoothingEnabled = scale < 4; // beyond that, pixels are what one wants to see
  pen.drawImage(picture, part.left, part.top, part.width, part.height, 0, 0, canvas.width, canvas.height);
  pen.lineJoin = pen.lineCap = "round";
  const place = ([x, y]) => [(x + 0.5 - part.left) * scale, (y + 0.5 - part.top) * scale];
  faces.forEach((face, index) => {
    const chosen = index === selected;
    const size = sizeOf(face);
    const onScreen = (size * scale) / density;
    const unit = Math.min(Math.max(onScreen / 320, 0.45), 1.6) * density;
    const sheet = { pen, place, unit, size };
    const drawn = (layer, only) => show[layer] && (chosen || !only) && onScreen >= (LEAST[layer] ?? 0);
    pen.globalAlpha = chosen ? 1 : 0.7;
    if (drawn("mesh", true)) drawMesh(sheet, face, topology.triangles);
    if (drawn("contours")) drawContours(sheet, face, topology.mesh478.regions);
    if (show.box) drawBox(sheet, face, faces.length > 1 ? `${index + 1}` : face.score.toFixed(2), density);
    if (drawn("points", true)) drawPoints(sheet, face);
    if (drawn("axes", true)) drawAxes(sheet, face);
    if (drawn("gaze", true)) drawGaze(sheet, face, topology.mesh478.regions);
  });
  pen.globalAlpha = 1;
}

/** Return the whole photo as a part. */
export function whole({ width, height }) {
  return { left: 0, top: 0, width, height };
}

/** Return the larger side of a face's mesh, pixels of the photo. */
export function sizeOf({ mesh_px: mesh }) {
  const [low, high] = [[Infinity, Infinity], [-Infinity, -Infinity]];
  for (const point of mesh) {
    for (const axis of [0, 1]) {
      if (point[axis] < low[axis]) low[axis] = point[axis];
      if (point[axis] > high[axis]) high[axis] = point[axis];
    }
  }
  return Math.max(high[0] - low[0], high[1] - low[1]);
}

function stroke({ pen, place }, ends, style, width, closed = false) {
  pen.beginPath();
  for (const end of ends) pen.lineTo(...place(end));
  if (closed) pen.closePath();
  pen.strokeStyle = style;
  pen.lineWidth = width;
  pen.stroke();
}

function dot({ pen, place }, centre, style, radius) {
  pen.beginPath();
  pen.arc(...place(centre), radius, 0, 2 * Math.PI);
  pen.fillStyle = style;
  pen.fill();
}

/** Draw the outlines of face, brows, eyes, irises, nose and lips, each in the colour of its mean confidence. */
function drawContours(sheet, { mesh_px: mesh, landmarks, confidence }, regions) {
  const { pen, place, unit } = sheet;
  const draw = (points, confidences, closed) => {
    const style = colour(mean(confidences));
    stroke(sheet, points, SHADE, 2.6 * unit, closed);
    stroke(sheet, points, style, 1.4 * unit, closed);
  };
  const of = (values, indices) => indices.map((index) => values[index]);
  for (const name of OUTLINES) draw(of(mesh, regions[name]), of(confidence.mesh478, regions[name]), true);
  for (const indices of NOSE) draw(of(landmarks.ibug68, indices), of(confidence.ibug68, indices), false);
  for (const name of IRISES) {
    const [centre, ...rim] = of(mesh, regions[name]).map(place);
    const radius = mean(rim.map(([x, y]) => Math.hypot(x - centre[0], y - centre[1])));
    pen.beginPath();
    pen.arc(...centre, radius, 0, 2 * Math.PI);
    pen.strokeStyle = colour(mean(of(confidence.mesh478, regions[name])));
    pen.lineWidth = 1.1 * unit;
    pen.stroke();
  }
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Draw the front-facing triangles: they run counter-clockwise in the image. */
function drawMesh({ pen, place, unit }, face, triangles) {
  const paths = Array.from({ length: SHADES_OF_MESH + 1 }, () => new Path2D());
  for (const triangle of triangles) {
    const [a, b, c] = triangle.map((index) => face.mesh_px[index]);
    if ((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) >= 0) continue;
    const confidence = mean(triangle.map((index) => face.confidence.mesh478[index]));
    const path = paths[Math.round(confidence * SHADES_OF_MESH)];
    path.moveTo(...place(a));
    path.lineTo(...place(b));
    path.lineTo(...place(c));
    path.closePath();
  }
  pen.lineWidth = 0.9 * unit;
  paths.forEach((path, shade) => {
    pen.strokeStyle = colour(shade / SHADES_OF_MESH, 0.5);
    pen.stroke(path);
  });
}

function drawPoints(sheet, face) {
  face.landmarks.ibug68.forEach((point, index) => {
    dot(sheet, point, SHADE, 4.4 * sheet.unit);
    dot(sheet, point, colour(face.confidence.ibug68[index]), 3.4 * sheet.unit);
  });
}

function drawBox(sheet, face, text, density) {
  const [left, top, right, bottom] = face.box_xyxy;
  const corners = [[left, top], [right, top], [right, bottom], [left, bottom]];
  stroke(sheet, corners, SHADE, 3 * sheet.unit, true);
  stroke(sheet, corners, BOX, 1.5 * sheet.unit, true);
  label(sheet, text, [left, top], 11 * Math.max(density, sheet.unit));
}

/** Draw a line of text on a dark background above a point. */
function label({ pen, place }, text, corner, size) {
  const [x, y] = place(corner);
  pen.font = `600 ${size}px system-ui, sans-serif`;
  pen.textBaseline = "middle";
  const width = pen.measureText(text).width + size * 0.7;
  const top = Math.max(0, y - size * 1.6);
  pen.fillStyle = SHADE;
  pen.beginPath();
  pen.roundRect(x, top, width, size * 1.4, size * 0.3);
  pen.fill();
  pen.fillStyle = BOX;
  pen.fillText(text, x + size * 0.35, top + size * 0.75);
}

/** Draw the head's x, y and -z (along the nose) from midway between the eyes, the farthest first. */
function drawAxes(sheet, face) {
  const origin = middleOfEyes(face.landmarks.ibug68);
  const reach = 0.5 * sheet.size;
  const axes = [1, 1, -1].map((sign, axis) => face.pose.rotation.map((row) => row[axis] * sign));
  const order = [0, 1, 2].sort((one, other) => axes[other][2] - axes[one][2]);
  for (const axis of order) {
    const tip = [origin[0] + axes[axis][0] * reach, origin[1] + axes[axis][1] * reach];
    stroke(sheet, [origin, tip], SHADE, 5 * sheet.unit);
    stroke(sheet, [origin, tip], AXES[axis], 3 * sheet.unit);
    dot(sheet, tip, AXES[axis], 3.5 * sheet.unit);
  }
}

/** Draw a line from each iris to where it looks, the fainter the less sure. */
function drawGaze(sheet, face, { iris_right: right, iris_left: left }) {
  const { pen, unit } = sheet;
  const [alpha, reach] = [pen.globalAlpha, 0.4 * sheet.size];
  [right[0], left[0]].forEach((index, eye) => {
    const start = face.mesh_px[index];
    const look = face.gaze.eyes[eye];
    const [x, y] = face.pose.rotation.map((row) => row[0] * look[0] + row[1] * look[1] + row[2] * look[2]);
    const tip = [start[0] + x * reach, start[1] + y * reach];
    pen.globalAlpha = alpha * face.gaze.confidence[eye];
    stroke(sheet, [start, tip], SHADE, 4 * unit);
    stroke(sheet, [start, tip], GAZE, 2.5 * unit);
    dot(sheet, tip, GAZE, 3.5 * unit);
  });
  pen.globalAlpha = alpha;
}

/** Return the mean of the right eye's points (36 to 41) and the left eye's (42 to 47). */
function middleOfEyes(points) {
  const eyes = points.slice(36, 48);
  return [0, 1].map((axis) => mean(eyes.map((point) => point[axis])));
}

/** Drawing of faces over their photo, at any scale. */

import { AXES, BOX, GAZE, SHADE, colour } from "./colours.js";

const SHADES_OF_MESH = 10; // lines of similar confidence are stroked together

/**
 * Draw a part of a photo with its faces.
 *
 * @param {HTMLCanvasElement} canvas is resized to the scaled part.
 * @param {ImageBitmap} picture the photo.
 * @param {object[]} faces of the published schema.
 * @param {{selected: number, show: object, scale: number, part: object, triangles: number[][], irises: number[]}} how
 *   scale: canvas pixels per photo pixel; part: left, top, width, height in the photo; show: flags box, points, mesh,
 *   axes, gaze; irises: indices of their centres, right and left.
 */
export function drawPhoto(canvas, picture, faces, { selected, show, scale, part, triangles, irises }) {
  canvas.width = Math.round(part.width * scale);
  canvas.height = Math.round(part.height * scale);
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(picture, part.left, part.top, part.width, part.height, 0, 0, canvas.width, canvas.height);
  pen.lineJoin = pen.lineCap = "round";
  const place = ([x, y]) => [(x + 0.5 - part.left) * scale, (y + 0.5 - part.top) * scale];
  faces.forEach((face, index) => {
    pen.globalAlpha = index === selected || faces.length === 1 ? 1 : 0.6;
    const sheet = { pen, place, unit: unitOf(face) * scale };
    if (show.mesh) drawMesh(sheet, face, triangles);
    if (show.box) drawBox(sheet, face, index, faces.length);
    if (show.points) drawPoints(sheet, face);
    if (show.axes) drawAxes(sheet, face);
    if (show.gaze) drawGaze(sheet, face, irises);
  });
}

/** Return the whole photo as a part. */
export function whole(picture) {
  return { left: 0, top: 0, width: picture.width, height: picture.height };
}

/** Return the part of a photo around a face, whole pixels. */
export function closeUp(picture, { box_xyxy: [left, top, right, bottom] }) {
  const margin = 0.35 * Math.max(right - left, bottom - top);
  const clamp = (value, size) => Math.min(size, Math.max(0, Math.round(value)));
  const [x, y] = [clamp(left - margin, picture.width - 1), clamp(top - margin, picture.height - 1)];
  const width = Math.max(1, clamp(right + margin, picture.width) - x);
  return { left: x, top: y, width, height: Math.max(1, clamp(bottom + margin, picture.height) - y) };
}

/** Return the width of a thin line for a face, pixels of the photo. */
function unitOf(face) {
  return Math.max(0.5, sizeOf(face) / 320);
}

function sizeOf(face) {
  const extent = (axis) => {
    const values = face.mesh_px.map((point) => point[axis]);
    return Math.max(...values) - Math.min(...values);
  };
  return Math.max(extent(0), extent(1));
}

function stroke({ pen, place }, ends, style, width) {
  pen.beginPath();
  ends.forEach((end) => pen.lineTo(...place(end)));
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

/** Draw the front-facing triangles: they run counter-clockwise in the image. */
function drawMesh({ pen, place, unit }, face, triangles) {
  const paths = Array.from({ length: SHADES_OF_MESH + 1 }, () => new Path2D());
  for (const triangle of triangles) {
    const [a, b, c] = triangle.map((index) => face.mesh_px[index]);
    if ((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) >= 0) continue;
    const confidence = triangle.reduce((sum, index) => sum + face.confidence.mesh478[index], 0) / 3;
    const path = paths[Math.round(confidence * SHADES_OF_MESH)];
    path.moveTo(...place(a));
    path.lineTo(...place(b));
    path.lineTo(...place(c));
    path.closePath();
  }
  pen.lineWidth = Math.max(0.5, 0.6 * unit);
  paths.forEach((path, shade) => {
    pen.strokeStyle = colour(shade / SHADES_OF_MESH, 0.5);
    pen.stroke(path);
  });
}

function drawPoints(sheet, face) {
  face.landmarks.ibug68.forEach((point, index) => {
    dot(sheet, point, SHADE, Math.max(2, 2.3 * sheet.unit));
    dot(sheet, point, colour(face.confidence.ibug68[index]), Math.max(1.5, 1.7 * sheet.unit));
  });
}

function drawBox(sheet, face, index, count) {
  const [left, top, right, bottom] = face.box_xyxy;
  const corners = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top], [right, top]];
  stroke(sheet, corners, SHADE, 3 * sheet.unit);
  stroke(sheet, corners, BOX, 1.5 * sheet.unit);
  label(sheet, count > 1 ? `${index + 1}` : face.score.toFixed(2), [left, top]);
}

/** Draw a line of text on a dark background above a point. */
function label({ pen, place, unit }, text, corner) {
  const size = Math.max(12, 11 * unit);
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
  const reach = 0.5 * sizeOf(face);
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
function drawGaze(sheet, face, irises) {
  const { pen, unit } = sheet;
  const [alpha, reach] = [pen.globalAlpha, 0.4 * sizeOf(face)];
  irises.forEach((index, eye) => {
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
  return [0, 1].map((axis) => eyes.reduce((sum, point) => sum + point[axis], 0) / eyes.length);
}

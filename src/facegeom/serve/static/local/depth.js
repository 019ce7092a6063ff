/** Depth maps of faces from their mesh. Mirrors `facegeom.depth.mesh_depth` and `facegeom.export.depth_png`. */

import { rint } from "./numbers.js";
import { procrustes } from "./rotation.js";

const EDGE = -1e-6; // pixels on a common edge belong to both triangles
const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/**
 * Return the depth map of a face: a square around the mesh, the head upright, every pixel as many millimetres.
 *
 * @param {object} face of the published schema
 * @param {object} settings the part "depth" of /model.json
 * @param {number[][]} canonicalMm the canonical head
 * @returns {{z: Float32Array, size: number, imageFromDepth: number[][]}} z in the camera frame, mm; 0 where no face is
 */
export function meshDepth({ mesh_px: meshPx, mesh_mm: meshMm }, settings, canonicalMm) {
  const { size_px: size, triangles, lips } = settings;
  const imageFromDepth = depthSquare(meshPx, settings, canonicalMm);
  const [[a, b, x], [c, d, y]] = imageFromDepth;
  const area = a * d - b * c;
  const points = [...meshPx, middle(meshPx, lips)].map((point) => {
    const [across, down] = [point[0] - x, point[1] - y];
    return [(d * across - b * down) / area, (a * down - c * across) / area];
  });
  const near = [...meshMm, middle(meshMm, lips)].map((point) => 1 / point[2]);
  const buffer = new Float64Array(size * size);
  for (const corners of triangles) rasterise(buffer, size, corners.map((index) => points[index]), corners.map((index) => near[index]));
  return { z: Float32Array.from(buffer, (value) => (value > 0 ? 1 / value : 0)), size, imageFromDepth };
}

/** Return the map (2, 3) from pixels of the depth map to pixels of the photo. */
function depthSquare(meshPx, { size_px: size, side_mm: side }, canonicalMm) {
  const { rotation, scale } = procrustes(canonicalMm, meshPx);
  const length = Math.max(Math.hypot(rotation[0][1], rotation[1][1]), 1e-9);
  const down = [rotation[0][1] / length, rotation[1][1] / length];
  const right = [down[1], -down[0]];
  const along = (axis) => meshPx.map((point) => point[0] * axis[0] + point[1] * axis[1]);
  const [u, v] = [right, down].map((axis) => (Math.min(...along(axis)) + Math.max(...along(axis))) / 2);
  const step = (scale * side) / size;
  const half = (size - 1) / 2;
  return [0, 1].map((axis) => {
    const columns = [step * right[axis], step * down[axis]];
    return [...columns, right[axis] * u + down[axis] * v - half * (columns[0] + columns[1])];
  });
}

function middle(points, indices) {
  return [0, 1, 2].map((axis) => indices.reduce((sum, index) => sum + points[index][axis], 0) / indices.length);
}

/** Raise the inverse depth of the pixels that a triangle covers. */
function rasterise(buffer, size, [[ax, ay], [bx, by], [cx, cy]], [na, nb, nc]) {
  const [ux, uy, vx, vy] = [bx - ax, by - ay, cx - ax, cy - ay];
  const area = ux * vy - uy * vx;
  if (Math.abs(area) <= 1e-9) return;
  const last = (...values) => Math.min(Math.floor(Math.max(...values)), size - 1);
  const first = (...values) => Math.max(Math.ceil(Math.min(...values)), 0);
  const [left, right] = [first(ax, bx, cx), last(ax, bx, cx)];
  for (let y = first(ay, by, cy); y <= last(ay, by, cy); y++) {
    for (let x = left; x <= right; x++) {
      const [dx, dy] = [x - ax, y - ay];
      const ofB = (dx * vy - dy * vx) / area;
      const ofC = (ux * dy - uy * dx) / area;
      const ofA = 1 - ofB - ofC;
      if (Math.min(ofA, ofB, ofC) < EDGE) continue;
      const value = ofA * na + ofB * nb + ofC * nc;
      if (value > buffer[y * size + x]) buffer[y * size + x] = value;
    }
  }
}

/**
 * Encode a depth map as 16-bit grey PNG: z is value * unit + offset millimetres, 0 where no face is.
 *
 * @returns {Promise<{png: Blob, offsetMm: number}>}
 */
export async function depthPng({ z, size }, unitMm) {
  const offsetMm = Math.floor(z.reduce((least, value) => (value > 0 && value < least ? value : least), Infinity)) - 1;
  const rows = new DataView(new ArrayBuffer(size * (2 * size + 1))); // each begins with its filter, 0
  z.forEach((value, index) => {
    if (value <= 0) return;
    const step = Math.min(Math.max(rint((value - offsetMm) / unitMm), 1), 65535);
    rows.setUint16(Math.floor(index / size) * (2 * size + 1) + 1 + 2 * (index % size), step);
  });
  const packed = new Response(new Blob([rows.buffer]).stream().pipeThrough(new CompressionStream("deflate")));
  const head = new DataView(new ArrayBuffer(13)); // width, height, 16 bits, grey
  head.setUint32(0, size);
  head.setUint32(4, size);
  head.setUint8(8, 16);
  const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10);
  const chunks = [chunk("IHDR", head.buffer), chunk("IDAT", await packed.arrayBuffer()), chunk("IEND", new ArrayBuffer(0))];
  return { png: new Blob([signature, ...chunks], { type: "image/png" }), offsetMm };
}

/** Return a chunk of a PNG: length, name, content, checksum. */
function chunk(name, content) {
  const bytes = new Uint8Array(12 + content.byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.byteLength);
  bytes.set(new TextEncoder().encode(name), 4);
  bytes.set(new Uint8Array(content), 8);
  let crc = 0xffffffff;
  for (const byte of bytes.subarray(4, -4)) crc = CRC[(crc ^ byte) & 255] ^ (crc >>> 8);
  view.setUint32(8 + content.byteLength, (crc ^ 0xffffffff) >>> 0);
  return bytes;
}

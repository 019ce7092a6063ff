/** Orientation and angle of view from a photo's EXIF. Mirrors `facegeom.image.exif`. */

const ORIENTATION = 0x0112;
const EXIF_DIRECTORY = 0x8769;
const WIDTH = 0xa002;
const HEIGHT = 0xa003;
const FOCAL_LENGTH = 0x920a;
const FOCAL_LENGTH_FILM = 0xa405;
const PLANE_RESOLUTION = 0xa20e;
const PLANE_UNIT = 0xa210;
const DEGREES = 180 / Math.PI;

/** Readers of the TIFF types that hold numbers: bytes of one value, and the value at an offset. */
const TYPES = {
  1: [1, () => NaN],
  2: [1, () => NaN],
  3: [2, (view, at, little) => view.getUint16(at, little)],
  4: [4, (view, at, little) => view.getUint32(at, little)],
  5: [8, (view, at, little) => view.getUint32(at, little) / view.getUint32(at + 4, little)],
  6: [1, (view, at) => view.getInt8(at)],
  7: [1, () => NaN],
  8: [2, (view, at, little) => view.getInt16(at, little)],
  9: [4, (view, at, little) => view.getInt32(at, little)],
  10: [8, (view, at, little) => view.getInt32(at, little) / view.getInt32(at + 4, little)],
  11: [4, (view, at, little) => view.getFloat32(at, little)],
  12: [8, (view, at, little) => view.getFloat64(at, little)],
};

/**
 * Read orientation and angle of view; damaged EXIF counts as missing.
 *
 * @param {{exif: Uint8Array | null, xmp: string}} metadata see `metadata.js`
 * @param {number[]} sizeWh of the image before it is turned
 * @param {object} settings the part "exif" of /model.json
 * @returns {{orientation: number, fovDeg: number | null}} orientation from 1 to 8; degrees across the longer side
 */
export function readExif({ exif, xmp }, sizeWh, settings) {
  const tags = exif ? directory(exif, null) : new Map();
  const said = tags.has(ORIENTATION) ? tags.get(ORIENTATION) : Number(xmp.match(/tiff:Orientation(?:="|>)([0-9])/)?.[1]);
  const orientation = Math.trunc(said);
  const more = tags.has(EXIF_DIRECTORY) ? directory(exif, tags.get(EXIF_DIRECTORY)) : new Map();
  return { orientation: orientation >= 1 && orientation <= 8 ? orientation : 1, fovDeg: fovDeg(more, sizeWh, settings) };
}

/** Return the tags of a TIFF directory as numbers by tag, NaN for others; `start` null is the first directory. */
function directory(bytes, start) {
  const tags = new Map();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const little = view.getUint16(0) === 0x4949;
    const begin = start ?? view.getUint32(4, little);
    const count = view.getUint16(begin, little);
    for (let entry = begin + 2; entry < begin + 2 + 12 * count; entry += 12) {
      const tag = view.getUint16(entry, little);
      const [size, read] = TYPES[view.getUint16(entry + 2, little)] ?? [0];
      const length = size * view.getUint32(entry + 4, little);
      const at = length > 4 ? view.getUint32(entry + 8, little) : entry + 8;
      if (!length || tags.has(tag) || at + length > bytes.length) continue;
      tags.set(tag, length === size ? read(view, at, little) : text(bytes.subarray(at, at + length)));
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // the directory is cut short: what was read holds
  }
  return tags;
}

/** Return the number that a text writes; NaN for other values. */
function text(bytes) {
  const written = String.fromCharCode(...bytes.subarray(0, 32)).replace(/\0.*$/s, "").trim();
  return written ? Number(written) : NaN;
}

/** Return the angle of view across the longer side; null where EXIF does not say, or was made before a crop. */
function fovDeg(tags, sizeWh, { plausible_deg: [least, most], same_aspect: tolerance, ...settings }) {
  const recorded = [positive(tags, WIDTH), positive(tags, HEIGHT)];
  const shape = Math.min(...recorded) > 0 ? recorded : sizeWh;
  if (Math.abs(aspect(shape) / aspect(sizeWh) - 1) > tolerance) return null;
  const angle = 2 * Math.atan(longerSideInFocalLengths(shape, tags, settings) / 2) * DEGREES;
  return angle >= least && angle <= most ? angle : null;
}

/** Return 0 when the tags do not say. */
function longerSideInFocalLengths(shape, tags, { film_diagonal_mm: diagonal, mm_per_unit: units }) {
  const filmMm = positive(tags, FOCAL_LENGTH_FILM);
  if (filmMm) return ((Math.max(...shape) / Math.hypot(...shape)) * diagonal) / filmMm;
  const unitMm = units[Math.trunc(positive(tags, PLANE_UNIT)) || 2] ?? 0;
  const focalUnits = positive(tags, PLANE_RESOLUTION) * positive(tags, FOCAL_LENGTH);
  return focalUnits ? (Math.max(...shape) * unitMm) / focalUnits : 0;
}

function aspect(sides) {
  return Math.max(...sides) / Math.min(...sides);
}

/** Return a tag as a positive number, 0 when it is none. */
function positive(tags, tag) {
  const value = tags.get(tag) ?? 0;
  return Number.isFinite(value) && value > 0 ? value : 0;
}

/** Decode a file to upright RGB with the browser's decoders. Mirrors `facegeom.image.reading.decode`. */

import { ImageError } from "./errors.js";
import { readExif } from "./exif.js";
import { metadataOf } from "./metadata.js";

const STRIP_PX = 2 ** 20; // pixels are read in strips: phones refuse large canvases

/** @type {OffscreenCanvasRenderingContext2D | null} */
let lastSheet = null;

/**
 * Read a photo: EXIF orientation applied, transparent parts over white, colours of an embedded profile as sRGB.
 *
 * EXIF is read here and hidden from the browser's decoder, so that its orientation is applied once, by Python's rules.
 *
 * @param {Blob} blob an encoded image
 * @param {number} maxPixels largest accepted width times height
 * @param {object} exifSettings the part "exif" of /model.json
 * @returns {Promise<import("./resample.js").Image & {fovDeg: number | null}>} with the angle of view that EXIF says
 */
export async function read(blob, maxPixels, exifSettings) {
  if (!blob.size) throw new ImageError("expected a picture, got nothing (0 bytes)");
  const metadata = await metadataOf(blob);
  const bitmap = await decode(metadata.bare, metadata.profile);
  try {
    const { width, height } = bitmap;
    if (width * height > maxPixels) {
      throw new ImageError(`expected at most ${maxPixels} pixels, got ${width} x ${height}; make it smaller`);
    }
    const { orientation, fovDeg } = readExif(metadata, [width, height], exifSettings);
    return { ...oriented(pixels(bitmap), orientation), fovDeg };
  } finally {
    bitmap.close();
  }
}

/**
 * Turn and mirror an image as an EXIF orientation says; 6, 3 and 8 turn it clockwise by 90, 180 and 270 degrees.
 *
 * @param {import("./resample.js").Image} image
 * @param {number} orientation from 1 to 8
 * @returns {import("./resample.js").Image}
 */
export function oriented(image, orientation) {
  if (orientation === 1) return image;
  const [columns, rows] = [image.width, image.height];
  const backwards = [2, 3, 7, 8].includes(orientation);
  const upwards = [3, 4, 6, 7].includes(orientation);
  const [right, down] = [backwards ? -3 : 3, (upwards ? -3 : 3) * columns];
  const first = ((backwards ? columns - 1 : 0) + (upwards ? rows - 1 : 0) * columns) * 3;
  const [width, height, stepX, stepY] = orientation < 5 ? [columns, rows, right, down] : [rows, columns, down, right];
  const data = new Uint8Array(image.data.length);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0, from = first + y * stepY; x < width; x++, from += stepX, to += 3) {
      data[to] = image.data[from];
      data[to + 1] = image.data[from + 1];
      data[to + 2] = image.data[from + 2];
    }
  }
  return { width, height, data };
}

/** Colours are converted only by a profile, as in Python: a PNG's gamma is ignored. */
async function decode(blob, profile) {
  const colorSpaceConversion = profile ? "default" : "none";
  try {
    return await createImageBitmap(blob, { imageOrientation: "from-image", colorSpaceConversion });
  } catch (error) {
    throw new ImageError(
      `this browser cannot read the picture: it is damaged, or in a format that the browser does not know ` +
        `(${blob.type || "unknown type"}); convert it to JPEG or PNG`,
      { cause: error },
    );
  }
}

/** Return the pixels of a picture, transparent parts over white. */
export function pixels(bitmap) {
  const { width, height } = bitmap;
  const rows = Math.min(Math.max(Math.floor(STRIP_PX / width), 1), height);
  const context = sheet(width, rows);
  const data = new Uint8Array(width * height * 3);
  for (let top = 0; top < height; top += rows) {
    context.fillStyle = "white";
    context.fillRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, -top);
    const strip = context.getImageData(0, 0, width, Math.min(rows, height - top));
    withoutAlpha(strip.data, data.subarray(top * width * 3));
  }
  return { width, height, data };
}

/** Return a canvas to read from. The last one is kept for the next frame: a worker's new canvas waits for the page's thread. */
function sheet(width, height) {
  if (lastSheet?.canvas.width !== width || lastSheet.canvas.height !== height) {
    lastSheet = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  }
  return lastSheet;
}

/** Take the colours of pixels: a pixel is read as one number, its red in the lowest eight bits. */
function withoutAlpha({ buffer }, rgb) {
  const pixels = new Uint32Array(buffer);
  for (let from = 0, to = 0; from < pixels.length; from++, to += 3) {
    const pixel = pixels[from];
    rgb[to] = pixel;
    rgb[to + 1] = pixel >> 8;
    rgb[to + 2] = pixel >> 16;
  }
}

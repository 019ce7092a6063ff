/** Decode a file to upright RGB with the browser's decoders. Mirrors `facegeom.image.reading.read`. */

import { ImageError } from "./errors.js";

const STRIP_PX = 2 ** 20; // pixels are read in strips: phones refuse large canvases

/**
 * Read a photo: EXIF orientation applied, transparent parts over white, colour profile ignored.
 *
 * @param {Blob} blob an encoded image
 * @param {number} maxPixels largest accepted width times height
 * @returns {Promise<import("./resample.js").Image>}
 */
export async function read(blob, maxPixels) {
  if (!blob.size) throw new ImageError("expected a picture, got nothing (0 bytes)");
  const bitmap = await decode(blob);
  try {
    const { width, height } = bitmap;
    if (width * height > maxPixels) {
      throw new ImageError(`expected at most ${maxPixels} pixels, got ${width} x ${height}; make it smaller`);
    }
    return pixels(bitmap);
  } finally {
    bitmap.close();
  }
}

async function decode(blob) {
  try {
    return await createImageBitmap(blob, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch (error) {
    throw new ImageError(
      `this browser cannot read the picture: it is damaged, or in a format that the browser does not know ` +
        `(${blob.type || "unknown type"}); convert it to JPEG or PNG`,
      { cause: error },
    );
  }
}

function pixels(bitmap) {
  const { width, height } = bitmap;
  const rows = Math.min(Math.max(Math.floor(STRIP_PX / width), 1), height);
  const canvas = new OffscreenCanvas(width, rows);
  const context = canvas.getContext("2d", { willReadFrequently: true });
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

function withoutAlpha(rgba, rgb) {
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    rgb[to] = rgba[from];
    rgb[to + 1] = rgba[from + 1];
    rgb[to + 2] = rgba[from + 2];
  }
}

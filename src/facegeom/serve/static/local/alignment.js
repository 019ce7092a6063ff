/** Aligned crops of faces. Mirrors `facegeom.geometry.alignment` and `facegeom.results.crops`, template "arcface". */

import { reduce } from "./resample.js";
import { cropProjected } from "./rotated_crop.js";

/**
 * Cut the crop in which eyes, nose tip and mouth corners lie as nearly as can be on ArcFace's five points.
 *
 * @param {import("./resample.js").Image} image the photo
 * @param {object} face of the published schema
 * @param {object} settings the part "alignment" of /model.json
 * @param {number} size side of the crop, pixels
 * @returns {import("./resample.js").Image} black beyond the photo
 */
export function alignedCrop(image, face, settings, size) {
  const [[a, b, x], [c, d, y]] = photoFromCrop(face, settings, size);
  const fromFine = [[a / 2, b / 2, x - (a + b) / 4], [c / 2, d / 2, y - (c + d) / 4], [0, 0, 1]]; // of half the step
  const fine = cropProjected(image, fromFine, 2 * size, 0, settings.largest_shrink);
  return reduce({ width: 2 * size, height: 2 * size, data: fine }, [2, 2]);
}

/** Return the least-squares similarity (2, 3) from pixels of the crop to pixels of the photo. */
export function photoFromCrop({ landmarks: { ibug68 } }, { five, arcface_px: px, arcface_xy: template }, size) {
  const own = five.map((group) => [0, 1].map((axis) => group.reduce((sum, index) => sum + ibug68[index][axis], 0) / group.length));
  const target = template.map((point) => point.map((value) => (value + 0.5) * (size / px) - 0.5));
  const mean = (points) => [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
  const [from, to] = [mean(own), mean(target)];
  let [real, imaginary, square] = [0, 0, 0];
  own.forEach(([x, y], index) => {
    const [u, v, s, t] = [x - from[0], y - from[1], target[index][0] - to[0], target[index][1] - to[1]];
    real += u * s + v * t;
    imaginary += u * t - v * s;
    square += u * u + v * v;
  });
  const length = (real ** 2 + imaginary ** 2) / square; // of the turn, squared, times square
  const [cosine, sine] = [real / length, imaginary / length]; // of the inverse
  return [
    [cosine, sine, from[0] - cosine * to[0] - sine * to[1]],
    [-sine, cosine, from[1] + sine * to[0] - cosine * to[1]],
  ];
}

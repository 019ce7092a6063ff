/** Mesh in pixels to millimetres in front of the camera. Mirrors `facegeom.geometry.placement`. */

import { apply, minus, procrustes, rotationToLineOfSight, transpose } from "./rotation.js";

const NEAREST_MM = 1;
const LEAST_AHEAD = 0.01; // of a face no point lies a right angle off the line

/**
 * Place a head of average size in the camera frame.
 *
 * @param {number[][]} meshPx 478 points, x and y in pixels, z on the same scale
 * @param {number[][]} canonicalMm the canonical head, 478 points
 * @param {import("./camera.js").Camera} camera of the photo
 * @returns {{meshMm: number[][], translationMm: number[]}} camera frame
 */
export function place(meshPx, canonicalMm, camera) {
  const centre = [0, 1].map((axis) => meshPx.reduce((sum, point) => sum + point[axis], 0) / meshPx.length);
  const line = camera.backProject(centre, 1);
  const sight = rotationToLineOfSight(line);
  const virtual = transpose(sight); // from the camera's frame to that of a camera that looks at the head
  const depthScale = Math.hypot(...line) ** -1.5;
  const seen = meshPx.map((point) => {
    const ray = camera.backProject(point, 1);
    const [x, y, z] = apply(virtual, ray);
    return { ray, x, y, ahead: Math.max(z, LEAST_AHEAD), depthPx: point[2] * depthScale };
  });
  const focal = camera.focalPx;
  const flat = seen.map(({ x, y, ahead, depthPx }) => [(x / ahead) * focal, (y / ahead) * focal, depthPx]);
  const { scale, translation } = procrustes(canonicalMm, flat);
  const distance = focal / scale;
  const meshMm = seen.map(({ ray, ahead, depthPx }) => {
    const depth = Math.max(distance + (depthPx - translation[2]) / scale, NEAREST_MM);
    return ray.map((value) => value * (depth / ahead));
  });
  return { meshMm, translationMm: apply(sight, [translation[0] / scale, translation[1] / scale, distance]) };
}

/** Return a mesh in the frame and size of the canonical head that fits it best, all in millimetres. */
export function inCanonicalFrame(meshMm, canonicalMm) {
  const { scale, rotation, translation } = procrustes(canonicalMm, meshMm);
  const back = transpose(rotation);
  return meshMm.map((point) => apply(back, minus(point, translation)).map((value) => value / scale));
}

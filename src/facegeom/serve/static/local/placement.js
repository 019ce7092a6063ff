/** Mesh in pixels to millimetres in front of the camera. Mirrors `facegeom.geometry.placement`. */

import { dot, procrustes, rotationToLineOfSight } from "./rotation.js";

const NEAREST_MM = 1;

/**
 * Place a head of average size in the camera frame.
 *
 * @param {number[][]} meshPx 478 points, x and y in pixels, z on the same scale
 * @param {number[][]} canonicalMm the canonical head, 478 points
 * @param {import("./camera.js").Camera} camera of the photo
 * @returns {{meshMm: number[][], translationMm: number[]}} camera frame
 */
export function place(meshPx, canonicalMm, camera) {
  const { scale, translation } = procrustes(canonicalMm, meshPx);
  const distance = camera.focalPx / scale;
  const translationMm = camera.backProject(translation, distance);
  const depthAxis = rotationToLineOfSight(translationMm)[2];
  const meshMm = meshPx.map((point) => {
    const offset = point.map((value, axis) => (value - translation[axis]) / scale);
    return camera.backProject(point, Math.max(distance + dot(offset, depthAxis), NEAREST_MM));
  });
  return { meshMm, translationMm };
}

/** What faces do: coefficients and gaze. Mirrors `facegeom.models.expression` and `facegeom.geometry.gaze`. */

import { rowOf } from "./face.js";
import { clip } from "./numbers.js";
import { inCanonicalFrame } from "./placement.js";
import { apply } from "./rotation.js";

const DEGREES = 180 / Math.PI;

export class ExpressionNet {
  /**
   * @param {import("./engine.js").Engine} engine of the expression network
   * @param {number[][]} canonicalMm the canonical head, 478 points
   */
  constructor(engine, canonicalMm) {
    Object.assign(this, { engine, canonicalMm });
  }

  /**
   * Add `expression`, `gaze`, in the head frame, and `gazeConfidence` to faces that have features and `meshMm`.
   *
   * @param {object[]} faces
   * @returns {Promise<object[]>}
   */
  async look(faces) {
    if (!faces.length) return [];
    const input = (rows, ...sides) => ({ data: Float32Array.from(rows.flat(2)), dims: [rows.length, ...sides] });
    const { data, dims } = input(faces.map((face) => face.features), faces[0].features.length);
    const meshes = faces.map(({ meshMm }) => inCanonicalFrame(meshMm, this.canonicalMm));
    const outputs = await this.engine.run(data, dims, {
      points: input(meshes, this.canonicalMm.length, 3),
      rotation6d: input(faces.map((face) => face.rotation6d), 6),
    });
    return faces.map((face, index) => {
      const { expression, gaze, gaze_confidence: gazeConfidence } = rowOf(outputs, index);
      return { ...face, expression, gaze: [gaze.slice(0, 3), gaze.slice(3)], gazeConfidence };
    });
  }
}

/** Return yaw and pitch of both eyes together as seen, degrees, with the signs of the head's. */
export function gazeAngles(rotation, gaze, confidence) {
  const weights = confidence.map((value) => value + 1e-6);
  const both = [0, 1, 2].map((axis) => gaze[0][axis] * weights[0] + gaze[1][axis] * weights[1]);
  const length = Math.max(Math.hypot(...both), 1e-9);
  const [x, y, z] = apply(rotation, both).map((value) => value / length);
  return [Math.atan2(x, -z) * DEGREES, Math.asin(clip(-y, -1, 1)) * DEGREES];
}

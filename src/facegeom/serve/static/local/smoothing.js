/** Followed faces without jitter, each point by its expected error. Mirrors `facegeom.video.smoothing`. */

import { clip } from "./numbers.js";
import { place } from "./placement.js";
import { rotationFrom6d } from "./rotation.js";

/** Constants of `facegeom.video.smoothing`, by their names there. */
export const SMOOTHING = {
  drift_per_s: 0.008, gate: 10, NOISE_LEVEL: 0.12, NOISE_LEVELS: [0.04, 0.5], NOISE_LEVEL_S: 0.7, UNEVEN_STEPS: 3,
  CONFIDENCES: [0.2, 0.9999], RESET_AFTER_S: 0.5,
  share: { landmarks: 0.55, mesh: 1.1, box: 1.5, rotation: 2.2, gaze: 5.5, expression: 5.5 },
};
const MEDIAN_BEND = 2 * Math.log(2) * 0.65;
const LEARNED = 4; // every fourth point of the mesh is enough to learn the noise from

/** Filter of P vectors of D components each; the components of each share one gain. */
export class AdaptiveKalman {
  constructor() {
    this.value = null;
    this.timeS = 0;
  }

  /**
   * Filter the next values; the first, and those that are not later than the last, pass.
   *
   * @param {number[][]} values P vectors
   * @param {number[]} noise standard deviation of a component, in the unit of the values
   * @param {number} timeS
   * @returns {number[][]}
   */
  filter(values, noise, timeS) {
    const stepS = timeS - this.timeS;
    this.timeS = timeS;
    if (!this.value || stepS <= 0) {
      this.variance = values.map(() => 1);
      return (this.value = values);
    }
    this.value = values.map((vector, index) => {
      const old = this.value[index];
      let squares = 0;
      for (let axis = 0; axis < vector.length; axis++) squares += (vector[axis] - old[axis]) ** 2 / vector.length;
      const drifted = Math.max(this.variance[index] + SMOOTHING.drift_per_s * stepS, squares / (noise[index] ** 2 * SMOOTHING.gate) - 1);
      const gain = (this.variance[index] = drifted / (drifted + 1));
      return vector.map((value, axis) => old[axis] + gain * (value - old[axis]));
    });
    return this.value;
  }
}

export class FaceSmoother {
  /** @param {{canonicalMm: number[][], faceNet: object}} analyzer */
  constructor(analyzer) {
    this.analyzer = analyzer;
    this.filters = new Map();
  }

  /** Return the faces of a frame, smoothed; a face that was absent for long starts anew. */
  smooth(faces, ids, timeS, camera) {
    for (const [id, one] of this.filters) if (timeS - one.kalman.timeS > SMOOTHING.RESET_AFTER_S || timeS < one.kalman.timeS) this.filters.delete(id);
    return faces.map((face, index) => {
      const id = ids[index];
      if (!this.filters.has(id)) this.filters.set(id, { kalman: new AdaptiveKalman(), seen: [], level: SMOOTHING.NOISE_LEVEL ** 2 });
      return this.one(this.filters.get(id), face, timeS, camera);
    });
  }

  one(filter, face, timeS, camera) {
    const { share } = SMOOTHING;
    const learned = (points) => points.filter((_, index) => index % LEARNED === 0);
    const { eye_corners: corners, near } = this.analyzer.faceNet.settings;
    const meshErrors = expectedErrors(face.mesh, face.meshScale, corners.mesh478, near);
    const errors = learned(meshErrors);
    learn(filter, learned(face.mesh), errors, timeS);
    const typical = errors.reduce((sum, value) => sum + value, 0) / errors.length;
    const relative = typical / eyeDistance(face.mesh, corners.mesh478);
    const groups = {
      landmarks: [face.landmarks, expectedErrors(face.landmarks, face.landmarksScale, corners.ibug68, near)],
      mesh: [face.mesh, meshErrors],
      box: [[face.box.slice(0, 2), face.box.slice(2)], [typical, typical]],
      rotation: [[0, 1].map((column) => face.rotation.map((row) => row[column])), [relative, relative]],
      gaze: [face.gaze, [relative, relative]],
      expression: [face.expression.map((value) => [value]), face.expression.map(() => relative)],
    };
    const level = Math.sqrt(filter.level);
    const values = Object.values(groups).flatMap(([vectors]) => vectors);
    const noise = Object.entries(groups).flatMap(([name, [, scales]]) => scales.map((scale) => scale * share[name] * level));
    const smooth = filter.kalman.filter(values, noise, timeS);
    let at = 0;
    const next = (name) => smooth.slice(at, (at += groups[name][0].length));
    const [landmarks, mesh, box, rotation, gaze, expression] = Object.keys(groups).map(next);
    return {
      ...face,
      landmarks,
      mesh,
      box: box.flat(),
      rotation: rotationFrom6d(rotation.flat()),
      gaze: gaze.map((look) => look.map((value) => value / Math.max(Math.hypot(...look), 1e-6))),
      expression: expression.map(([value]) => clip(value, 0, 1)),
      ...place(mesh, this.analyzer.canonicalMm, camera),
    };
  }
}

/** Return the distance of the outer eye corners, at least a pixel. */
function eyeDistance(points, [first, second]) {
  return Math.max(Math.hypot(points[first][0] - points[second][0], points[first][1] - points[second][1]), 1);
}

/** Return the expected errors within the bounds of `CONFIDENCES`. */
function expectedErrors(points, scales, corners, near) {
  const [most, least] = SMOOTHING.CONFIDENCES.map((confidence) => (-near / Math.log1p(-confidence)) * eyeDistance(points, corners));
  return scales.map((scale) => clip(scale, least, most));
}

/** Follow the level of the noise: what a steady motion does not explain of three frames. */
function learn(filter, mesh, errors, timeS) {
  filter.seen = [...filter.seen.slice(-2), [timeS, mesh]];
  if (filter.seen.length < 3) return;
  const [[firstS, first], [secondS, second], [, third]] = filter.seen;
  const [beforeS, stepS, uneven] = [secondS - firstS, timeS - secondS, SMOOTHING.UNEVEN_STEPS];
  if (!(beforeS > 0 && beforeS <= uneven * stepS && stepS <= uneven * beforeS)) return;
  const ratio = stepS / beforeS;
  const bends = third.map((point, index) => [0, 1].map((axis) => point[axis] - (1 + ratio) * second[index][axis] + ratio * first[index][axis]));
  const mean = [0, 1].map((axis) => bends.reduce((sum, bend) => sum + bend[axis], 0) / bends.length);
  const variance = 1 + (1 + ratio) ** 2 + ratio ** 2;
  const squares = bends.map((bend, index) => ((bend[0] - mean[0]) ** 2 + (bend[1] - mean[1]) ** 2) / (errors[index] ** 2 * variance));
  const level = squares.sort((one, other) => one - other)[Math.floor(squares.length / 2)] / MEDIAN_BEND;
  filter.level += Math.min(1, stepS / SMOOTHING.NOISE_LEVEL_S) * (level - filter.level);
  filter.level = clip(filter.level, SMOOTHING.NOISE_LEVELS[0] ** 2, SMOOTHING.NOISE_LEVELS[1] ** 2);
}
